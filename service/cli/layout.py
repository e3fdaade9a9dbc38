"""Tables and lines on a console, for every command."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_LEFT_ALIGNED = {
    "module", "part", "role", "layers", "dtype", "tensor", "reason",
    "status", "stack", "model", "precision", "newest", "",
}  # fmt: skip


def print_table(
    console: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    """Print a titled table; nothing where it has no rows."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(
            Text(column), justify="left" if column in _LEFT_ALIGNED else "right", overflow="fold"
        )
    for row in rows:
        table.add_row(*map(Text, row))
    if table.row_count:
        if title:
            console.print(title, style="bold", markup=False, highlight=False, soft_wrap=True)
        console.print(table)


def print_line(console: Console, text: str) -> None:
    """Print a line as it is, however long."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
