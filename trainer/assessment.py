"""What a saved adapter came to on a file: `tailora.evaluation/1`. No torch."""

from typing import Literal

from pydantic import Field

from analyzer.outline import Document
from trainer.dataset.columns import Form
from trainer.dataset.report import Report
from trainer.measures.record import Evaluation


class Assessment(Document):
    """One adapter (or its base alone) on one file. `tailora.evaluation/1`."""

    schema_id: Literal["tailora.evaluation/1"] = Field("tailora.evaluation/1", alias="schema")
    adapter: str = Field(description="as given")
    base: str = Field(description="folder, or Hub id")
    base_only: bool = Field(description="the adapter was left out")
    data: str = Field(description="as given")
    data_sum: str = Field(description="sha256 of what it holds")
    form: Form
    length: int = Field(description="tokens of a sample at most")
    labels: tuple[str, ...] | None = Field(description="classes; null where there are none")
    classes_by: Literal["head", "likelihood"] | None = Field(
        description="how classes were told: by a head, or each label as the text's continuation"
    )
    report: Report
    evaluation: Evaluation
    warnings: tuple[str, ...]
