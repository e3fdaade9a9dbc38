"""What a model's config.json says of its shape, under one set of names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from analyzer import strict_json
from analyzer.errors import UnreadableFile

MAX_CONFIG_BYTES = 1_000_000
_MAX_VALUES = 400_000
_NESTED_TEXT = ("text_config", "language_config", "llm_config", "thinker_config")


def read_json(raw: bytes, file: str, limit: int) -> dict[str, Any]:
    """Parse a JSON object of at most `limit` bytes; UnreadableFile where it is none.

    NaN and Infinity, which real configs hold, are read as null.
    """
    try:
        if len(raw) > limit:
            raise ValueError(f"{len(raw)} bytes, above the limit of {limit}")
        parsed = strict_json.parse(raw, _MAX_VALUES)
        strict_json.check_depth(parsed)
        if not isinstance(parsed, dict):
            raise ValueError("not a JSON object")
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"{file} cannot be used: {error}; fetch it again") from error
    return parsed


@dataclass(frozen=True)
class Architecture:
    """A config.json. Without one (a bare .safetensors file), every question answers None."""

    raw: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def text(self) -> "Architecture":
        """The part that describes the language model; the whole where nothing is nested."""
        for key in _NESTED_TEXT:
            if isinstance(nested := self.raw.get(key), dict):
                return Architecture(nested).text
        return self

    @property
    def model_type(self) -> str | None:
        """transformers' name of the architecture."""
        value = self.raw.get("model_type")
        return _short(value) if isinstance(value, str) else None

    def number(self, *keys: str) -> int | None:
        """The first of these keys that holds a positive whole number."""
        for key in keys:
            value = self.raw.get(key)
            if type(value) is int and value > 0:
                return value
        return None

    def flag(self, key: str, default: bool = False) -> bool:
        """The truth of a key."""
        return bool(self.raw.get(key, default))

    @property
    def layers(self) -> int | None:
        """Number of transformer blocks."""
        return self.number("num_hidden_layers", "n_layer", "n_layers", "num_layers")

    @property
    def heads(self) -> int | None:
        """Number of attention (query) heads."""
        return self.number("num_attention_heads", "n_head", "n_heads", "num_heads")

    @property
    def key_value_heads(self) -> int | None:
        """Number of key and value heads, where the config says it."""
        nested = self.raw.get("attn_config")
        if isinstance(nested, dict) and (found := Architecture(nested).number("kv_n_heads")):
            return found
        return self.number(
            "num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num"
        )

    @property
    def head_size(self) -> int | None:
        """Width of one attention head."""
        stated = self.number("head_dim", "kv_channels")
        if stated is not None or self.hidden_size is None or self.heads is None:
            return stated
        return self.hidden_size // self.heads

    @property
    def hidden_size(self) -> int | None:
        """Width of the residual stream."""
        return self.number("hidden_size", "n_embd", "d_model", "embed_dim")

    @property
    def is_vision(self) -> bool:
        """Whether this is a vision encoder on its own."""
        return "image_size" in self.raw and "vocab_size" not in self.text.raw

    @property
    def quantisation_config(self) -> Mapping[str, Any]:
        """What the config says of the packing of its weights; empty where it says nothing."""
        for config in (self.raw, self.text.raw):
            for key in ("quantization_config", "compression_config", "quantization"):
                if isinstance(declared := config.get(key), dict) and declared:
                    return declared
        return {}

    @property
    def quantisation_method(self) -> str | None:
        """The quantisation method that the config declares."""
        declared = self.quantisation_config
        if not declared:
            return None
        method = declared.get("quant_method") or declared.get("quant_algo")
        if method is None and (declared.get("load_in_4bit") or declared.get("load_in_8bit")):
            method = "bitsandbytes"
        return _short(method or "an unnamed method")

    @property
    def quantisation(self) -> str | None:
        """The declared method in words: `gptq 4-bit`, `compressed-tensors pack-quantized`."""
        method, declared = self.quantisation_method, self.quantisation_config
        if method is None:
            return None
        words = [method]
        if type(bits := declared.get("bits")) is int:
            words.append(f"{_short(bits)}-bit")
        if isinstance(form := declared.get("format"), str):
            words.append(_short(form))
        return " ".join(words)


def _short(value: object) -> str:
    """A word of the config for people to read: printable, and at most 40 characters."""
    return "".join(letter for letter in str(value) if letter.isprintable())[:40]
