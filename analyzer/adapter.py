"""A LoRA adapter as PEFT saves it: the update of a module is scale · B A, of rank r.

Its non-zero eigenvalues are those of an r × r matrix, so an adapter's spectrum has r of them.
The scale multiplies every eigenvalue by one number and leaves all exponents as they are.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from analyzer.architecture import MAX_CONFIG_BYTES, Architecture, read_json
from analyzer.errors import BadModel, NothingToAnalyse, UnsupportedFormat
from analyzer.header import FLOATS, TensorInfo
from analyzer.naming import find_stacks, split_block_name
from analyzer.outline import Location, Matrix, Outline, Packing, Skipped
from analyzer.source import Source
from analyzer.text import shown

ADAPTER_CONFIG = "adapter_config.json"
FORMAT = "lora"
_A, _B = ".lora_A.weight", ".lora_B.weight"
_PREFIX = "base_model.model."
_PLAIN = r"\^?(?:\w|-|\\?\.)+\$?"
"""A key of a pattern that is no more than a name, its dots escaped or not."""

Stored = tuple[str, TensorInfo]


def is_adapter(tensors: Mapping[str, Stored]) -> bool:
    """Whether tensors are a LoRA adapter's, with no weight of a block among them."""
    return any(name.endswith(_A) for name in tensors) and not any(
        len(info.shape) == 2 and "lora_" not in name and split_block_name(name)
        for name, (_, info) in tensors.items()
    )


def adapter_outline(source: Source, tensors: Mapping[str, Stored]) -> Outline:
    """The outline of an adapter: one matrix for each adapted module.

    Raises BadModel where A and B do not fit, NothingToAnalyse where no pair lies in a block.
    """
    config = _config(source)
    if config.get("target_parameters"):
        raise UnsupportedFormat(
            f"{shown(source.model)} adapts parameters (target_parameters), not modules, which this "
            "version cannot measure"
        )
    modules = {
        name.removesuffix(_A): tensors[name.removesuffix(_A) + _B]
        for name in tensors
        if name.endswith(_A) and name.removesuffix(_A) + _B in tensors
    }
    stacks = find_stacks(
        (name.removeprefix(_PREFIX) for name in modules), Architecture(), gaps=True
    )
    by_prefix = {prefix: stack.name for prefix, stack in stacks.items()}
    matrices = [
        _matrix(name, tensors[name + _A], stored_b, by_prefix, config)
        for name, stored_b in modules.items()
    ]
    if not any(matrix.stack for matrix in matrices):
        raise NothingToAnalyse(
            f"{shown(source.model)} has no pair of lora_A and lora_B inside a transformer block"
        )
    matrices.sort(key=lambda matrix: (matrix.stack or "~", matrix.layer or 0))
    packings = [matrix.packing for matrix in matrices if matrix.packing]
    if len({matrix.name for matrix in matrices}) < len(matrices):
        raise BadModel(f"{shown(source.model)} holds two updates of one module; save it again")
    used = {location.tensor for packing in packings for location in packing.tensors.values()}
    return Outline(
        kind="adapter",
        model=source.model,
        revision=source.revision,
        model_type=None,
        files=tuple(source.files),
        stacks=tuple(stacks.values()),
        matrices=tuple(matrices),
        skipped=tuple(_skipped(tensors, used)),
        warnings=tuple(_warnings(config, tensors)),
    )


def _config(source: Source) -> dict[str, Any]:
    raw = source.small(ADAPTER_CONFIG)
    return {} if raw is None else read_json(raw, ADAPTER_CONFIG, MAX_CONFIG_BYTES)


def _matrix(
    name: str, stored_a: Stored, stored_b: Stored, stacks: Mapping[str, str], config: dict[str, Any]
) -> Matrix:
    (file_a, a), (file_b, b) = stored_a, stored_b
    module = name.removeprefix(_PREFIX)
    if not {a.dtype, b.dtype} <= FLOATS:
        raise UnsupportedFormat(
            f"{module} has {a.dtype} and {b.dtype} updates, which are no plain numbers; "
            "save the adapter in float32 or bfloat16"
        )
    if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[0] != b.shape[1] or 0 in a.shape + b.shape:
        raise BadModel(
            f"lora_A {list(a.shape)} and lora_B {list(b.shape)} of {module} do not fit; "
            "save the adapter again"
        )
    block = split_block_name(module)
    stack = stacks.get(block.prefix) if block else None
    rank = a.shape[0]
    return Matrix(
        name=module,
        tensor=a.name,
        file=file_a,
        dtype=a.dtype,
        shape=(b.shape[0], a.shape[1]),
        role="adaptable" if stack else "outside",
        stack=stack,
        layer=block.layer if block and stack else None,
        module=block.suffix if block and stack else None,
        packing=Packing(
            format=FORMAT,
            tensors={
                "A": Location(tensor=a.name, file=file_a),
                "B": Location(tensor=b.name, file=file_b),
            },
            parameters={"rank": rank, "scale": _scale(module, rank, config)},
        ),
        bytes=a.nbytes + b.nbytes,
    )


def _scale(module: str, rank: int, config: dict[str, Any]) -> float:
    """lora_alpha / r, or lora_alpha / √r with rank-stabilised LoRA; 1 where nothing is said."""
    alpha = config.get("lora_alpha")
    patterns = config.get("alpha_pattern")
    for key, value in patterns.items() if isinstance(patterns, dict) else ():
        if _matches(str(key), module):
            alpha = value
            break
    if not isinstance(alpha, int | float) or not math.isfinite(alpha):
        return 1.0
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _matches(pattern: str, module: str) -> bool:
    """PEFT's keys are expressions on the end of a name; only those of plain names are followed."""
    plain = re.fullmatch(_PLAIN, pattern)
    return plain is not None and re.match(rf"(.*\.)?({pattern})$", module) is not None


def _skipped(tensors: Mapping[str, Stored], used: set[str]) -> Iterator[Skipped]:
    for name, (_, info) in tensors.items():
        if name not in used:
            yield Skipped(
                tensor=name, dtype=info.dtype, shape=info.shape, code="not_lora",
                reason="not one of a pair of lora_A and lora_B",
            )  # fmt: skip


def _warnings(config: dict[str, Any], tensors: Mapping[str, Stored]) -> Iterator[str]:
    if not config:
        yield f"no {ADAPTER_CONFIG}, so eigenvalues are of B A without its scale"
    if isinstance(patterns := config.get("alpha_pattern"), dict) and any(
        re.fullmatch(_PLAIN, str(key)) is None for key in patterns
    ):
        yield "alpha_pattern holds expressions that are not followed: scales may be others"
    if config.get("use_dora") or any("lora_magnitude_vector" in name for name in tensors):
        yield "a DoRA adapter: its magnitudes are left out, the spectra are of scale · B A"
