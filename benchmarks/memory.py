"""Peak memory of an analysis over the idle process, and the bound that it has to keep.

Writes bf16 models with random weights and analyses each in a process of its own, from the local
folder and from the Hub double (a process of its own as well), where whole files are verified.
The bound is `--memory` and three times the largest matrix in float32.

    python -m benchmarks.memory [--models 2,10,head,wide] [--memory 2000,500]
        [--origins local,hub] [--precision float32] [--folder DIR]

Models: a number of layers of Llama-7B's shapes (0.4 GB and one shard each), `head` (one layer and
an output head of 50000 × 4096), `wide` (one matrix of 16384 × 16384).
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.machine import describe
from benchmarks.models import llama_layer, write_llama, write_sharded

HIDDEN, INNER, VOCABULARY, WIDE = 4096, 11008, 50000, 16384
MEGA = 1_000_000


def write_model(folder: Path, model: str) -> tuple[int, int]:
    """Write a model; returns the bytes of its shards, and of its largest matrix in float32."""
    layer = llama_layer(HIDDEN, INNER)
    kind = {"model_type": "llama", "num_hidden_layers": 1}
    if model == "head":
        shapes = {f"model.layers.0.{name}.weight": shape for name, shape in layer.items()}
        head = {"lm_head.weight": (VOCABULARY, HIDDEN)}
        size = write_sharded(folder, iter([shapes, head]), hidden_size=HIDDEN, **kind)
        return size, 4 * VOCABULARY * HIDDEN
    if model == "wide":
        shapes = {"model.layers.0.self_attn.q_proj.weight": (WIDE, WIDE)}
        return write_sharded(folder, iter([shapes]), hidden_size=WIDE, **kind), 4 * WIDE * WIDE
    return write_llama(folder, int(model), layer), 4 * HIDDEN * INNER


def measure(folder: str, endpoint: str | None, cache: str, precision: str, memory: int) -> None:
    """In a process of its own: print idle and peak resident megabytes and seconds."""
    import_module("analyzer.solver")  # so that what torch itself takes counts as idle
    from analyzer.analyze import analyze
    from analyzer.options import Options
    from analyzer.source import open_source
    from analyzer.store import FolderStore
    from benchmarks.hub import source_at

    torch.zeros(64, 64) @ torch.zeros(64, 64)
    idle = _peak()
    store = FolderStore(Path(cache) / "store")
    source = source_at(endpoint, Path(cache) / "hub") if endpoint else open_source(folder, store)
    options = Options(
        scope="all", device="cpu", precision=precision, memory=memory * MEGA, ranged=False
    )
    found = analyze(source, options, store=store)
    assert found.provenance.spectra_solved == len(found.matrices)
    assert found.provenance.verified
    print(json.dumps({"idle": idle, "peak": _peak(), "seconds": found.provenance.seconds}))


def _peak() -> float:
    """Peak resident megabytes of this process so far.

    Linux's own record is asked first: getrusage also counts what the parent held before exec.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / MEGA
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MEGA if sys.platform == "darwin" else peak * 1024 / MEGA


@contextmanager
def served(folder: Path, origin: str) -> Iterator[list[str]]:
    """The options that name where a model is read from."""
    if origin == "local":
        yield []
        return
    from benchmarks.hub import serve

    with serve(folder) as endpoint:
        yield ["--endpoint", endpoint]


def row(folder: Path, origin: str, precision: str, memory: int) -> dict[str, float]:
    """Idle and peak megabytes and seconds of one analysis."""
    command = [sys.executable, "-m", "benchmarks.memory", "--measure", str(folder)]
    command += ["--precision", precision, "--memory", str(memory)]
    with tempfile.TemporaryDirectory(dir=folder.parent) as cache, served(folder, origin) as where:
        command += ["--cache", cache, *where]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    found: dict[str, float] = json.loads(answer)
    return found


def table(given: argparse.Namespace) -> None:
    """Write each model, measure and print."""
    heads = ["model", "GB", "from", "precision", "memory MB", "idle MB", "peak over idle MB"]
    heads += ["bound MB", "seconds"]
    print(f"{describe()}\n\n| {' | '.join(heads)} |")
    print("|" + "---|" * len(heads))
    for model in given.models.split(","):
        with tempfile.TemporaryDirectory(dir=given.folder) as made:
            folder = Path(made) / "model"
            folder.mkdir()
            size, largest = write_model(folder, model)
            name = f"{model} layers" if model.isdigit() else model
            for origin in given.origins.split(","):
                for memory in map(int, given.memory.split(",")):
                    found = row(folder, origin, given.precision, memory)
                    over, bound = found["peak"] - found["idle"], memory + 3 * largest / MEGA
                    cells = [name, f"{size / 1e9:.1f}", origin, given.precision, f"{memory}"]
                    numbers = [found["idle"], over, bound, found["seconds"]]
                    cells += [f"{number:.0f}" for number in numbers]
                    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Peak memory of an analysis, and its bound.")
    parser.add_argument("--models", default="2,10")
    parser.add_argument("--memory", default="2000", help="megabytes, one run for each")
    parser.add_argument("--origins", default="local,hub")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--folder", default=None, help="for the models, which are deleted again")
    for hidden in ("--measure", "--endpoint", "--cache"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.measure, given.endpoint, given.cache, given.precision, int(given.memory))
    else:
        table(given)


if __name__ == "__main__":
    main()
