"""Where results go: a table or one JSON document on stdout, a file, and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile

import typer
from pydantic import BaseModel
from rich.console import Console

from service.cli.failures import CommandError

PLAIN_WIDTH = 160


def stdout() -> Console:
    """The console for results; wide where no terminal limits it, so that no cell is cut."""
    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


def stderr() -> Console:
    """The console for progress and warnings."""
    return Console(stderr=True)


def emit(
    document: BaseModel, *, as_json: bool, out: Path | None, show: Callable[[Console], None]
) -> None:
    """Write the document to `out` if given, and print it as JSON or by `show`."""
    content = document.model_dump_json(indent=2)
    if out is not None:
        write_whole(out, content + "\n")
    if as_json:
        typer.echo(content)
    else:
        show(stdout())


def check_out(out: Path | None) -> None:
    """Refuse, before any work is done, a file that could not be written. Raises CommandError."""
    if out is None:
        return
    if out.is_dir() or not os.access(out.parent, os.W_OK | os.X_OK):
        raise CommandError(
            f"cannot write {out}: no such folder, or not yours; choose another --out"
        )


def write_whole(path: Path, content: str) -> None:
    """Write a file at once: it is there whole or not at all. Raises CommandError."""
    write_bytes(path, content.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """The same of bytes. Raises CommandError."""
    try:
        with NamedTemporaryFile("wb", dir=path.parent, delete=False) as draft:
            try:
                draft.write(content)
                draft.flush()
                Path(draft.name).chmod(0o666 & ~_umask())
                Path(draft.name).replace(path)
            finally:
                Path(draft.name).unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(
            f"cannot write {path}: {error.strerror}; choose another --out"
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def warn(warnings: tuple[str, ...]) -> None:
    """Print warnings to stderr."""
    console = stderr()
    for warning in warnings:
        console.print(
            f"warning: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True
        )
