"""A file with what its rows say, as samples, and a report of it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from analyzer.text import shown
from trainer.dataset.chat import check_template
from trainer.dataset.columns import NEEDED, Form, task_of
from trainer.dataset.encode import Encoded, Encoder, Sample
from trainer.dataset.examples import Example, Labelled, example_of
from trainer.dataset.read import Rows
from trainer.dataset.report import Report, check_empty, counts_of, first_numbers, tokens_of
from trainer.dataset.tokens import end_of


class Source(NamedTuple):
    """A file with what its rows say, empty ones left out."""

    rows: Rows
    form: Form
    indices: list[int]
    examples: list[Example]

    def empty(self) -> list[int]:
        """Numbers of the rows that were left out."""
        full = set(self.indices)
        return [number for index, number in enumerate(self.rows.numbers) if index not in full]


def source_of(rows: Rows, form: Form) -> Source:
    """What the rows say. Raises InvalidData where values are of another type, or most are empty."""
    found = [example_of(row, form, rows.where(index)) for index, row in enumerate(rows.rows)]
    indices = [index for index, example in enumerate(found) if example is not None]
    source = Source(rows, form, indices, [example for example in found if example is not None])
    check_empty(rows.name, len(found), source.empty(), rows.unit, " + ".join(NEEDED[form]))
    return source


def check_tokenizer(form: Form, tokenizer: Any) -> None:
    """Raise InvalidData where it lacks what the form needs: a chat template, or EOS."""
    if form == "chat":
        check_template(tokenizer)
    elif form != "classification":
        end_of(tokenizer)


def encode_all(source: Source, encoder: Encoder) -> list[Encoded]:
    """Every row that says something, in order. Raises what the encoder raises."""
    pairs = zip(source.indices, source.examples, strict=True)
    return [encoder(example, source.rows.where(index)) for index, example in pairs]


def samples_of(encoded: Sequence[Encoded]) -> list[Sample]:
    """Those of which something that is learnt was left."""
    return [one.sample for one in encoded if one.sample is not None]


def report_of(
    source: Source, encoded: Sequence[Encoded], labels: Sequence[str] | None, held_out: int
) -> Report:
    """What was used of a file, and what was not."""
    empty, used = source.empty(), samples_of(encoded)
    classes = [example.label for example in source.examples if isinstance(example, Labelled)]
    return Report(
        name=shown(source.rows.name),
        form=source.form,
        task=task_of(source.form),
        rows=len(source.rows.rows),
        used=len(used),
        held_out=held_out,
        empty=len(empty),
        empty_numbers=first_numbers(empty),
        cut=sum(one.cut and one.sample is not None for one in encoded),
        dropped=len(encoded) - len(used),
        last_only=sum(one.last_only and one.sample is not None for one in encoded),
        tokens=tokens_of([len(sample.input_ids) for sample in used] or [0]),
        labels=None if labels is None else counts_of(labels, classes),
    )
