"""Models whose matrices take a chosen time to solve."""

import subprocess
import sys
import time
from pathlib import Path

from tests.models import LINEAR, write_sharded

NAMES = (*LINEAR, "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj")
FALL = 0.3


def write_matrices(
    folder: Path, count: int, side: int, seed: int = 0, layers: int | None = None
) -> list[str]:
    """A model of `count` different square bfloat16 weights, a file a layer; their tensor names.

    Without `layers` there are up to four weights in each.
    """
    if layers is None:
        layers = count // max(n for n in range(1, len(LINEAR) + 1) if count % n == 0)
    each, rest = divmod(count, layers)
    assert rest == 0, f"{count} matrices do not fill {layers} layers"
    assert 1 <= each <= len(NAMES), f"{each} matrices a layer; there are {len(NAMES)} names"
    write_sharded(folder, layers=layers, width=side, linear=NAMES[:each], seed=seed, fall=FALL)
    return [f"model.layers.{i}.{name}.weight" for i in range(layers) for name in NAMES[:each]]


def seconds_to_solve(folder: Path) -> float:
    """What the first matrix takes on one thread, measured in a process of its own."""
    words = [sys.executable, "-m", "tests.servers.models", folder]
    found = subprocess.run(words, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert found.returncode == 0, found.stderr
    return float(found.stdout)


def _solve(folder: Path) -> float:
    import torch
    from safetensors import safe_open

    from analyzer.eigenvalues import eigenvalues

    torch.set_num_threads(1)
    eigenvalues(torch.randn(64, 64))  # what only the first one takes
    with safe_open(min(folder.glob("*.safetensors")), "pt") as file:
        name = next(name for name in file.keys() if name.startswith("model.layers.0.self"))  # noqa: SIM118
        weight = file.get_tensor(name)
    times = []
    while len(times) < 3 and sum(times) < 2:
        begin = time.perf_counter()
        eigenvalues(weight)
        times.append(time.perf_counter() - begin)
    return min(times)


if __name__ == "__main__":
    print(_solve(Path(sys.argv[1])))
