"""Build the outline of a checkpoint from its headers."""

import re
from collections.abc import Iterator, Mapping

from analyzer import fused
from analyzer.adapter import adapter_outline, is_adapter
from analyzer.architecture import Architecture
from analyzer.errors import BadModel, NothingToAnalyse
from analyzer.header import FLOATS, TensorInfo
from analyzer.naming import BlockName, find_stacks, split_block_name
from analyzer.outline import Matrix, Outline, Role, Skipped, Stack, View
from analyzer.packing.checkpoint import Checkpoint
from analyzer.packing.find import Packed, find_packed
from analyzer.source import Source
from analyzer.text import shown

MOST_EXPERTS = 4096
MOST_WARNINGS = 50
_EMBEDDING = re.compile(r"(^|[._])(embed|wte|wpe|relative_attention_bias|rel_pos)")
_ROUTERS = {"router", "gate", "shared_expert_gate", "gating_network"}


def outline(source: Source) -> Outline:
    """The outline of a source.

    Raises BadModel (or one of its kinds) where the files contradict each other or themselves,
    NothingToAnalyse where no linear weight lies inside a transformer block.
    """
    architecture = source.architecture
    tensors = _tensors(source)
    if is_adapter(tensors):
        return adapter_outline(source, tensors)
    checkpoint = Checkpoint(tensors, architecture, source.read_bytes)
    source.read_ahead(checkpoint.facts())
    packed = find_packed(checkpoint)
    source.read_ahead({})
    stacks = _stacks(tensors, packed, architecture)
    scan = _Scan(tensors, packed, stacks, architecture)
    matrices = [matrix for file, info in tensors.values() for matrix in scan.stored(file, info)]
    if not any(matrix.role == "adaptable" for matrix in matrices) and packed.problem is None:
        raise NothingToAnalyse(
            f"{shown(source.model)} has no linear weight inside a transformer block "
            f"({len(tensors)} tensors); is it an adapter or another kind of model?"
        )
    order = {stack.name: position for position, stack in enumerate(stacks.values())}
    return Outline(
        model=source.model,
        revision=source.revision,
        model_type=architecture.model_type,
        quantisation=architecture.quantisation or packed.formats,
        unreadable=packed.problem,
        files=tuple(source.files),
        stacks=tuple(stacks.values()),
        matrices=tuple(sorted(matrices, key=lambda matrix: _position(matrix, order))),
        skipped=tuple(scan.skipped),
        warnings=(*_first(scan.warnings), *packed.warnings),
    )


def _first(warnings: Mapping[str, None]) -> list[str]:
    shown_ones, rest = list(warnings)[:MOST_WARNINGS], len(warnings) - MOST_WARNINGS
    return [*shown_ones, *([f"{rest} more warnings of this kind"] if rest > 0 else [])]


def _tensors(source: Source) -> dict[str, tuple[str, TensorInfo]]:
    tensors: dict[str, tuple[str, TensorInfo]] = {}
    for file in source.files:
        for info in source.tensors(file):
            if info.name in tensors:
                raise BadModel(
                    f"{info.name} is both in {tensors[info.name][0]} and in {file}; "
                    "remove the file that does not belong to the model"
                )
            tensors[info.name] = file, info
    return tensors


def _position(matrix: Matrix, order: Mapping[str, int]) -> tuple[int, int]:
    if matrix.stack is None or matrix.layer is None:
        return len(order), 0
    return order[matrix.stack], matrix.layer


def _stacks(
    tensors: Mapping[str, tuple[str, TensorInfo]], packed: Packed, architecture: Architecture
) -> dict[str, Stack]:
    names = [name for name, (_, info) in tensors.items() if len(info.shape) == 2]
    names += [weight.name for weight in packed.weights.values() if len(weight.shape) == 2]
    stacks = find_stacks([name.rpartition(".")[0] for name in names], architecture)
    declared = architecture.text.layers
    for prefix, stack in list(stacks.items()):
        if stack.name != "text" or declared is None:
            continue
        if stack.layers < declared:
            raise BadModel(
                f"config.json speaks of {declared} layers, but the weights hold {stack.layers}: "
                "the checkpoint is incomplete (pass the folder that holds all its files), "
                "or its layers share weights, which no plan can tell apart"
            )
        stacks[prefix] = stack.model_copy(update={"layers": declared})
    return stacks


class _Scan:
    """Sorts tensors into matrices and skipped ones; remembers what it saw on the way."""

    def __init__(
        self,
        tensors: Mapping[str, tuple[str, TensorInfo]],
        packed: Packed,
        stacks: Mapping[str, Stack],
        architecture: Architecture,
    ) -> None:
        self._packed = packed
        self._stacks = stacks
        self._architecture = architecture
        # What a packing stores as out × in says nothing of how the other weights are stored.
        self._unpacked = {w.name for w in packed.weights.values() if not w.as_stored}
        self._names = {w.name for w in packed.weights.values()}
        shapes = {name: info.shape for name, (_, info) in tensors.items()}
        self._transposed = fused.stores_transposed(shapes, architecture)
        self._has_experts = any(_is_expert(name.split(".")) for name in tensors)
        self.skipped: list[Skipped] = []
        self.warnings: dict[str, None] = {}

    def stored(self, file: str, info: TensorInfo) -> Iterator[Matrix]:
        """The matrices of one stored tensor; none where it is skipped or belongs to another."""
        weight = self._packed.weights.get(info.name)
        if weight is None:
            if info.name not in self._packed.companions:
                yield from self._tensor(file, info)
            return
        unpacked = TensorInfo(weight.name, info.dtype, weight.shape, 0, weight.nbytes)
        for matrix in self._tensor(file, unpacked):
            yield matrix.model_copy(update={"tensor": info.name, "packing": weight.packing})
        if self.skipped and self.skipped[-1].tensor == weight.name:
            skipped = self.skipped.pop()
            for location in weight.packing.tensors.values():
                self.skipped.append(skipped.model_copy(update={"tensor": location.tensor}))

    def _tensor(self, file: str, info: TensorInfo) -> Iterator[Matrix]:
        block = split_block_name(info.name)
        stack = self._stacks.get(block.prefix) if block else None
        skip = self._reason(info, block, stack)
        if skip is not None:
            self.skipped.append(
                Skipped(
                    tensor=info.name,
                    dtype=info.dtype,
                    shape=info.shape,
                    code=skip[0],
                    reason=skip[1],
                )
            )
        elif block is None or stack is None:
            yield _whole(file, info)
        elif len(info.shape) == 3:
            yield from self._experts(file, info, stack, block)
        else:
            yield from self._linear(file, info, stack, block)

    def _reason(
        self, info: TensorInfo, block: BlockName | None, stack: Stack | None
    ) -> tuple[str, str] | None:
        if info.name in self._packed.unreadable:
            return "quantised", f"cannot be dequantised: {self._packed.unreadable[info.name]}"
        if info.name.endswith("bias"):
            return "bias", "a bias"
        if len(info.shape) < 2:
            return "one_dimensional", "one-dimensional: a norm or scale"
        if 0 in info.shape:
            return "empty", "has no elements"
        if info.dtype not in FLOATS and info.name not in self._names:
            return "not_a_float", f"{info.dtype} is not a weight"
        if block is not None and stack is not None:
            return self._reason_in_block(info, block, stack)
        if len(info.shape) > 2:
            return "not_a_matrix", "more than two dimensions: a convolution or a parameter"
        return None

    def _reason_in_block(
        self, info: TensorInfo, block: BlockName, stack: Stack
    ) -> tuple[str, str] | None:
        parts = block.suffix.split(".")
        if block.layer >= stack.layers:
            return "extra_layer", "beyond the config's layers: multi-token prediction"
        if "lora_" in block.suffix:
            return "adapter", "part of a LoRA adapter"
        if _EMBEDDING.search(block.suffix):
            return "embedding", "an embedding inside a block"
        if len(info.shape) == 3 and _is_expert(parts):
            return None
        if len(info.shape) > 2:
            return "not_a_matrix", "more than two dimensions: a convolution or a parameter"
        if parts[-1] not in ("weight", "in_proj_weight"):
            return "not_linear", "a parameter that is not a linear layer's weight"
        return None

    def _linear(
        self, file: str, info: TensorInfo, stack: Stack, block: BlockName
    ) -> Iterator[Matrix]:
        module = block.suffix.removesuffix(".weight")
        stored = info.name not in self._unpacked
        transpose = stored and self._transposed and fused.is_conv1d(module)
        rows, columns = reversed(info.shape) if transpose else info.shape
        whole = Matrix(
            name=info.name,
            tensor=info.name,
            file=file,
            dtype=info.dtype,
            shape=(rows, columns),
            role=self._role(module),
            stack=stack.name,
            layer=block.layer,
            module=module,
            expert=_expert_index(module),
            view=View(transpose=transpose),
            bytes=info.nbytes,
        )
        yield from self._parts(whole, stack)

    def _experts(
        self, file: str, info: TensorInfo, stack: Stack, block: BlockName
    ) -> Iterator[Matrix]:
        module = block.suffix.removesuffix(".weight")
        count, *stored = info.shape
        if count > MOST_EXPERTS:
            raise BadModel(
                f"{info.name} claims {count} experts, above the limit of {MOST_EXPERTS}; "
                "check where the file comes from"
            )
        is_gate_up = module.endswith(("gate_up_proj", "input_linear"))
        transpose = info.name not in self._unpacked and fused.is_transposed_expert(
            (stored[0], stored[1]), is_gate_up, self._architecture
        )
        rows, columns = reversed(stored) if transpose else stored
        for expert in range(count):
            whole = Matrix(
                name=f"{info.name}#{expert}",
                tensor=info.name,
                file=file,
                dtype=info.dtype,
                shape=(rows, columns),
                role="expert",
                stack=stack.name,
                layer=block.layer,
                module=module,
                expert=expert,
                view=View(expert=expert, transpose=transpose),
                bytes=info.nbytes // count,
            )
            yield from self._parts(whole, stack)

    def _parts(self, whole: Matrix, stack: Stack) -> Iterator[Matrix]:
        """The parts of a fused matrix; the matrix itself where it is none or its layout unknown."""
        rows, columns = whole.shape
        try:
            parts = fused.parts_of(
                whole.module or "", rows, columns, stack.kind, self._architecture
            )
        except fused.UnknownLayout as unknown:
            parts = ()
            warning = f"{unknown}; analysed as one matrix"
            self.warnings[warning] = None
        if not parts:
            yield whole
        mark = "#" if whole.view.expert is None else "."
        for part in parts:
            cut = {"groups": part.groups, "start": part.start, "stop": part.stop}
            yield whole.model_copy(
                update={
                    "name": f"{whole.name}{mark}{part.name}",
                    "shape": (part.rows, columns),
                    "part": part.name,
                    "view": whole.view.model_copy(update=cut),
                    "bytes": whole.bytes * part.rows // rows,
                }
            )

    def _role(self, module: str) -> Role:
        parts = module.split(".")
        if _is_expert(parts):
            return "expert"
        if "router" in parts or (self._has_experts and _ROUTERS & set(parts)):
            return "router"
        return "adaptable"


def _whole(file: str, info: TensorInfo) -> Matrix:
    rows, columns = info.shape
    return Matrix(
        name=info.name,
        tensor=info.name,
        file=file,
        dtype=info.dtype,
        shape=(rows, columns),
        role="outside",
        bytes=info.nbytes,
    )


def _is_expert(parts: list[str]) -> bool:
    return "experts" in parts or parts[-2:] in (
        ["input_linear", "weight"],
        ["output_linear", "weight"],
    )


def _expert_index(module: str) -> int | None:
    found = re.search(r"(^|\.)experts\.(\d+)\.", module)
    return int(found.group(2)) if found else None
