"""What an analysis is asked to be, and what is answered."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from analyzer.measures import Measures
from analyzer.report import LayerValue, Settings
from analyzer.tails import Fit
from service.jobs.schemas import Envelope, Metadata
from worker.requests import AnalysisWords, MeasuringWords, ModelWords


class AnalysisRequest(ModelWords, MeasuringWords):
    """`{"model": "…"}` and the command's options."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "Qwen/Qwen3-8B"}]})

    everything: Annotated[
        bool, Field(alias="all", description="embeddings, heads and poolers too")
    ] = False
    experts_per_layer: int | None = Field(
        None, description="of a MoE base read only so many experts of each layer"
    )
    metadata: Metadata = Field({}, description="labels of your own")

    def words(self) -> AnalysisWords:
        """The words that shape the numbers."""
        own = {name: getattr(self, name) for name in MeasuringWords.model_fields}
        return AnalysisWords(
            **own,
            scope="all" if self.everything else "blocks",
            experts_per_layer=self.experts_per_layer,
        )


class Summary(BaseModel):
    """What an analysis says of the layers."""

    settings: Settings
    layers: list[LayerValue]
    matrices: int
    warnings: list[str]


class AnalysisEnvelope(Envelope):
    """An analysis job; `summary` is null until it is done."""

    summary: Summary | None


class MatrixRow(BaseModel):
    """One matrix."""

    name: str
    stack: str | None
    layer: int | None
    module: str | None
    shape: tuple[int, int]
    dtype: str
    fit: Fit
    measures: Measures | None


class Matrices(BaseModel):
    """The matrices of an analysis, by the estimator that was asked for."""

    estimator: str
    data: list[MatrixRow]


class TailLine(BaseModel):
    """The fitted density from xmin to the largest eigenvalue, straight on log axes."""

    x: tuple[float, float]
    y: tuple[float, float]


class Esd(BaseModel):
    """The empirical spectral density of one matrix, over bins of equal width in log λ."""

    name: str
    status: str
    eigenvalues: int
    zeros: int = Field(description="eigenvalues at rounding level, in no bin")
    edges: list[float]
    density: list[float] = Field(description="share of all eigenvalues per unit of λ")
    fit: Fit
    line: TailLine | None
    values: list[float] | None = Field(description="all eigenvalues, with full=true")
