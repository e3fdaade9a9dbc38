"""The command line in a process of its own, with what its exit has to look like."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TAILORA = [sys.executable, "-m", "service.cli"]
QUICK = "import analyzer.hub.retry as retry; retry.LONGEST_PAUSE = 0.05"
"""Six tries without the pauses of half a minute, for what fails every time."""


def command(*arguments, before: str = "") -> list[str]:
    """The words of a process; `before` is Python that it runs first."""
    start = [sys.executable, "-c", f"{before}\nfrom service.cli.main import main; main()"]
    return [*(start if before else TAILORA), *map(str, arguments)]


def variables(**changes) -> dict[str, str]:
    """The environment of a process, without a token unless one is given."""
    not_ours = ("HF_TOKEN", "TAILORA_URL", "TAILORA_API_KEY")
    own = {name: value for name, value in os.environ.items() if name not in not_ours}
    return {**own, "NO_COLOR": "1", **{name: str(value) for name, value in changes.items()}}


def run(
    *arguments, code: int = 0, before: str = "", **environment
) -> subprocess.CompletedProcess[str]:
    found = subprocess.run(
        command(*arguments, before=before), capture_output=True, text=True, timeout=300,
        env=variables(**environment),
    )  # fmt: skip
    assert found.returncode == code, found.stdout + found.stderr
    return found


def fails(*arguments, code: int, message: str, before: str = "", **environment) -> str:
    """One line on stderr that says what to do, nothing on stdout, no traceback."""
    found = run(*arguments, code=code, before=before, **environment)
    lines = found.stderr.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert message in lines[-1]
    assert len(lines) == 1
    assert found.stdout == ""
    assert "Traceback" not in found.stderr
    return lines[-1]


def document(*arguments, **how) -> dict[str, Any]:
    """What a command prints as JSON; on stderr its warnings, lines of progress, no more."""
    found = run(*arguments, "--json", **how)
    made = json.loads(found.stdout)
    warnings = [f"warning: {warning}" for warning in made["warnings"]]
    lines = [line for line in found.stderr.splitlines() if " matrices, " not in line]
    assert [line for line in lines if line not in warnings] == []
    return made


def spectra(store: Path) -> dict[str, Path]:
    """The files of the spectra that a store keeps, by key, checked or not."""
    found = [*store.glob("spectra/*/*"), *store.glob("unchecked/*/*")]
    return {path.name: path for path in found if not path.name.startswith(".")}


def drafts(store: Path) -> list[Path]:
    """What was left behind half written."""
    return list(store.rglob(".new-*"))
