"""Everything is killed while some spectra are stored: what is stored is never solved again."""

import random
import time
from collections.abc import Callable

import pytest

from tests.faults.cluster import WITNESS, client, settings
from tests.faults.programs import Program, kill_all
from tests.faults.rows import Rows
from tests.faults.scale import CI, SOAK
from tests.faults.stand import Models
from tests.servers.faults import fault_environment
from tests.servers.models import seconds_to_solve
from tests.servers.ports import free_port

LEAST = 5
TIMEOUT = 600.0


def _kill_all_while_stored(rows: Rows, programs: list[Program], least: int, most: int) -> set[str]:
    """SIGKILL to everything once some spectra are stored; which ones."""
    end = time.monotonic() + TIMEOUT
    while len(rows.spectra()) < least:
        assert time.monotonic() < end, programs[-1].process.tail()
        time.sleep(0.05)
    kill_all(programs)
    stored = rows.spectra().keys()
    assert LEAST <= len(stored) < most, f"{len(stored)} of {most} were stored: no test"
    return set(stored)


def _goes_on(
    rows: Rows,
    programs: list[Program],
    plan: str,
    *,
    start: Callable[[], None],
    least: int,
    count: int,
) -> None:
    """Kill everything, start it again, and compare what was stored before and after."""
    _kill_all_while_stored(rows, programs, least, count)
    before, ended = rows.spectra(), {u["id"] for u in rows.units() if u["state"] == "done"}
    for program in programs:
        program.mark()
    start()
    end = time.monotonic() + TIMEOUT
    while not rows.ended([plan]):
        assert time.monotonic() < end, programs[-1].process.tail()
        time.sleep(0.1)
    assert rows.jobs()[plan]["state"] == "succeeded", rows.jobs()[plan]["error"]
    after, units = rows.spectra(), rows.units()
    reports = [unit["report"] for unit in units if unit["id"] not in ended]
    again = {name for program in programs for name, _ in program.solves()}
    print(
        f"killed at {len(before)} of {count} spectra, {len(ended)} of {len(units)} units; then "
        f"{sum(report['solved'] for report in reports)} were solved, "
        f"{sum(report['reused'] for report in reports)} reused"
    )
    assert {digest: after[digest] for digest in before} == before
    assert len(after) == count
    assert sum(report["solved"] for report in reports) == count - len(before)
    assert again == {row["fields"]["matrix"] for row in after.values()} - {
        row["fields"]["matrix"] for row in before.values()
    }
    assert not [change for change in rows.changes() if change.is_forbidden]


@pytest.mark.parametrize(
    "scale",
    [pytest.param(CI, marks=pytest.mark.faults), pytest.param(SOAK, marks=pytest.mark.soak)],
    ids=lambda scale: scale.name,
)
def test_one_machine(tmp_path, scale):
    models = Models(tmp_path / "models", scale)
    each = seconds_to_solve(models.served)
    print(f"{scale.served} matrices of {each:.2f} s: {scale.served * each:.0f} s of solving")
    data, port = tmp_path / "data", free_port()
    data.mkdir()
    environment = {
        **settings(data, models.folder, PORT=str(port), UNIT_COST="1e12", LEAST_UNIT_COST="2e10"),
        **fault_environment(WITNESS),
    }
    rows = Rows(f"sqlite:///{data / 'tailora.db'}")
    serve = Program(
        "serve", ready="listening", folder=tmp_path, name="serve", environment=environment
    )

    def start() -> None:
        serve.start()
        serve.wait_ready()

    try:
        start()
        with client(port) as http:
            body = {"model": str(models.served), "expert_budget": 4, "budget_kind": "mean"}
            answer = http.post("/v1/plans", json=body)
        assert answer.status_code == 202, answer.text
        least = random.Random(1).randint(LEAST, scale.served // 2)
        plan = answer.json()["id"]
        _goes_on(rows, [serve], plan, start=start, least=least, count=scale.served)
    finally:
        kill_all([serve])
        rows.close()


def test_many_machines(stand, run, chance):
    cluster, count = stand.cluster, run.scale.served
    plan = cluster.submit(stand.models.served)
    least = chance.randint(LEAST, count // 2)
    _goes_on(cluster.rows, cluster.programs, plan, start=cluster.start, least=least, count=count)
