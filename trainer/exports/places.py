"""Where a model or an adapter lies, and folders that are written whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from analyzer.errors import HubUnavailable, ModelNotFound
from analyzer.source import open_source
from analyzer.text import shown
from trainer.errors import NotExportable

_BESIDE_WEIGHTS = ("*.json", "*.model", "*.txt", "*.jinja")


@dataclass(frozen=True, slots=True)
class Place:
    """A model or an adapter whose files are in `folder`."""

    name: str
    """As another file may name it: a Hub id without its revision, or the folder as given."""

    revision: str | None
    """The commit on the Hub; None for a folder."""

    folder: Path


def find(model: str) -> Place:
    """A folder, or what the Hub has under `org/name@revision`, fetched into its cache.

    Raises ModelNotFound, HubUnavailable or BadModel, as `tailora analyze` does.
    """
    source = open_source(model)
    if source.revision is None:
        folder = Path(model).expanduser()
        if not folder.is_dir():
            raise ModelNotFound(f"{shown(model)} is one file; pass the folder that it is in")
        return Place(model, None, folder.resolve())  # so that nobody takes it for a Hub id
    from huggingface_hub import snapshot_download

    name = model.partition("@")[0]
    try:
        fetched = snapshot_download(
            name, revision=source.revision, allow_patterns=[*source.files, *_BESIDE_WEIGHTS]
        )
    except OSError as error:  # what huggingface_hub raises of its own is one too
        raise HubUnavailable(
            f"{name} could not be fetched: {first_line(error)}; run again to continue"
        ) from error
    return Place(name, source.revision, Path(fetched))


def check_new(out: Path) -> None:
    """Raise NotExportable unless `out` is an empty folder, or a new one in a folder of ours."""
    if out.exists() and not out.is_dir():
        raise NotExportable(f"{shown(out)} is a file; choose another --out")
    if out.is_dir() and any(out.iterdir()):
        raise NotExportable(f"{shown(out)} is not empty; choose another --out")
    if not out.resolve().parent.is_dir():
        raise NotExportable(f"{shown(out.parent)} is no folder; choose another --out")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A draft beside `out` that becomes `out` in the end, and is gone where anything went wrong.

    Raises NotExportable like `check_new`, and where it cannot be written.
    """
    check_new(out)
    draft = out.resolve().parent / f".new-{out.resolve().name}-{token_hex(4)}"
    try:
        draft.mkdir()
        yield draft
        if out.is_dir():  # kept: somebody's shell may be in it
            for made in draft.iterdir():
                made.rename(out / made.name)
        else:
            draft.rename(out)
    except OSError as error:
        raise NotExportable(
            f"cannot write {shown(out)}: {error.strerror or first_line(error)}; "
            "choose another --out"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def first_line(error: BaseException) -> str:
    """What a library says first; its advice is for its own callers."""
    return shown(str(error).strip().partition("\n")[0].rstrip(" .") or type(error).__name__)
