"""Jobs and their events as tables and lines."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from analyzer.text import shown
from service.cli.layout import print_line, print_table
from service.cli.sizes import format_seconds

Job = Mapping[str, Any]


def show_jobs(console: Console, jobs: Sequence[Job], more: bool) -> None:
    """A row for each job."""
    if not jobs:
        print_line(console, "no jobs")
        return
    print_table(
        console,
        "",
        ["id", "status", "done", "created", "model"],
        ((job["id"], job["status"], _done(job), _time(job["created_at"]), shown(job["model"]))
         for job in jobs),
    )  # fmt: skip
    if more:
        print_line(console, "there are more; see --limit, --kind and --status")


def show_job(console: Console, job: Job) -> None:
    """A line for each thing to know."""
    for name, value in _facts(job):
        print_line(console, f"{name:<10}{value}")


def event_line(event: Job) -> str:
    """An event on one line."""
    level = "" if event["level"] == "info" else f"{event['level']}: "
    return f"{_time(event['time'])}  {event['type']:<10}  {level}{shown(event['message'], 2000)}"


def _facts(job: Job) -> Iterator[tuple[str, str]]:
    yield "id", job["id"]
    yield "kind", job["object"]
    yield "model", shown(job["model"])
    if job.get("revision"):
        yield "commit", job["revision"]
    yield "status", job["status"]
    if done := _done(job):
        left = (job.get("progress") or {}).get("eta_seconds")
        yield (
            job["progress"]["unit"],
            done + (f", about {format_seconds(left)} left" if left else ""),
        )
    for name in ("created", "started", "finished"):
        if job.get(f"{name}_at"):
            yield name, _time(job[f"{name}_at"])
    if job.get("attempt", 1) > 1:
        yield "attempt", str(job["attempt"])
    if job.get("analysis_id"):
        yield "analysis", job["analysis_id"]
    if error := job.get("error"):
        yield "error", f"{error['code']}: {shown(error['detail'], 2000)}"
    if plan := job.get("plan"):
        counts = [str(count) for count in _counts(plan)]
        yield "experts", f"{' '.join(counts)}, digest {plan['digest'][:12]}"


def _counts(plan: Job) -> Iterator[int]:
    for layer in plan["layers"]:
        if layer["experts"] is not None:
            yield layer["experts"]
        else:
            yield from (module["experts"] for module in layer["modules"])


def _done(job: Job) -> str:
    progress = job.get("progress") or {}
    return f"{progress['done']}/{progress['total']}" if progress.get("total") else ""


def _time(text: str) -> str:
    """Without the fraction of a second."""
    head, point, _ = text.partition(".")
    return f"{head}Z" if point and text.endswith("Z") else text
