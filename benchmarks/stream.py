"""Time of an analysis that reads the Hub, against the slower of its two halves alone.

Writes a sharded bf16 model (large matrices, and small ones that are solved side by side) and
serves it by the Hub double, a process of its own, at two rates: transfer alone takes 0.8 and 1.25
times as long as solving alone. Every file is read whole and verified.

    python -m benchmarks.stream [--layers 12] [--width 2048] [--inner 5504] [--rounds 3]

Solve alone: the local folder, hashes remembered. Transfer alone: the same reader without anything
to solve. Streamed: the whole analysis. Runs take turns; cells are medians, the ratio is of medians.
"""

import argparse
import gc
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

from analyzer.analyze import analyze
from analyzer.buffer import Buffer
from analyzer.options import DEFAULT_MEMORY, Options
from analyzer.source import Source, open_source
from analyzer.store import FolderStore
from analyzer.stream import Stream
from benchmarks.hub import serve, source_at
from benchmarks.machine import describe
from benchmarks.models import llama_layer, write_llama

SHARES = (0.8, 1.25)
"""How long transfer alone takes, in units of solving alone."""

SETTLE_SECONDS = 1.0
OPTIONS = Options(scope="adaptable", device="cpu", ranged=False)


class Runs:
    """The three things that are timed, each with an empty store of spectra."""

    def __init__(self, folder: Path, model: Path) -> None:
        """Keep caches in `folder`; hash the shards of `model` once."""
        self._folder = folder
        self._model = model
        self._hashes = FolderStore(folder / "hashes")
        local = self._local()
        for file in local.files:
            local.sha256(file)

    def solve(self) -> float:
        """Seconds for the local folder."""
        return self._seconds(lambda store: self._analyze(self._local(), store))

    def transfer(self, endpoint: str) -> float:
        """Seconds to read and verify all files, with nothing to solve."""

        def read(_: FolderStore) -> None:
            source = self._served(endpoint)
            buffer = Buffer(DEFAULT_MEMORY)
            checked = list(Stream(source, (), whole=source.files, buffer=buffer))
            assert len(checked) == len(source.files)

        return self._seconds(read)

    def streamed(self, endpoint: str) -> float:
        """Seconds for the analysis of what is served."""
        return self._seconds(lambda store: self._analyze(self._served(endpoint), store))

    def _analyze(self, source: Source, store: FolderStore) -> None:
        found = analyze(source, OPTIONS, store=store)
        assert found.provenance.verified
        assert found.provenance.spectra_solved == len(found.matrices)

    def _local(self) -> Source:
        return open_source(str(self._model), self._hashes)

    def _served(self, endpoint: str) -> Source:
        return source_at(endpoint, self._folder / "hub")

    def _seconds(self, run: Callable[[FolderStore], None]) -> float:
        gc.collect()
        time.sleep(SETTLE_SECONDS)
        with tempfile.TemporaryDirectory(dir=self._folder) as fresh:
            started = time.perf_counter()
            run(FolderStore(Path(fresh)))
            return time.perf_counter() - started


def measure(runs: Runs, endpoints: list[str], rounds: int) -> dict[tuple[str, str], float]:
    """Median seconds by what was done and where, all runs taken in turns."""
    todo: dict[tuple[str, str], Callable[[], float]] = {("solve", ""): runs.solve}
    for endpoint in endpoints:
        todo["transfer", endpoint] = partial(runs.transfer, endpoint)
        todo["streamed", endpoint] = partial(runs.streamed, endpoint)
    seconds: dict[tuple[str, str], list[float]] = {name: [] for name in todo}
    for _ in range(rounds):
        for name, run in todo.items():
            seconds[name].append(run())
    return {name: median(values) for name, values in seconds.items()}


def table(folder: Path, layers: int, width: int, inner: int, rounds: int) -> None:
    """Write the model, measure and print."""
    model = folder / "model"
    model.mkdir()
    size = write_llama(model, layers, llama_layer(width, inner, width // 4), a_shard=3)
    runs = Runs(folder, model)
    runs.solve()
    alone = min(runs.solve() for _ in range(2))
    rates = [size / (share * alone) for share in SHARES]
    with ExitStack() as stack:
        endpoints = [stack.enter_context(serve(model, rate)) for rate in rates]
        found = measure(runs, endpoints, rounds)
    print(f"{describe()}; {size / 1e6:.0f} MB, medians of {rounds} interleaved rounds\n")
    print("| rate MB/s | solve alone s | transfer alone s | streamed s | ratio |")
    print("|---|---|---|---|---|")
    solve = found["solve", ""]
    for rate, endpoint in zip(rates, endpoints, strict=True):
        transfer, streamed = found["transfer", endpoint], found["streamed", endpoint]
        ratio = streamed / max(solve, transfer)
        cells = [f"{rate / 1e6:.1f}", f"{solve:.2f}", f"{transfer:.2f}", f"{streamed:.2f}"]
        print("| " + " | ".join([*cells, f"{ratio:.2f}"]) + " |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--inner", type=int, default=5504)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=None, help="for the model, which is deleted again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        table(Path(folder), given.layers, given.width, given.inner, given.rounds)


if __name__ == "__main__":
    main()
