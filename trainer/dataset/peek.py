"""The form of a file's rows, by its beginning: a file may be large."""

from pathlib import Path
from typing import get_args

from analyzer.text import shown
from trainer.dataset.columns import Form, form_of
from trainer.dataset.look import Format, look
from trainer.dataset.read import read_rows
from trainer.errors import InvalidData


def form_at(place: str) -> Form:
    """The form of a file or a saved dataset, by its header or its first thousand rows.

    Where these tell none, the whole is read. Raises InvalidData like `read_rows` and `form_of`.
    """
    return _of_beginning(Path(place)) or form_of(read_rows(place).columns, place=shown(place))


def _of_beginning(path: Path) -> Form | None:
    """As far as it can be told; what is wrong with a file is told by who reads it all."""
    wanted = "folder" if path.is_dir() else path.suffix.lower().removeprefix(".")
    kind = next((each for each in get_args(Format) if each == wanted), None)
    if kind is None:
        return None
    try:
        return look(path, kind, path.name, whole=False).form
    except InvalidData:
        return None
