"""A child that reads hostile models, one a line, and says what became of each.

It lives as long as it can: a death, a hang or growing memory is the finding.
"""

import json
import re
import resource
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from analyzer.api import analyze, outline
from analyzer.errors import AnalyzerError
from tests.hostile import KINDS
from tests.hostile.folders import healthy

SECONDS = 15.0
"""A quiet machine needs 4 at most; a busy one must not fail for that."""

MEMORY = 12 * 10**9


class TooSlow(BaseException):
    """The alarm; no handler of ordinary errors swallows it."""


def _alarm(*_: object) -> None:
    raise TooSlow


def peak_memory() -> int:
    """The largest resident size of this process so far, in bytes; 0 where /proc is not there."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found.group(1)) * 1024 if found else 0


def attempt(folder: Path, name: str) -> dict[str, Any]:
    """The outcome of one kind: of its outline, then of its analysis."""
    kind = KINDS[name]
    model = kind.model(folder)

    def spoil(progress: Any) -> None:
        moment = "hash" if progress.done == 0 else "solve"
        if kind.change is not None and kind.moment == moment and progress.done <= 1:
            kind.change(folder)

    calls = {
        "outline": lambda: outline(model, cache=folder.parent / "cache"),
        "analyze": lambda: analyze(model, cache=folder.parent / "cache", progress=spoil),
    }
    outcome: dict[str, Any] = {}
    for call, run in calls.items():
        if outcome.get("outline", {}).get("class") == "slow":
            break
        started = time.monotonic()
        outcome[call] = _outcome(run)
        outcome[call]["seconds"] = round(time.monotonic() - started, 3)
    return outcome


def _outcome(run: Any) -> dict[str, Any]:
    try:
        found = _within_seconds(run)
        return {"class": "ok", **_findings(found)}
    except AnalyzerError as error:
        return {"class": "error", "error": type(error).__name__, "message": str(error)}
    except TooSlow:
        return {"class": "slow"}
    except BaseException as error:
        return {"class": "crash", "error": type(error).__name__, "message": str(error)[:300]}


def _within_seconds(run: Any) -> Any:
    try:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        return run()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _findings(found: Any) -> dict[str, Any]:
    """What no result may have: numbers that are none, names twice, text with control characters."""
    text = found.model_dump_json()
    names = [matrix.name for matrix in found.matrices]
    places = [
        (matrix.stack, matrix.layer, matrix.module, matrix.part, matrix.expert)
        for matrix in found.matrices
        if matrix.stack is not None
    ]
    return {
        "not_finite": bool(re.search(r"\b(NaN|-?Infinity)\b", text)),
        "twice": len(names) != len(set(names)) or len(places) != len(set(places)),
        "warnings": [str(warning)[:1000] for warning in found.warnings[:20]],
        "matrices": len(names),
    }


def _warm_up() -> None:
    """Import all that an analysis imports, so that no kind is charged for it."""
    with TemporaryDirectory() as folder:
        healthy(Path(folder))
        analyze(folder, cache=Path(folder) / "cache")


def main() -> None:
    """Serve kinds from stdin until it ends."""
    signal.signal(signal.SIGALRM, _alarm)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    _warm_up()
    print(json.dumps({"peak": peak_memory()}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        outcome = attempt(Path(asked["folder"]), asked["name"])
        print(json.dumps({**outcome, "peak": peak_memory()}), flush=True)


if __name__ == "__main__":
    main()
