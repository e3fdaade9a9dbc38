"""The command line, by Typer's own generator of Markdown."""

import html
import os
import re
import subprocess
import sys

_TAG = re.compile(r"<(?=[a-zA-Z])")


def command_page() -> str:
    """Every command with its arguments and options, as `tailora --help` tells of them."""
    made = subprocess.run(
        [sys.executable, "-m", "typer", "service.cli.main", "utils", "docs", "--name", "tailora"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    ).stdout
    text = html.unescape(made).replace("# `tailora`\n", "# The command line\n", 1)
    return "\n".join(_line(line) for line in text.splitlines()) + "\n"


def _line(line: str) -> str:
    """Without what Markdown would take for HTML outside of code."""
    parts = re.split(r"(`[^`]*`)", line)
    return "".join(part if part.startswith("`") else _TAG.sub(r"\\<", part) for part in parts)
