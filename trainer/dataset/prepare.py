"""From the recipe's data to samples for training and evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trainer.dataset.columns import NEEDED, Form, fits, form_of, task_of
from trainer.dataset.encode import Encoded, Encoder, Sample
from trainer.dataset.examples import Choice
from trainer.dataset.labels import labels_of
from trainer.dataset.pack import Packed, pack
from trainer.dataset.read import Rows, read_rows
from trainer.dataset.report import Report
from trainer.dataset.source import (
    check_tokenizer,
    encode_all,
    report_of,
    samples_of,
    source_of,
)
from trainer.dataset.split import split
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


def prepare(data: Data, tokenizer: Any, *, task: Task | None) -> Prepared:
    """Read, check, split and encode. The task is that of the columns where none is given.

    Raises InvalidData, with the file and the line, where the data cannot be read or does not fit
    the task or the tokenizer, more than half of the rows are empty, a label is outside the set,
    or nothing is left to train on or to evaluate on.
    """
    rows = read_rows(data.train)
    form = form_of(rows.columns, task, rows.name)
    check_tokenizer(form, tokenizer)
    train = source_of(rows, form)
    other = None if data.held_out is None else source_of(_same_form(data.held_out, form), form)
    labels = labels_of(train.examples, data.labels) if form == "classification" else None
    encoder = Encoder(tokenizer, data.length, labels)
    encoded = encode_all(train, encoder)
    if other is None:
        learnt, held = split(train.examples, data.held_out_share, data.split_seed)
        held_examples = [train.examples[index] for index in held]
        held_encoded = [encoded[index] for index in held]
        report, held_report = report_of(train, encoded, labels, len(samples_of(held_encoded))), None
        encoded = [encoded[index] for index in learnt]
    else:
        held_examples, held_encoded = other.examples, encode_all(other, encoder)
        report = report_of(train, encoded, labels, 0)
        held_report = report_of(other, held_encoded, labels, len(samples_of(held_encoded)))
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


def _same_form(place: str, form: Form) -> Rows:
    rows = read_rows(place)
    if not fits(form, rows.columns):
        raise InvalidData(
            f"{rows.name} lacks columns that the training file has; it needs "
            f"{' + '.join(NEEDED[form])}"
        )
    return rows


def _some(encoded: Sequence[Encoded], purpose: str, length: int) -> list[Sample]:
    samples = samples_of(encoded)
    if not samples:
        raise InvalidData(
            f"nothing is left {purpose}: in all {len(encoded)} usable rows the part that is "
            f"learnt lies beyond {length} tokens; give a greater length, or shorter rows"
        )
    return samples
