"""Sharded bf16 models with random weights of Llama's shapes, no two tensors alike."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

Shape = tuple[int, int]
_ENTRIES = 67_108_859
"""A prime, so that a tensor larger than the block does not repeat itself row by row."""


def llama_layer(hidden: int, inner: int, small: int | None = None) -> dict[str, Shape]:
    """The linear matrices of one layer (out × in); keys and values are `small` wide."""
    values = small or hidden
    return {
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (values, hidden),
        "self_attn.v_proj": (values, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }


class Noise:
    """Gaussian bf16 tensors cut from one block: fast, each from another place and rescaled."""

    def __init__(self, seed: int = 0) -> None:
        """Draw the block."""
        generator = torch.Generator().manual_seed(seed)
        self._block = torch.randn(_ENTRIES, generator=generator).bfloat16()
        self._made = 0

    def tensor(self, shape: Shape) -> torch.Tensor:
        """The next tensor; it begins where no other one begins."""
        self._made += 1
        start = self._made * 1_000_003 % _ENTRIES
        count = shape[0] * shape[1]
        repeats = -(-(start + count) // _ENTRIES)
        return torch.cat([self._block] * repeats)[start : start + count].reshape(shape).clone()


def write_sharded(folder: Path, shards: Iterator[Mapping[str, Shape]], **config: object) -> int:
    """Write shards with these tensors, an index and a config.json; returns the shards' bytes."""
    noise, size = Noise(), 0
    weight_map: dict[str, str] = {}
    for number, shapes in enumerate(shards, 1):
        shard = f"model-{number:05d}.safetensors"
        save_file({name: noise.tensor(shape) for name, shape in shapes.items()}, folder / shard)
        weight_map.update(dict.fromkeys(shapes, shard))
        size += (folder / shard).stat().st_size
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (folder / "config.json").write_text(json.dumps({"num_attention_heads": 32, **config}))
    return size


def write_llama(folder: Path, layers: int, layer: Mapping[str, Shape], a_shard: int = 1) -> int:
    """Write `layers` equal layers, `a_shard` of them in each shard; returns the shards' bytes."""

    def shards() -> Iterator[dict[str, Shape]]:
        for first in range(0, layers, a_shard):
            yield {
                f"model.layers.{number}.{name}.weight": shape
                for number in range(first, min(first + a_shard, layers))
                for name, shape in layer.items()
            }

    hidden = layer["self_attn.q_proj"][0]
    return write_sharded(
        folder, shards(), model_type="llama", num_hidden_layers=layers, hidden_size=hidden
    )
