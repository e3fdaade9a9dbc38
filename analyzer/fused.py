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
_INTERLEAVED_HEADS = {"gpt_neox", "gpt_neox_japanese", "bloom", "persimmon"}
_TRANSPOSED_EXPERTS = {"gpt_oss", "llama4", "llama4_text", "qwen3_vl_moe", "qwen3_vl_moe_text"}
_CONTIGUOUS_QKV = {"qkv_proj", "qkv", "Wqkv", "c_attn", "query_key_value", "in_proj_weight"}
_FUSED_QKV = _CONTIGUOUS_QKV | {"wqkv", "W_pack"}
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

    Without a config, GPT-2's fused c_attn shows it by being three times as wide as tall.
    """
    if architecture.model_type is not None:
        return architecture.text.model_type in _CONV1D_MODELS
    return any(
        name.endswith("attn.c_attn.weight") and len(shape) == 2 and shape[1] == 3 * shape[0]
        for name, shape in shapes.items()
    )


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
    if leaf in _FUSED_QKV and rows != columns:
        parts = _qkv(leaf, rows, columns, kind, architecture)
        if sum(part.rows for part in parts) != rows:
            raise UnknownLayout(f"{module}: {rows} rows do not fit the heads in config.json")
        return parts
    return ()


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
    if kind == "vision":
        return _stacked(rows, 1, 1)
    config = architecture.text
    model_type, heads = config.model_type, config.heads
    if heads is None:
        if leaf in ("c_attn", "qkv", "Wqkv") and rows == 3 * columns:
            return _stacked(rows, 1, 1)
        raise UnknownLayout(f"{leaf}: a fused weight needs the number of heads from config.json")
    key_value_heads = config.number("num_key_value_heads", "multi_query_group_num") or heads
    if model_type in _INTERLEAVED_HEADS:
        return _grouped(rows, heads, 1)
    if model_type in ("falcon", "RefinedWeb", "RefinedWebModel"):
        return _falcon(config, rows, heads)
    if model_type == "gpt_bigcode":
        multi_query = config.flag("multi_query", True)
        return _stacked(rows, heads, 1) if multi_query else _grouped(rows, heads, 1)
    if model_type == "internlm2":
        return _grouped(rows, key_value_heads, heads // key_value_heads)
    if leaf in _CONTIGUOUS_QKV - {"query_key_value"} or model_type == "chatglm":
        return _stacked(rows, heads, key_value_heads)
    raise UnknownLayout(f"{leaf}: the order of q, k, v in a {model_type} model is not known")


def _falcon(config: Architecture, rows: int, heads: int) -> tuple[Part, ...]:
    if config.flag("new_decoder_architecture"):
        key_value_heads = config.number("num_kv_heads", "n_head_kv") or heads
        return _grouped(rows, key_value_heads, heads // key_value_heads)
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
