"""`tailora jobs`, over HTTP and straight in the ledger, and Ctrl-C while a service works."""

import json
import signal
import subprocess
import time
from contextlib import contextmanager

import httpx2
import pytest

from tests.service.cli_service import serving
from tests.service.command import command, fails, run, variables

WAYS = ("remote", "local")


@pytest.fixture(scope="module")
def idle(minilm, tmp_path_factory):
    """An API without a worker: what it is asked for stays queued."""
    folder = tmp_path_factory.mktemp("idle")
    run("db", "upgrade", TAILORA_DATA=folder / "data")
    own = {"TAILORA_MODELS": minilm, "TAILORA_LOG_LEVEL": "debug"}  # which shows polls
    with serving(folder, command="api", ready="listening", **own) as found:
        yield found


@contextmanager
def waiting(idle, *words):
    """A command that waits for the service, and the id of its job, which it knows by now."""
    path = {"plan": "plans", "analyze": "analyses"}[words[0]]
    before = set(ids(idle, path))
    process = subprocess.Popen(
        command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=variables(**idle.remote),
    )  # fmt: skip
    with process:
        try:
            deadline = time.monotonic() + 30
            while True:
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                new = [each for each in ids(idle, path) if each not in before]
                if new and f"path=/v1/{path}/{new[0]} " in idle.process.text():
                    break
                time.sleep(0.1)
            yield process, new[0]
        finally:
            process.kill()


def ids(idle, path: str) -> list[str]:
    """What the API itself says, newest first."""
    found = httpx2.get(f"{idle.url}/v1/{path}", params={"limit": 100}).json()["data"]
    return [job["id"] for job in found]


def queue(idle, model, *budgets: int) -> list[str]:
    """Plans that stay queued."""
    bodies = [{"model": str(model), "expert_budget": budget} for budget in budgets]
    return [httpx2.post(f"{idle.url}/v1/plans", json=body).json()["id"] for body in bodies]


def listed(idle, *words, way) -> dict:
    found = run("jobs", "list", "--limit", 100, "--json", *words, **getattr(idle, way))
    return json.loads(found.stdout)


@pytest.mark.parametrize("words", [("plan", "-b", 30), ("analyze",)])
def test_an_interrupted_wait_cancels_nothing(idle, minilm, words):
    with waiting(idle, *words, minilm) as (process, job_id):
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert output == ""
    assert (
        errors == f"interrupted; {job_id} goes on, follow it with `tailora jobs watch {job_id}`\n"
    )
    path = {"plan": "plans", "analyze": "analyses"}[words[0]]
    assert httpx2.get(f"{idle.url}/v1/{path}/{job_id}").json()["status"] == "queued"


@pytest.mark.parametrize("way", WAYS)
def test_a_job_that_is_cancelled_by_another(idle, minilm, way):
    how = getattr(idle, way)
    with waiting(idle, "plan", "-b", 31, minilm) as (process, job_id):
        assert run("jobs", "cancel", job_id, **how).stdout == f"{job_id} is cancelled\n"
        output, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert (output, errors.splitlines()) == (
        "", [f"error: {job_id} was cancelled; run the command again to redo it"]
    )  # fmt: skip
    fails("jobs", "cancel", job_id, code=2, message="cancelled already", **how)
    watched = run("jobs", "watch", job_id, code=1, **how)
    kinds = [line.split()[1] for line in watched.stdout.splitlines()]
    assert kinds == ["queued", "cancelling", "cancelled"]


def test_watch_prints_events_as_they_come(idle, minilm):
    (job_id,) = queue(idle, minilm, 32)
    process = subprocess.Popen(
        command("jobs", "watch", job_id, "--json"), stdout=subprocess.PIPE, text=True,
        env=variables(**idle.remote),
    )  # fmt: skip
    with process:
        try:
            first = json.loads(process.stdout.readline())
            assert (first["seq"], first["type"]) == (1, "queued")
            run("jobs", "cancel", job_id, **idle.local)
            rest = [json.loads(line) for line in process.communicate(timeout=10)[0].splitlines()]
        finally:
            process.kill()
    assert [(event["seq"], event["type"]) for event in rest] == [
        (2, "cancelling"),
        (3, "cancelled"),
    ]
    assert process.returncode == 1


def test_both_ways_show_the_same(idle, minilm):
    (job_id,) = queue(idle, minilm, 33)
    words = ("jobs", "show", job_id)
    for each in (words, (*words, "--json"), ("jobs", "list", "--status", "queued")):
        assert run(*each, **idle.local).stdout == run(*each, **idle.remote).stdout
    found = json.loads(run(*words, "--json", **idle.local).stdout)
    assert (found["id"], found["model"], found["plan"]) == (job_id, str(minilm), None)
    assert found["request"]["expert_budget"] == 33
    assert run("jobs", "list", "--status", "succeeded", **idle.remote).stdout == "no jobs\n"


@pytest.mark.parametrize("way", WAYS)
def test_a_list_is_newest_first_and_says_where_it_is_cut(idle, minilm, way):
    queued = queue(idle, minilm, 40, 41)
    found = listed(idle, "--kind", "plan", way=way)
    assert [job["id"] for job in found["data"]] == ids(idle, "plans")
    assert [job["id"] for job in found["data"][:2]] == queued[::-1]
    every = listed(idle, way=way)["data"]
    assert {job["id"] for job in every} == {*ids(idle, "plans"), *ids(idle, "analyses")}
    times = [job["created_at"] for job in every]
    assert times == sorted(times, reverse=True)
    for limit, more in ((len(every), False), (len(every) - 1, True)):
        cut = listed(idle, "--limit", limit, way=way)
        assert (len(cut["data"]), cut["has_more"]) == (limit, more)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("word", ["show", "watch", "cancel"])
def test_a_job_that_is_not_there(idle, way, word):
    how = getattr(idle, way)
    fails("jobs", word, "pln_0123", code=4, message="there is no plan pln_0123", **how)
    fails("jobs", word, "ana_0123", code=4, message="there is no analysis ana_0123", **how)
    fails("jobs", word, "../keys", code=2, message="is no job's id", **how)
