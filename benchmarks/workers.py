"""Two workers against one, beside two bare solver processes against one; one thread each.

Both solve the same matrices, at least a minute of them. The bare processes read and solve, and keep
nothing: the most that two processes can gain on this machine. Workers are warm, PostgreSQL and
Redis run beside them. Rounds are interleaved; ratios are medians over rounds.

    python -m benchmarks.workers [--matrices 136] [--side 2048] [--rounds 3]
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from statistics import median
from typing import Any

import httpx2

from benchmarks.machine import describe
from tests.models import write_sharded
from tests.servers.ports import free_port
from tests.servers.postgres import Postgres
from tests.servers.processes import Process
from tests.servers.redis import Redis

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
BARE = """
import sys
from analyzer.analyze import matrices_of
from analyzer.buffer import Buffer
from analyzer.options import Options
from analyzer.pipeline import Pipeline
from analyzer.scan import outline
from analyzer.solver import MatrixSolver
from analyzer.source import open_source
from analyzer.stream import Stream
from analyzer.units import units_of
model, part, parts = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
source = open_source(model)
matrices = matrices_of(outline(source), Options(scope="adaptable"))[part::parts]
memory = 2_000_000_000
solver = MatrixSolver(precision="float32", solver="gram", device="cpu", memory=memory)
print("ready", flush=True)
sys.stdin.readline()
buffer = Buffer(memory)
stream = Stream(source, units_of(source, matrices), whole=(), buffer=buffer)
print(len(list(Pipeline(solver, buffer).run(stream))), flush=True)
"""


def bare(model: Path, parts: int, environment: dict[str, str]) -> float:
    """Seconds for all matrices over so many processes, from the word go."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BARE, str(model), str(part), str(parts)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )
        for part in range(parts)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    began = time.perf_counter()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    return time.perf_counter() - began


@contextmanager
def service(workers: int, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """The address of an API with so many workers, each with one slot of one thread."""
    port = free_port()
    own = {**environment, "TAILORA_PORT": str(port), "TAILORA_LOG_LEVEL": "warning"}
    names = ["api", "dispatcher", *["worker"] * workers]
    with ExitStack() as stack:
        for number, name in enumerate(names):
            command = (sys.executable, "-m", "service.cli", name)
            log = folder / f"{name}{number}.log"
            stack.enter_context(Process(*command, log=log, environment=own))
        base = f"http://127.0.0.1:{port}"
        while not _ready(base, workers):
            time.sleep(0.2)
        yield base


def _ready(base: str, workers: int) -> bool:
    try:
        found = httpx2.get(f"{base}/readyz").json()
    except httpx2.TransportError:
        return False
    return str(found["workers"]["detail"]).startswith(f"{workers} workers")


def timed(base: str, model: Path, words: dict[str, Any]) -> tuple[float, str]:
    """Seconds from POST to plan, and the plan's digest."""
    body = {"model": str(model), **words}
    with httpx2.Client(base_url=base, timeout=90.0) as client:
        began = time.perf_counter()
        job = client.post("/v1/plans", json=body, headers={"Prefer": "wait=60"}).json()
        while job["status"] in ("queued", "running"):
            time.sleep(0.5)  # asking costs a core that the workers have to share
            job = client.get(job["links"]["self"]).json()
        seconds = time.perf_counter() - began
    assert job["status"] == "succeeded", json.dumps(job)[:2000]
    return seconds, str(job["plan"]["digest"])


def measured(
    postgres: Postgres, workers: int, folder: Path, models: tuple[Path, Path], budget: int
) -> tuple[float, str]:
    """One plan with warm workers over a fresh database."""
    warm, model = models
    with Redis() as redis, ExitStack() as stack:
        environment = {
            "TAILORA_DATABASE_URL": postgres.create("bench"),
            "TAILORA_BROKER_URL": redis.url,
            "TAILORA_DATA": str(folder / "data"),
            "TAILORA_MODELS": str(model.parent),
            "TAILORA_ANALYZE_DEVICES": "cpu",
            "TAILORA_THREADS": "1",
        }
        stack.callback(postgres.drop, "bench")
        command = [sys.executable, "-m", "service.cli", "db", "upgrade"]
        subprocess.run(command, env={**_clean(), **environment}, check=True, capture_output=True)
        with service(workers, folder, environment) as base:
            for seed in range(2 * workers):
                timed(base, warm, {"expert_budget": 8, "stability": "resampling", "draws": 8,
                                   "seed": seed})  # fmt: skip
            return timed(base, model, {"expert_budget": budget})


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("TAILORA_")}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--matrices", type=int, default=136)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    print(describe())
    print("| round | bare 1 | bare 2 | ratio | worker 1 | workers 2 | ratio | bare over workers |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    with tempfile.TemporaryDirectory() as name, Postgres() as postgres:
        folder = Path(name)
        model, warm = folder / "models" / "large", folder / "models" / "warm"
        write_sharded(model, layers=options.matrices // 4, width=options.side)
        write_sharded(warm, layers=2, width=256)
        digests = set()
        for number in range(1, options.rounds + 1):
            alone = bare(model, 1, {**_clean(), **ONE_THREAD})
            pair = bare(model, 2, {**_clean(), **ONE_THREAD})
            with redirect_stdout(io.StringIO()):  # where ended processes show their last lines
                one, first = measured(postgres, 1, folder, (warm, model), options.matrices)
                two, second = measured(postgres, 2, folder, (warm, model), options.matrices)
            digests |= {first, second}
            row = (alone, pair, alone / pair, one, two, one / two, (alone / pair) / (one / two))
            rows.append(row)
            print(f"| {number} | " + " | ".join(f"{value:.2f}" for value in row) + " |", flush=True)
    middle = [median(column) for column in zip(*rows, strict=True)]
    print("| median | " + " | ".join(f"{value:.2f}" for value in middle) + " |")
    print(f"{len(digests)} digest: {min(digests)}")


if __name__ == "__main__":
    main()
