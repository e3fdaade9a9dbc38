"""Peak memory of an analysis over the idle process, for sharded models of Llama shapes.

Writes models of bf16 random weights (4096 wide, 11008 in the MLP; about 0.4 GB a layer, one shard
each) and analyses each in a process of its own.

    python -m benchmarks.memory [--layers 2,10] [--precision float32] [--folder DIR]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import torch
from safetensors.torch import save_file

from benchmarks.machine import describe

HIDDEN, INNER = 4096, 11008
SHAPES = {
    **{f"self_attn.{name}_proj": (HIDDEN, HIDDEN) for name in "qkvo"},
    "mlp.gate_proj": (INNER, HIDDEN),
    "mlp.up_proj": (INNER, HIDDEN),
    "mlp.down_proj": (HIDDEN, INNER),
}


def write_model(folder: Path, layers: int) -> int:
    """Write a sharded model with an index; returns its bytes."""
    generator = torch.Generator().manual_seed(0)
    weight_map = {}
    for layer in range(layers):
        shard = f"model-{layer + 1:05d}-of-{layers:05d}.safetensors"
        weights = {
            f"model.layers.{layer}.{name}.weight": torch.randn(
                *shape, generator=generator, dtype=torch.bfloat16
            )
            for name, shape in SHAPES.items()
        }
        save_file(weights, folder / shard)
        weight_map.update(dict.fromkeys(weights, shard))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    config = {"model_type": "llama", "num_hidden_layers": layers, "hidden_size": HIDDEN}
    (folder / "config.json").write_text(json.dumps({**config, "num_attention_heads": 32}))
    return sum(path.stat().st_size for path in folder.iterdir())


def measure(folder: str, precision: str) -> None:
    """In a process of its own: print idle and peak resident megabytes and seconds."""
    import_module("analyzer.solver")  # so that what torch itself takes counts as idle
    from analyzer.api import analyze

    torch.zeros(64, 64) @ torch.zeros(64, 64)
    idle = _peak()
    cache = Path(folder) / "cache"
    found = analyze(folder, scope="adaptable", precision=precision, cache=cache)
    print(json.dumps({"idle": idle, "peak": _peak(), "seconds": found.provenance.seconds}))


def _peak() -> float:
    """Peak resident megabytes of this process so far.

    Linux's own record is asked first: getrusage also counts what the parent held before exec.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1e3
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Peak memory of an analysis.")
    parser.add_argument("--layers", default="2,10")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--folder", default=None)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.measure, given.precision)
        return
    print(f"{describe()}\n")
    print("| layers | model GB | precision | idle MB | peak over idle MB | seconds |")
    print("|---|---|---|---|---|---|")
    for layers in map(int, given.layers.split(",")):
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            size = write_model(Path(folder), layers)
            command = [sys.executable, "-m", "benchmarks.memory", "--measure", folder]
            command += ["--precision", given.precision]
            found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            over = found["peak"] - found["idle"]
            print(
                f"| {layers} | {size / 1e9:.1f} | {given.precision} | {found['idle']:.0f} | "
                f"{over:.0f} | {found['seconds']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
