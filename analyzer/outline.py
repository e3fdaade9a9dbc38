"""The outline: which tensors of a checkpoint are matrices of which layer, from headers alone."""

import json
from collections.abc import Iterable, Sequence
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["adaptable", "router", "expert", "outside"]
StackKind = Literal["text", "vision", "audio"]
Kind = Literal["model", "adapter", "difference"]
Scope = Literal["adaptable", "blocks", "all"]


class Record(BaseModel):
    """Base of every JSON document: immutable, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Document(Record):
    """Base of the documents that carry their schema's name under `schema`."""

    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )


class Stack(Record):
    """A run of transformer blocks."""

    name: str = Field(description="text, vision, audio, encoder or decoder; else the prefix")
    kind: StackKind
    prefix: str = Field(description="what stands before the block index in tensor names")
    layers: int


class View(Record):
    """How a matrix is cut from its stored tensor: expert first, then transpose, then rows."""

    expert: int | None = Field(None, description="index along the first of three dimensions")
    transpose: bool = Field(False, description="stored as in × out")
    groups: int = Field(1, description="equal groups of rows")
    start: int = Field(0, description="first row taken from every group")
    stop: int | None = Field(None, description="row after the last; null takes all")


class Location(Record):
    """One stored tensor."""

    tensor: str
    file: str


class Packing(Record):
    """How a quantised weight is stored; `analyzer.dequantize` turns it into float32."""

    format: str = Field(description="fp8, bnb_int8, bnb_4bit, gptq, awq, mxfp4 or compressed_…")
    tensors: dict[str, Location] = Field(description="every stored tensor it needs, by its role")
    parameters: dict[str, int | float | str | bool | tuple[int, ...] | None] = {}
    base: "Packing | None" = Field(None, description="what is subtracted: a weight of --base")

    @property
    def recipe(self) -> str:
        """What is done to the stored tensors, whatever their names are."""
        base = self.base.recipe if self.base else None
        return json.dumps([self.format, self.parameters, base], sort_keys=True)


class Matrix(Record):
    """One 2-D weight, `shape` as out × in."""

    name: str = Field(description="the tensor's name, with #part where it is a part of a tensor")
    tensor: str
    file: str
    dtype: str
    shape: tuple[int, int]
    role: Role
    stack: str | None = None
    layer: int | None = None
    module: str | None = Field(None, description="suffix inside the block, as in the file")
    part: str | None = Field(None, description="q, k, v, gate or up of a fused module")
    expert: int | None = Field(None, description="index of the expert in a MoE base")
    view: View = View()
    packing: Packing | None = Field(None, description="null: the tensor itself is the weight")
    bytes: int = Field(description="bytes that this matrix takes in the files, scales included")

    @property
    def eigenvalues(self) -> int:
        """Number of eigenvalues: the short side, of a LoRA update its rank."""
        rank = self.packing.parameters.get("rank") if self.packing else None
        return min(*self.shape, rank) if isinstance(rank, int) else min(self.shape)


class Skipped(Record):
    """A tensor that is left out, and why."""

    tensor: str
    dtype: str
    shape: tuple[int, ...]
    code: str
    reason: str


class Module(Record):
    """What a trainer can wrap: one linear layer; a fused one has several matrices."""

    stack: str
    layer: int
    name: str
    shape: tuple[int, int] = Field(description="out × in of the whole module")
    matrices: tuple[str, ...]


class Estimate(Record):
    """The cost of reading and solving a set of matrices in float32 on this machine's CPU."""

    matrices: int
    bytes: int = Field(description="stored bytes of these matrices")
    file_bytes: int = Field(description="bytes of the files that they lie in")
    seconds: float = Field(description="to solve them all; a rough guess")
    peak_memory: int = Field(description="bytes over the idle process, at most")


class Outline(Document):
    """What a checkpoint holds. `tailora.outline/1`."""

    schema_id: Literal["tailora.outline/1"] = Field("tailora.outline/1", alias="schema")
    kind: Kind = "model"
    model: str
    revision: str | None = Field(None, description="commit hash; null for local files")
    model_type: str | None = None
    quantisation: str | None = Field(None, description="packing of the weights, if any")
    unreadable: str | None = Field(
        None, description="which weights cannot be dequantised, and why; such a model is refused"
    )
    files: tuple[str, ...] = Field(description="all weight files of the checkpoint")
    weights: tuple[str, ...] = Field((), description="sorted sha256 of the files, once hashed")
    stacks: tuple[Stack, ...]
    matrices: tuple[Matrix, ...]
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...] = ()
    estimate: Estimate | None = Field(None, description="what a plan from it takes, if asked for")


AnyMatrix = TypeVar("AnyMatrix", bound=Matrix)


def blocks_of(matrices: Iterable[AnyMatrix]) -> dict[tuple[str, int], list[AnyMatrix]]:
    """The matrices of each block, by (stack, layer), in their order; others are left out."""
    blocks: dict[tuple[str, int], list[AnyMatrix]] = {}
    for matrix in matrices:
        if matrix.stack is not None and matrix.layer is not None:
            blocks.setdefault((matrix.stack, matrix.layer), []).append(matrix)
    return blocks


def modules_of(matrices: Iterable[Matrix]) -> list[Module]:
    """The modules that these block matrices make up, in their order.

    A fused module's rows are the sum of its parts' rows.
    """
    groups: dict[tuple[str, int, str], list[Matrix]] = {}
    for matrix in matrices:
        if matrix.stack is not None and matrix.layer is not None and matrix.module is not None:
            groups.setdefault((matrix.stack, matrix.layer, matrix.module), []).append(matrix)
    return [
        Module(
            stack=stack,
            layer=layer,
            name=name,
            shape=(sum(part.shape[0] for part in parts), parts[0].shape[1]),
            matrices=tuple(part.name for part in parts),
        )
        for (stack, layer, name), parts in groups.items()
    ]


_LEFT_OUT = {
    "expert": "expert of a MoE base: analysed (all, or a sample of them), never adapted",
    "router": "router of a MoE base: analysed, never adapted",
    "outside": "outside the blocks: read by `analyze --all` only",
}


def left_out(outline: Outline, chosen: Sequence[Matrix]) -> tuple[Skipped, ...]:
    """Every tensor that contributes nothing when only the `chosen` matrices are read."""
    used = {matrix.tensor for matrix in chosen}
    rest = {
        matrix.tensor: Skipped(
            tensor=matrix.tensor,
            dtype=matrix.dtype,
            shape=matrix.shape,
            code=matrix.role if matrix.role in _LEFT_OUT else "not_selected",
            reason=_LEFT_OUT.get(matrix.role, "in a stack or module that was not selected"),
        )
        for matrix in outline.matrices
        if matrix.tensor not in used
    }
    return (*outline.skipped, *rest.values())
