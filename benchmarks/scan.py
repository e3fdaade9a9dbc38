"""The KS scan against measuring every tail in full.

    python -m benchmarks.scan [--sizes 1024 4096 16384] [--rounds 5]

The baseline is the definition, one vectorised distance a tail, in the same run and interleaved.
"""

import argparse
import time
from statistics import median

import numpy as np

from analyzer.spectrum import Spectrum
from analyzer.tails import fit
from benchmarks.machine import describe


def every_tail(values: np.ndarray) -> float:
    """The smallest distance over all tails."""
    logs = np.log(values)
    n = len(logs)
    best = np.inf
    for start in range(n - 1):
        rise = logs[start:] - logs[start]
        exponent = len(rise) / rise.sum()
        model = 1.0 - np.exp(-exponent * rise)
        best = min(best, float(np.abs(model - np.arange(len(rise)) / len(rise)).max()))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 4096, 16384])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(describe(), end="\n\n")
    print("| spectrum | eigenvalues | every tail s | ours s | every tail / ours |")
    print("|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for size in given.sizes:
        gamma = rng.gamma(3.0, size=size)
        pareto = (1.0 - rng.random(size)) ** (-1 / 1.5)
        for name, values in (("gamma", np.sort(gamma)), ("power law", np.sort(pareto))):
            slow, fast = [], []
            for _ in range(given.rounds):
                started = time.perf_counter()
                distance = every_tail(values)
                middle = time.perf_counter()
                found = fit(Spectrum(values, "float64"), "ks").ks_distance
                fast.append(time.perf_counter() - middle)
                slow.append(middle - started)
                assert found is not None
                assert abs(found - distance) < 1e-9 * distance, (found, distance)
            ratio = median(slow) / median(fast)
            print(f"| {name} | {size} | {median(slow):.4f} | {median(fast):.4f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
