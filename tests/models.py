"""Sharded models with random weights, written without transformers."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

LINEAR = ("self_attn.q_proj", "self_attn.k_proj", "mlp.up_proj", "mlp.down_proj")


def write_sharded(
    folder: Path,
    *,
    layers: int,
    width: int,
    embedding: int = 64,
    layers_per_shard: int = 1,
    dtype: torch.dtype = torch.bfloat16,
    linear: Sequence[str] = LINEAR,
    seed: int = 0,
    fall: float = 0.0,
) -> int:
    """Square linear weights of `width` with an index; the bytes of all shards.

    With a `fall` columns fall off by a power law, more so in later layers: alphas differ.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(layers * width + seed)
    columns = torch.arange(1, width + 1)
    shards: list[dict[str, torch.Tensor]] = [
        {"model.embed_tokens.weight": torch.ones(embedding, width, dtype=dtype)}
    ]
    for layer in range(layers):
        if layer and layer % layers_per_shard == 0:
            shards.append({})
        scales = (1 + layer / layers) * columns ** -(fall * (1 + layer / layers))
        for name in linear:
            weight = torch.randn(width, width, generator=generator) * scales
            shards[-1][f"model.layers.{layer}.{name}.weight"] = weight.to(dtype)
        shards[-1][f"model.layers.{layer}.norm.weight"] = torch.ones(width, dtype=dtype)
    weight_map = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file(shard, folder / file)
        weight_map |= dict.fromkeys(shard, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    config = {"model_type": "llama", "num_hidden_layers": layers, "hidden_size": width}
    (folder / "config.json").write_text(json.dumps({**config, "num_attention_heads": 4}))
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))
