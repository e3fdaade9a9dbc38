"""What was used of a file, what was not, and why; for the terminal and as JSON."""

from collections import Counter
from collections.abc import Sequence
from statistics import median_low

from pydantic import Field

from analyzer.outline import Record
from analyzer.text import listed, shown
from trainer.dataset.columns import Form
from trainer.errors import InvalidData
from trainer.recipe import Task

_SHOWN = 10
"""Numbers of empty rows that are named."""


class Tokens(Record):
    """Lengths of the samples as they are used."""

    smallest: int
    median: int
    largest: int
    total: int


class Report(Record):
    """One file. Rows = used + empty + dropped."""

    name: str
    form: Form
    task: Task
    rows: int
    used: int
    held_out: int = Field(description="of the used ones, kept for evaluation")
    empty: int = Field(description="a needed value is missing or blank")
    empty_numbers: tuple[int, ...] = Field(description="lines or rows of the first empty ones")
    cut: int = Field(description="longer than allowed, used without their end")
    dropped: int = Field(description="nothing that is learnt was left after cutting")
    last_only: int = Field(
        0, description="conversations whose last answer alone is learnt, by the chat template"
    )
    tokens: Tokens
    sequences: int | None = Field(
        None, description="that the samples trained on are packed into; null: they are not"
    )
    labels: dict[str, int] | None = Field(
        description="rows by class, empty ones left out, in the head's order"
    )

    def lines(self) -> list[str]:
        """The report for the terminal."""
        lines = [f"{self.name}: {self.rows:,} rows ({self.form}), {self.used:,} used"]
        if self.held_out:
            lines[0] += f", {self.held_out:,} of them held out"
        if self.empty:
            lines.append(f"  {self.empty:,} empty, left out: {_numbers(self)}")
        if self.dropped:
            lines.append(f"  {self.dropped:,} left out: too long, nothing to learn in what fits")
        if self.cut:
            lines.append(f"  {self.cut:,} too long, cut at the end")
        if self.last_only:
            lines.append(
                f"  {self.last_only:,} conversations of which the last answer alone is learnt: "
                "the chat template renders former ones in another way"
            )
        tokens = self.tokens
        lines.append(
            f"  tokens: {tokens.smallest:,} to {tokens.largest:,} a sample, median "
            f"{tokens.median:,}, {tokens.total:,} in all"
        )
        if self.sequences is not None:
            lines.append(
                f"  packed: {self.sequences:,} sequences of {self.used - self.held_out:,} samples"
            )
        if self.labels is not None:
            counts = [f"{name} {count:,}" for name, count in self.labels.items()]
            lines.append(f"  classes: {listed(counts, 20)}")
        return lines


def tokens_of(lengths: Sequence[int]) -> Tokens:
    """Of at least one sample."""
    return Tokens(
        smallest=min(lengths),
        median=median_low(lengths),
        largest=max(lengths),
        total=sum(lengths),
    )


def counts_of(labels: Sequence[str], found: Sequence[str]) -> dict[str, int]:
    """How often each label was found, in the order of the labels."""
    counts = Counter(found)
    return {label: counts[label] for label in labels}


def first_numbers(numbers: Sequence[int]) -> tuple[int, ...]:
    """Those that a report names."""
    return tuple(numbers[:_SHOWN])


def check_empty(name: str, rows: int, empty: Sequence[int], unit: str, needed: str) -> None:
    """Raise InvalidData where more than half of the rows are empty."""
    if 2 * len(empty) > rows:
        first = ", ".join(map(str, empty[:_SHOWN]))
        raise InvalidData(
            f"{len(empty):,} of {rows:,} rows of {shown(name)} are empty (first: {unit} {first}): "
            f"a row needs {needed}, not blank; remove them, or correct the columns"
        )


def _numbers(report: Report) -> str:
    more = report.empty - len(report.empty_numbers)
    return ", ".join(map(str, report.empty_numbers)) + (f" and {more:,} more" if more else "")
