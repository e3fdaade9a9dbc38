"""From the recipe's data to samples for training and evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from analyzer.text import shown
from trainer.dataset.chat import check_template
from trainer.dataset.columns import NEEDED, Form, fits, form_of, task_of
from trainer.dataset.encode import Encoded, Encoder, Sample
from trainer.dataset.examples import Choice, Example, Labelled, example_of
from trainer.dataset.labels import labels_of
from trainer.dataset.pack import Packed, pack
from trainer.dataset.read import Rows, read_rows
from trainer.dataset.report import Report, check_empty, counts_of, first_numbers, tokens_of
from trainer.dataset.split import split
from trainer.dataset.tokens import end_of
from trainer.errors import InvalidData
from trainer.recipe import Data, Task


@dataclass(frozen=True)
class Prepared:
    """Everything that a run needs to know of its data."""

    train: Sequence[Sample]
    packed: Sequence[Packed] | None
    """The samples trained on, packed; None unless the recipe asks for it."""

    held_out: Sequence[Sample]
    labels: tuple[str, ...] | None
    """Classes in the head's order; None unless the task is classification."""

    choices: tuple[Choice, ...] | None
    """The held-out questions, for evaluation; None unless the task is choice."""

    task: Task
    report: Report
    """Of the training file."""

    held_out_report: Report | None
    """Of the file of held-out rows; None where they are a share of the training file."""


class _Source(NamedTuple):
    """A file with what its rows say, empty ones left out."""

    rows: Rows
    form: Form
    indices: list[int]
    examples: list[Example]


def prepare(data: Data, tokenizer: Any, *, task: Task | None, seed: int) -> Prepared:
    """Read, check, split and encode. The task is that of the columns where none is given.

    Raises InvalidData, with the file and the line, where the data cannot be read or does not fit
    the task or the tokenizer, more than half of the rows are empty, a label is outside the set,
    or nothing is left to train on or to evaluate on.
    """
    rows = read_rows(data.train)
    form = form_of(rows.columns, task, rows.name)
    _check_tokenizer(form, tokenizer)
    train = _source(rows, form)
    other = None if data.held_out is None else _source(_same_form(data.held_out, form), form)
    labels = labels_of(train.examples, data.labels) if form == "classification" else None
    encoder = Encoder(tokenizer, data.length, labels)
    encoded = _encoded(train, encoder)
    if other is None:
        learnt, held = split(train.examples, data.held_out_share, seed)
        held_examples = [train.examples[index] for index in held]
        held_encoded = [encoded[index] for index in held]
        report, held_report = _report(train, encoded, labels, len(_samples(held_encoded))), None
        encoded = [encoded[index] for index in learnt]
    else:
        held_examples, held_encoded = other.examples, _encoded(other, encoder)
        report = _report(train, encoded, labels, 0)
        held_report = _report(other, held_encoded, labels, len(_samples(held_encoded)))
    choices = tuple(example for example in held_examples if isinstance(example, Choice))
    samples = _some(encoded, f"to train on in {rows.name}", data.length)
    packed = pack(samples, data.length) if data.packing else None
    if packed is not None:
        report = report.model_copy(update={"sequences": len(packed)})
    return Prepared(
        train=samples,
        packed=packed,
        held_out=_some(held_encoded, "held out for evaluation", data.length),
        labels=labels,
        choices=choices if form == "choice" else None,
        task=task_of(form),
        report=report,
        held_out_report=held_report,
    )


def _check_tokenizer(form: Form, tokenizer: Any) -> None:
    if form == "chat":
        check_template(tokenizer)
    elif form != "classification":
        end_of(tokenizer)


def _same_form(place: str, form: Form) -> Rows:
    rows = read_rows(place)
    if not fits(form, rows.columns):
        raise InvalidData(
            f"{rows.name} lacks columns that the training file has; it needs "
            f"{' + '.join(NEEDED[form])}"
        )
    return rows


def _source(rows: Rows, form: Form) -> _Source:
    found = [example_of(row, form, rows.where(index)) for index, row in enumerate(rows.rows)]
    indices = [index for index, example in enumerate(found) if example is not None]
    source = _Source(rows, form, indices, [example for example in found if example is not None])
    needed = " + ".join(NEEDED[form])
    check_empty(rows.name, len(found), _empty(source), rows.unit, needed)
    return source


def _empty(source: _Source) -> list[int]:
    full = set(source.indices)
    return [number for index, number in enumerate(source.rows.numbers) if index not in full]


def _encoded(source: _Source, encoder: Encoder) -> list[Encoded]:
    pairs = zip(source.indices, source.examples, strict=True)
    return [encoder(example, source.rows.where(index)) for index, example in pairs]


def _samples(encoded: Sequence[Encoded]) -> list[Sample]:
    return [one.sample for one in encoded if one.sample is not None]


def _some(encoded: Sequence[Encoded], purpose: str, length: int) -> list[Sample]:
    samples = _samples(encoded)
    if not samples:
        raise InvalidData(
            f"nothing is left {purpose}: in all {len(encoded)} usable rows the part that is "
            f"learnt lies beyond {length} tokens; give a greater length, or shorter rows"
        )
    return samples


def _report(
    source: _Source, encoded: Sequence[Encoded], labels: Sequence[str] | None, held_out: int
) -> Report:
    empty, used = _empty(source), _samples(encoded)
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
        tokens=tokens_of([len(sample.input_ids) for sample in used] or [0]),
        labels=None if labels is None else counts_of(labels, classes),
    )
