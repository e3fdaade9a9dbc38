"""The documents of datasets."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

EXAMPLE: dict[str, Any] = {
    "id": "dts_01a2236f1a6ec931edc0e2e520ae6b5a",
    "object": "dataset",
    "source": "uploaded",
    "name": "answers.jsonl",
    "format": "jsonl",
    "bytes": 1048576,
    "sha256": "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
    "columns": ["prompt", "completion"],
    "form": "completion",
    "task": "language",
    "error": None,
    "created_at": "2026-01-31T12:00:00.000Z",
    "metadata": {"team": "research"},
    "links": {"self": "/v1/datasets/dts_01a2236f1a6ec931edc0e2e520ae6b5a"},
}

Source = Literal["uploaded", "registered"]
UploadFormat = Literal["jsonl", "csv", "parquet"]


class Dataset(BaseModel):
    """Data that a training can name by its id, or where it is registered by its name."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: str | None = Field(description="null for a registered one, which its name stands for")
    object: Literal["dataset"] = "dataset"
    source: Source
    name: str
    format: Literal["jsonl", "csv", "parquet", "folder"] = Field(
        description="folder: one that `datasets` saved"
    )
    bytes: int
    sha256: str | None = Field(description="of the uploaded bytes; null for a registered one")
    columns: list[str] | None = Field(
        description="of the first rows; null where this service cannot read the format"
    )
    form: str | None = Field(description="what the columns are: chat, completion, text …")
    task: str | None = Field(description="what is learnt from it: language, choice, classification")
    error: str | None = Field(description="why a registered one cannot be trained on")
    created_at: str = Field(description="of a registered one: when it was changed last")
    metadata: dict[str, str]
    links: dict[str, str]


class DatasetPage(BaseModel):
    """Datasets: uploaded ones newest first, registered ones by name."""

    data: list[Dataset]
    has_more: bool
    next: str | None = Field(description="cursor for `after`; null on the last page")
