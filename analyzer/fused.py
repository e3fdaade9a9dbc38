"""How a fused weight divides into the matrices that it stands for.

Rows of the weight (as out × in) fall into equal groups; a part takes the same range of rows from
every group. One group gives blocks one under the other (Phi-3's q, k, v), a group per head gives
the interleaving of GPT-NeoX, a group per key-value head that of Falcon, a group of two rows the
alternating gate and up of gpt-oss.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from analyzer.architecture import Architecture

_CONV1D_MODELS = {"gpt2", "openai-gpt", "imagegpt", "decision_transformer", "clvp"}
_CONV1D_MODULES = {"c_attn", "q_attn", "c_proj", "c_fc"}
_INTERLEAVED_HEADS = {"gpt_neox", "gpt_neox_japanese", "bloom", "persimmon", "deberta"}
_TRANSPOSED_EXPERTS = {"gpt_oss", "llama4", "llama4_text", "qwen3_vl_moe", "qwen3_vl_moe_text"}
_STACKED_QKV = {"qkv_proj", "qkv", "Wqkv", "c_attn", "W_pack", "in_proj_weight"}
_FUSED_QKV = _STACKED_QKV | {"query_key_value", "wqkv"}
_CODEGEN_GROUPS = 4
_FUSED_GATE_UP = {"gate_up_proj", "input_linear", "Wi"}


@dataclass(frozen=True, slots=True)
class Part:
    """One matrix of a fused weight: rows start:stop of each of `groups` equal groups of rows."""

    name: str
    groups: int
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """Number of rows of the part."""
        return self.groups * (self.stop - self.start)


class UnknownLayout(Exception):
    """A fused weight whose inner order is not known; the message says which and why."""


def stores_transposed(shapes: Mapping[str, tuple[int, ...]], architecture: Architecture) -> bool:
    """Whether a checkpoint stores its linear weights as in × out (transformers' Conv1D).

    GPT-2's fused c_attn shows it by being three times as wide as tall, whatever the config says.
    """
    for name, shape in shapes.items():
        if name.endswith(".attn.c_attn.weight") and len(shape) == 2:
            if shape[1] == 3 * shape[0]:
                return True
            if shape[0] == 3 * shape[1]:
                return False
    return architecture.text.model_type in _CONV1D_MODELS


def is_conv1d(module: str) -> bool:
    """Whether a module of a checkpoint that stores Conv1D weights is one of them."""
    return module.rsplit(".", 1)[-1] in _CONV1D_MODULES


def is_transposed_expert(shape: tuple[int, int], fused: bool, architecture: Architecture) -> bool:
    """Whether the slices of a 3-D expert weight are stored as in × out."""
    text = architecture.text
    if text.model_type in _TRANSPOSED_EXPERTS or architecture.model_type in _TRANSPOSED_EXPERTS:
        return True
    hidden = text.hidden_size
    if hidden is None or shape[0] == shape[1]:
        return False
    return shape[0] == hidden if fused else shape[1] == hidden


def may_be_fused(module: str) -> bool:
    """Whether a module's name is one under which some architecture stores several matrices."""
    leaf = module.rsplit(".", 1)[-1]
    return leaf in _FUSED_GATE_UP | _FUSED_QKV | {"in_proj"} or "qkv" in leaf


def parts_of(
    module: str, rows: int, columns: int, kind: str, architecture: Architecture
) -> tuple[Part, ...]:
    """The parts of a module's weight (rows × columns as out × in); empty where it is not fused.

    `kind` is the stack's kind. Raises UnknownLayout where the name says that the weight is fused
    but its layout is not known, or does not fit the config.
    """
    leaf = module.rsplit(".", 1)[-1]
    if leaf in _FUSED_GATE_UP and (leaf != "Wi" or architecture.model_type == "modernbert"):
        return _gate_up(module, rows, architecture)
    if rows == columns or not _is_fused_qkv(leaf, architecture):
        return ()
    parts = _qkv(leaf, rows, columns, kind, architecture)
    if sum(part.rows for part in parts) != rows or min(part.rows for part in parts) <= 0:
        raise UnknownLayout(f"{leaf}: {rows} rows do not fit the heads in config.json")
    return parts


def _is_fused_qkv(leaf: str, architecture: Architecture) -> bool:
    if leaf == "in_proj":
        return architecture.text.model_type == "deberta"
    return leaf in _FUSED_QKV or "qkv" in leaf


def _gate_up(module: str, rows: int, architecture: Architecture) -> tuple[Part, ...]:
    if rows % 2:
        raise UnknownLayout(f"{module}: {rows} rows cannot be halved into gate and up")
    half = rows // 2
    if architecture.text.model_type == "gpt_oss":
        return Part("gate", half, 0, 1), Part("up", half, 1, 2)
    return Part("gate", 1, 0, half), Part("up", 1, half, rows)


def _qkv(
    leaf: str, rows: int, columns: int, kind: str, architecture: Architecture
) -> tuple[Part, ...]:
    if (kind == "vision" and leaf in _STACKED_QKV) or leaf == "in_proj_weight":
        return _stacked(rows, 1, 1)
    config = architecture.text
    if config.heads is None:
        if leaf in _STACKED_QKV and rows == 3 * columns:
            return _stacked(rows, 1, 1)
        raise UnknownLayout(f"{leaf}: a fused weight needs the number of heads from config.json")
    parts = _by_heads(leaf, rows, config, config.heads)
    head = config.head_size
    if head is not None and parts[0].rows != config.heads * head:
        raise UnknownLayout(f"{leaf}: {rows} rows do not fit the heads in config.json")
    return parts


def _by_heads(leaf: str, rows: int, config: Architecture, heads: int) -> tuple[Part, ...]:
    model_type, key_value_heads = config.model_type, config.key_value_heads or heads
    if model_type in _INTERLEAVED_HEADS:
        return _grouped(rows, heads, 1)
    if model_type in ("falcon", "RefinedWeb", "RefinedWebModel"):
        if config.flag("new_decoder_architecture"):
            return _grouped(rows, key_value_heads, heads // key_value_heads)
        return _multi_query(rows, heads, config)
    if model_type == "gpt_bigcode":
        return _multi_query(rows, heads, config)
    if model_type == "internlm2":
        return _grouped(rows, key_value_heads, heads // key_value_heads)
    if model_type == "codegen":
        third = rows // (3 * _CODEGEN_GROUPS)
        names = ("q", "v", "k")
        return tuple(
            Part(name, _CODEGEN_GROUPS, place * third, (place + 1) * third)
            for place, name in enumerate(names)
        )
    if model_type == "chatglm" and config.number("multi_query_group_num") is None:
        return _grouped(rows, heads, 1)
    if leaf in _STACKED_QKV or model_type == "chatglm":
        return _stacked(rows, heads, key_value_heads)
    raise UnknownLayout(f"{leaf}: the order of q, k, v in a {model_type} model is not known")


def _multi_query(rows: int, heads: int, config: Architecture) -> tuple[Part, ...]:
    """One key and value for all queries, stacked; else interleaved by head."""
    if config.flag("multi_query", True):
        return _stacked(rows, heads, 1)
    return _grouped(rows, heads, 1)


def _stacked(rows: int, heads: int, key_value_heads: int) -> tuple[Part, ...]:
    """All of q, then all of k, then all of v."""
    head = rows // (heads + 2 * key_value_heads)
    ends = heads * head, (heads + key_value_heads) * head, (heads + 2 * key_value_heads) * head
    return Part("q", 1, 0, ends[0]), Part("k", 1, ends[0], ends[1]), Part("v", 1, ends[1], ends[2])


def _grouped(rows: int, groups: int, queries: int) -> tuple[Part, ...]:
    """For each group of heads its queries, then one key, then one value."""
    head = rows // (groups * (queries + 2))
    middle = queries * head
    return (
        Part("q", groups, 0, middle),
        Part("k", groups, middle, middle + head),
        Part("v", groups, middle + head, middle + 2 * head),
    )
