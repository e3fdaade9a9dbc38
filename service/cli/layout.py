"""Tables and lines on a console, for every command."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

LEFT_ALIGNED = {
    "module", "part", "role", "layers", "dtype", "tensor", "reason",
    "status", "stack", "model", "precision", "newest", "share of draws by count", "",
    "id", "name", "owner", "created", "revoked", "format", "form", "task",
}  # fmt: skip


def print_table(
    console: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    """Print a titled table; nothing where it has no rows."""
    grid = Table(box=None, pad_edge=False)
    for column in columns:
        grid.add_column(
            Text(column), justify="left" if column in LEFT_ALIGNED else "right", overflow="fold"
        )
    for row in rows:
        grid.add_row(*map(Text, row))
    if grid.row_count:
        if title:
            console.print(title, style="bold", markup=False, highlight=False, soft_wrap=True)
        console.print(grid)


def print_line(console: Console, text: str) -> None:
    """Print a line as it is, however long."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def or_dash(value: float | None, form: str = ".3f") -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None else format(value, form)
