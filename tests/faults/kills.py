"""Whom to kill, and when: those who are at work, at moments spread over the run."""

import random
import time
from collections.abc import Iterator

from tests.faults.cluster import Cluster
from tests.faults.programs import Program, kill_process

FIRST, LAST = 0.08, 0.75
"""Parts of the units that are done at the first and at the last kill."""


def moments(cluster: Cluster, times: int) -> Iterator[int]:
    """So many moments while units are solved, evenly over the run."""
    total = len(cluster.wait_for(cluster.rows.units))
    for number in range(times):
        part = FIRST + (LAST - FIRST) * number / max(1, times - 1)
        cluster.wait_done(int(part * total))
        cluster.wait_for(cluster.rows.leased)
        yield number


def kill_solvers(cluster: Cluster, times: int, chance: random.Random) -> int:
    """SIGKILL to processes of pools; how many left a unit that nobody does any more."""
    fired = 0
    for _ in moments(cluster, times):
        while not _kill_solver(cluster, chance):
            cluster.wait_for(cluster.rows.leased)
        fired += 1
    return fired


def _kill_solver(cluster: Cluster, chance: random.Random) -> bool:
    solving = _solving(cluster)
    if not solving:
        return False
    pid, unit = chance.choice(solving)
    kill_process(pid)
    left = {(found["id"], found["attempt"]) for found in cluster.rows.leased()}
    return unit in left


def _solving(cluster: Cluster) -> list[tuple[int, tuple[str, int]]]:
    """Processes with the unit and attempt that each is at."""
    leased = {
        name: (unit["id"], unit["attempt"])
        for unit in cluster.rows.leased()
        for name in unit["payload"]["matrices"]
    }
    found = []
    for worker in cluster.workers:
        alive = set(worker.pool())
        last = {pid: name for name, pid in worker.solves()}
        found += [(pid, leased[name]) for pid, name in last.items()
                  if pid in alive and name in leased]  # fmt: skip
    return sorted(found)


def kill_workers(cluster: Cluster, times: int, chance: random.Random) -> int:
    """SIGKILL to a worker's main process or its group, and a new start; how many left units."""
    fired = 0
    for number in moments(cluster, times):
        while not _kill_worker(cluster, chance, group=number % 2 == 1):
            cluster.wait_for(cluster.rows.leased)
        fired += 1
    return fired


def _kill_worker(cluster: Cluster, chance: random.Random, *, group: bool) -> bool:
    holding = holders(cluster)
    if not holding:
        return False
    name = chance.choice(sorted(holding))
    worker = holding[name]
    worker.process.kill_group() if group else worker.process.kill()
    end = time.monotonic() + 10
    while worker.pool():
        assert time.monotonic() < end, "a pool outlived its worker"
        time.sleep(0.02)
    left = [unit for unit in cluster.rows.leased() if unit["worker"] == name]
    worker.start()
    return bool(left)


def holders(cluster: Cluster) -> dict[str, Program]:
    """Workers that hold a unit, by the name that the unit has for them."""
    names = {unit["worker"] for unit in cluster.rows.leased()}
    return {
        name: worker
        for worker in cluster.workers
        for name in names
        if worker.process.running and worker.identity() in name
    }
