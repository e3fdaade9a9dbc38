"""Rows 1 to 4: whoever solves is killed, paused, or killed by what it solves."""

import time

import pytest

from tests.faults.cluster import TIMES
from tests.faults.kills import holders, kill_solvers, kill_workers
from tests.faults.programs import Program
from tests.faults.rows import Row

LEASE = float(TIMES["LEASE"])
FINISH = "UPDATE units SET key=+report="
STARTS = 5
"""Of a unit that makes no progress."""


def test_1_processes_of_a_pool_are_killed(stand, run, chance, keep):
    plan = stand.cluster.submit(stand.models.main)
    fired = kill_solvers(stand.cluster, run.scale.child_kills, chance)
    stand.cluster.wait_ended(plan)
    tally = keep("1 pool process killed", [plan], fired=fired, asked=run.scale.child_kills)
    assert tally.is_clean
    assert tally.results == run.scale.matrices
    assert tally.recovered >= 1
    assert tally.starts <= run.scale.matrices + fired


def test_2_workers_are_killed(stand, run, chance, keep):
    plan = stand.cluster.submit(stand.models.main)
    fired = kill_workers(stand.cluster, run.scale.worker_kills, chance)
    stand.cluster.wait_ended(plan)
    tally = keep("2 worker killed", [plan], fired=fired, asked=run.scale.worker_kills)
    assert tally.is_clean
    assert tally.results == run.scale.matrices
    assert tally.recovered >= 1
    assert tally.starts <= run.scale.matrices + 2 * fired


def test_3_a_matrix_kills_whoever_solves_it(stand, run, keep):
    cluster, model, poison = stand.cluster, stand.models.poisoned, stand.models.poison
    plan = cluster.submit(model)
    cluster.wait_ended(plan)
    fired = sum(worker.fired("poison") for worker in cluster.workers)
    alike = {str(model): str(stand.models.main)}
    tally = keep("3 poison", [plan], fired=fired, asked=STARTS, failed=[plan], alike=alike)
    (unit,) = [unit for unit in cluster.rows.units() if unit["payload"]["matrices"] == [poison]]
    job = cluster.rows.jobs()[plan]
    assert fired == unit["attempt"] == STARTS
    assert (unit["state"], unit["error"]["code"]) == ("failed", "worker_lost")
    assert (job["state"], job["error"]["code"]) == ("failed", "worker_lost")
    assert tally.is_clean
    assert tally.results == run.scale.matrices
    assert tally.starts == run.scale.matrices + STARTS


def test_4_a_paused_worker_writes_too_late(stand, run, keep):
    cluster = stand.cluster
    plan = cluster.submit(stand.models.main)
    cluster.wait_done(run.scale.matrices // 6)
    late, taker, unit, began = _pause_two(cluster)
    # Two leases after the first one's pause, its unit is leased to the second one.
    time.sleep(max(0.0, began + 2 * LEASE - time.monotonic()))
    before = _changes_of(cluster, unit)
    late.process.resume()
    cluster.wait_for(lambda: _refused(late, unit) or len(_changes_of(cluster, unit)) > len(before))
    changed = len(_changes_of(cluster, unit)) - len(before)
    lease_ran = cluster.rows.now() < before[-1].at + LEASE
    assert lease_ran, "the second lease was over before the late writes came; run it again"
    assert changed == 0, "a late write changed a row that is another worker's"
    taker.process.resume()
    cluster.wait_ended(plan)
    tally = keep("4 worker paused", [plan], fired=len(_refused(late, unit)))
    assert tally.is_clean
    assert tally.results == run.scale.matrices
    assert tally.recovered >= 1


def test_4_a_worker_freezes_inside_a_transaction(stand, run, keep, tmp_path):
    if stand.postgres is None:
        pytest.skip("who holds the lock of an SQLite file keeps it")
    freeze = f"tests.servers.faults:freeze:{FINISH}:{tmp_path / 'once'}"
    with stand.other_cluster(faults=[freeze]) as cluster:
        plan = cluster.submit(stand.models.main)
        cluster.wait_ended(plan)
        fired = sum(worker.fired("frozen") for worker in cluster.workers)
        tally = keep("4 frozen in transaction", [plan], fired=fired, cluster=cluster)
        units, (outline,) = cluster.rows.units(), cluster.rows.units("outline")
        for worker in cluster.workers:
            worker.process.resume()
        cluster.wait_for(lambda: _was_too_late(cluster), 30)
        assert not [change for change in cluster.rows.changes() if change.is_forbidden]
    assert fired == 1
    assert tally.is_clean
    assert tally.results == run.scale.matrices
    assert outline["attempt"] + sum(unit["attempt"] for unit in units) == len(units) + 2


def _was_too_late(cluster) -> bool:
    """Its finish was discarded, or it was frozen for longer than it waits for a database."""
    gave_up = "raised unexpected: DatabaseUnavailable"
    return bool(cluster.lines("late_finish_discarded")) or any(
        gave_up in worker.text() for worker in cluster.workers
    )


def _pause_two(cluster) -> tuple[Program, Program, Row, float]:
    """A worker paused while it holds a unit; the one that took it over, paused as well; the unit.

    And when the first one was paused.
    """
    while True:
        late, held = cluster.wait_for(lambda: _pause_a_holder(cluster))
        began = time.monotonic()
        while not _all_done(cluster, held):
            if found := _pause_a_taker(cluster, held):
                return late, *found, began
        late.process.resume()


def _pause_a_holder(cluster) -> tuple[Program, set[str]] | None:
    """A worker that is paused while it holds units, and these."""
    for name, worker in sorted(holders(cluster).items()):
        if _pause(cluster, worker):
            held = {unit["id"] for unit in cluster.rows.leased() if unit["worker"] == name}
            if held:
                return worker, held
            worker.process.resume()
    return None


def _pause_a_taker(cluster, held: set[str]) -> tuple[Program, Row] | None:
    """The worker that solves one of these units for the second time, paused, and the unit."""
    again = [u for u in cluster.rows.leased() if u["id"] in held and u["attempt"] > 1]
    for name, worker in holders(cluster).items() if again else ():
        if name in {unit["worker"] for unit in again} and _pause(cluster, worker):
            for unit in cluster.rows.leased():
                if (unit["id"], unit["worker"]) in {(u["id"], name) for u in again}:
                    return worker, unit
            worker.process.resume()
    return None


def _pause(cluster, worker: Program) -> bool:
    """Pause a worker outside of its transactions, in which it would keep rows from others."""
    worker.process.pause()
    if not cluster.rows.blocked():
        return True
    worker.process.resume()
    return False


def _all_done(cluster, held: set[str]) -> bool:
    return not [u for u in cluster.rows.units() if u["id"] in held and u["state"] != "done"]


def _changes_of(cluster, unit: Row):
    return [change for change in cluster.rows.changes() if change.unit_id == unit["id"]]


def _refused(worker: Program, unit: Row) -> list[Row]:
    """What the worker says of a unit that it has lost."""
    events = ("unit_stopped", "late_finish_discarded", "late_failure_discarded")
    return [
        line for event in events for line in worker.lines(event) if line.get("unit") == unit["id"]
    ]
