"""The service under load, all on one machine: PostgreSQL, Redis, an API with keys, and two workers
at nice 10 that solve two models meanwhile. Quotas are off. Requests come at a fixed rate.

    python -m benchmarks.load [--seconds 30] [--rounds 3]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.machine import describe
from tests.attack.service import Service
from tests.models import write_sharded
from tests.servers.postgres import Postgres

POSTS, GETS = 100, 500
BUDGETS = range(24, 64)
SMALL = "org/small"


def quantile(latencies: list[float], share: float) -> float:
    """Milliseconds within which that share of the answers came."""
    return 1000 * sorted(latencies)[ceil(share * len(latencies)) - 1]


@contextmanager
def service(folder: Path) -> Iterator[Service]:
    """All of it, with a model on the Hub, and two local ones of minutes of solving each."""
    models = folder / "models"
    write_sharded(folder / "small", layers=12, width=256)
    for number in (1, 2):
        write_sharded(models / f"large-{number}", layers=60, width=2048)
    os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})
    with (
        Postgres() as postgres,
        Service(folder / "service", postgres, models, LEASE="60", HEARTBEAT="20") as found,
    ):
        found.hub.add(SMALL, folder / "small")
        found.api(processes=2)
        found.dispatcher()
        for _ in range(2):
            worker = found.worker(slots=1)
            main = psutil.Process(worker.process.pid)
            for process in (main, *main.children(recursive=True)):
                process.nice(10)
        yield found


def prepare(found: Service, models: Path) -> tuple[str, list[str]]:
    """A key, and the plans that are there."""
    headers = found.key("ann")
    key = headers["Authorization"].removeprefix("Bearer ")
    with found.client(headers) as http:
        body = {"model": SMALL, "expert_budget": 24}
        first = http.post("/v1/plans", json=body, headers={"Prefer": "wait=60"}, timeout=90).json()
        assert first["status"] == "succeeded", first
        made = [http.post("/v1/plans", json={**body, "expert_budget": n}) for n in BUDGETS]
        assert {answer.status_code for answer in made} == {201}
        for number in (1, 2):
            large = {"model": str(models / f"large-{number}"), "expert_budget": 120}
            assert http.post("/v1/plans", json=large).status_code == 202
    return key, [answer.json()["links"]["self"] for answer in made]


def round_of(found: Service, key: str, paths: list[str], seconds: float) -> Any:
    """Latencies and statuses of both streams."""
    bodies = [{"model": SMALL, "expert_budget": n} for n in BUDGETS]
    wanted = {
        "seconds": seconds,
        "streams": [
            {"rate": POSTS, "method": "POST", "paths": ["/v1/plans"], "bodies": bodies},
            {"rate": GETS, "method": "GET", "paths": paths},
        ],
    }
    command = [sys.executable, "-m", "benchmarks.openloop", found.url, key]
    ended = subprocess.run(
        command, input=json.dumps(wanted), capture_output=True, text=True, check=True
    )
    return json.loads(ended.stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(describe())
    print("| round | requests | statuses | p50 ms | p99 ms | highest ms | solved meanwhile |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as found:
        models = Path(folder) / "models"
        key, paths = prepare(found, models)
        p99: dict[str, list[float]] = {"POST": [], "GET": []}
        for number in range(asked.rounds):
            before = len(found.rows.spectra())
            streams = round_of(found, key, paths, asked.seconds)
            solved = len(found.rows.spectra()) - before
            for name, what in zip(p99, streams, strict=True):
                values = what["latencies"]
                p99[name].append(quantile(values, 0.99))
                print(
                    f"| {number + 1} | {len(values)} {name} | {what['statuses']} "
                    f"| {quantile(values, 0.5):.1f} | {p99[name][-1]:.1f} "
                    f"| {1000 * max(values):.0f} | {solved} |",
                    flush=True,
                )
        for name, values in p99.items():
            print(f"| median | {name} | | | {median(values):.1f} | | |")


if __name__ == "__main__":
    main()
