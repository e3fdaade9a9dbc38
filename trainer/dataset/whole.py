"""A file whose every row is held out, ready to be measured on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analyzer.text import listed, shown
from trainer.dataset.columns import Form, form_of, task_of
from trainer.dataset.encode import Encoded, Encoder, Sample
from trainer.dataset.examples import Choice, Labelled
from trainer.dataset.labels import labels_of
from trainer.dataset.prompts import Prompt, prompts_of
from trainer.dataset.questions import Question, choice_questions, label_questions
from trainer.dataset.read import read_rows
from trainer.dataset.report import Report
from trainer.dataset.source import (
    Source,
    check_tokenizer,
    encode_all,
    report_of,
    samples_of,
    source_of,
)
from trainer.errors import InvalidData
from trainer.recipe import Task


@dataclass(frozen=True)
class Whole:
    """What the rows of a file say to one tokenizer."""

    task: Task
    form: Form
    samples: Sequence[Sample]
    """Empty where classes are told by likelihood."""

    questions: Sequence[Question]
    """Of choices, or of labels after their text."""

    labels: tuple[str, ...] | None
    report: Report
    encoded: Sequence[Encoded]
    tokenizer: Any

    def prompts(self, most: int) -> list[Prompt]:
        """The first `most` that have a prompt and were not cut. Raises InvalidData for none."""
        found: list[Prompt] = []
        if self.task != "classification":
            found = prompts_of(self.encoded, self.tokenizer, most)
        if not found:
            raise InvalidData(
                f"{self.report.name} has no sample with a prompt and an answer that fits whole, so "
                "nothing can be generated to compare with; give prompt + completion, or a greater "
                "length"
            )
        return found


def whole(
    place: str,
    tokenizer: Any,
    length: int,
    *,
    task: Task | None = None,
    labels: Sequence[str] | None = None,
) -> Whole:
    """Read, check and encode a file. With `labels` classes are told by a head of that order.

    `task` narrows the columns to its form. Raises InvalidData, with file and line, where the file
    cannot be read, lacks columns, has a label outside the set, or has nothing to measure on.
    """
    rows = read_rows(place)
    form = form_of(rows.columns, task, rows.name)
    check_tokenizer(form, tokenizer)
    source = source_of(rows, form)
    choices = [example for example in source.examples if isinstance(example, Choice)]
    classified = [example for example in source.examples if isinstance(example, Labelled)]
    by_likelihood = form == "classification" and labels is None
    questions = choice_questions(choices, tokenizer, length)
    if by_likelihood:
        labels = labels_of(classified, None)
        questions = label_questions(classified, labels, tokenizer, length)
    if form == "classification":
        _check_labels(source, labels or ())
    encoded = encode_all(source, Encoder(tokenizer, length, labels))
    samples = samples_of(encoded)
    if not samples:
        raise InvalidData(
            f"nothing is left to measure on in {rows.name}: in all rows what is predicted lies "
            f"beyond {length} tokens; give a greater length"
        )
    return Whole(
        task=task_of(form),
        form=form,
        samples=[] if by_likelihood else samples,
        questions=questions,
        labels=None if labels is None else tuple(labels),
        report=report_of(source, encoded, labels, 0),
        encoded=encoded,
        tokenizer=tokenizer,
    )


def _check_labels(source: Source, labels: Sequence[str]) -> None:
    for index, example in zip(source.indices, source.examples, strict=True):
        if isinstance(example, Labelled) and example.label not in labels:
            raise InvalidData(
                f"{source.rows.where(index)} has the label {shown(example.label, 60)!r}, and the "
                f"adapter was trained for {listed(list(labels))}; correct or remove the row"
            )
