"""Rows 20, 22, 24 and 29: work that is cancelled, stopped, slow, or done under a wrong clock."""

import json
import re
import time

import psutil
import pytest

from tests.models import write_sharded

HEARTBEAT = 2.0


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder of one model: 10 layers of 4 matrices."""
    folder = tmp_path_factory.mktemp("work")
    write_sharded(folder / "model", layers=10, width=64)
    return folder


def submit(service, http, folder) -> str:
    body = {"model": str(folder / "model"), "expert_budget": 30}
    answer = http.post("/v1/plans", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()["links"]["self"]


def state(http, job: str) -> str:
    return http.get(job).json()["status"]


def cancel(http, job: str) -> float:
    """When it was asked for."""
    assert http.post(f"{job}/cancel").status_code == 202
    return time.monotonic()


def starts(service) -> int:
    return sum(
        unit["attempt"] for kind in ("outline", "matrices") for unit in service.rows.units(kind)
    )


def is_dead(pid: int) -> bool:
    """Gone, or waiting to be reaped."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def serving(serve, work, *faults, **more):
    service = serve(MODELS=str(work), **more)
    service.api()
    service.dispatcher()
    return service


def test_20_a_queued_job_is_cancelled(serve, work, found):
    service = serving(serve, work)
    with service.client(service.key("ann")) as http:
        job = submit(service, http, work)
        began = cancel(http, job)
        service.wait_for(lambda: state(http, job) == "cancelled", 5)
        seconds = time.monotonic() - began
        service.worker()
        time.sleep(2 * HEARTBEAT)
    found("20 cancelled in the queue", after=seconds, starts=starts(service))
    assert starts(service) == 0
    assert service.rows.spectra() == {}


@pytest.mark.parametrize(
    ("what", "pause", "most"), [("Python", "0.2", 1.0), ("native code", "120", 3.0)]
)
def test_20_a_running_job_is_cancelled_for_good(serve, scale, work, found, what, pause, most):
    """Between two matrices it is asked and the job ends; a process that cannot be asked dies."""
    service = serving(serve, work, UNIT_COST="1e12", LEAST_UNIT_COST="1e12")
    worker = service.worker(f"tests.servers.faults:slow:{pause}")
    with service.client(service.key("ann")) as http:
        job = submit(service, http, work)
        service.wait_for(lambda: any(program.fired("s before") for program in service.programs))
        began = cancel(http, job)
        solving = {int(pid) for pid in re.findall(r"s before .*, process (\d+)", worker.text())}
        if what == "Python":
            service.wait_for(lambda: state(http, job) == "cancelled", 30)
        else:
            service.wait_for(lambda: all(map(is_dead, solving)), 30)
        seconds = time.monotonic() - began
        service.wait_for(lambda: state(http, job) == "cancelled", 30)
        kept = len(service.rows.spectra())
        for program in service.programs:
            program.process.kill_group()
            program.start()
        service.wait_for(service.answers)
        time.sleep(3 * HEARTBEAT)
        after = state(http, job), len(service.rows.spectra()) - kept
    found(f"20 cancelled in {what}", after=seconds, results_after=after[1], then=after[0])
    assert seconds <= HEARTBEAT + most or not scale.timed
    assert after == ("cancelled", 0)


def test_22_everything_is_told_to_stop_under_load(serve, work, found):
    service = serving(serve, work)
    worker = service.worker("tests.servers.faults:slow:0.5")
    with service.client(service.key("ann")) as http:
        job = submit(service, http, work)
        service.wait_for(lambda: len(service.rows.spectra()) >= 5)
        began = time.monotonic()
        codes = [program.process.terminate(timeout=90) for program in service.programs]
        seconds = time.monotonic() - began
        leased, burnt = service.rows.leased(), sum(
            unit["stalls"] for unit in service.rows.units() if unit["state"] != "done"
        )  # fmt: skip
        for program in service.programs:
            program.start()
        service.wait_for(lambda: service.answers() and state(http, job) == "succeeded", 120)
    found("22 stopped under load", exits=codes, seconds=seconds, leased=len(leased), burnt=burnt)
    assert set(codes) == {0}
    assert seconds <= 90
    assert (leased, burnt) == ([], 0)
    assert worker.fired("s before")


def test_24_a_unit_that_outlives_the_visibility_timeout(serve, work, found):
    whole = {"UNIT_COST": "1e12", "LEAST_UNIT_COST": "1e12"}
    service = serving(serve, work, **whole)
    short = "tests.servers.faults:visibility:2"
    service.worker(short, "tests.servers.faults:slow:0.15")
    with service.client(service.key("ann")) as http:
        job = submit(service, http, work)
        service.wait_for(lambda: state(http, job) == "succeeded", 120)
    units = service.rows.units()
    seconds = max(unit["report"]["seconds"] for unit in units)
    found("24 a slow unit", seconds=seconds, starts=[unit["attempt"] for unit in units])
    assert seconds >= 3 * 2.0
    assert {unit["attempt"] for unit in units} == {1}


@pytest.mark.parametrize("off", [600, -600])
def test_29_a_worker_whose_clock_is_wrong(serve, work, found, off):
    service = serving(serve, work)
    worker = service.worker(f"tests.servers.faults:clock:{off}", "tests.servers.faults:slow:0.1")
    service.worker("tests.servers.faults:slow:0.1")
    with service.client(service.key("ann")) as http:
        job = submit(service, http, work)
        service.wait_for(lambda: state(http, job) == "succeeded", 120)
    again = [unit["id"] for unit in service.rows.units() if unit["attempt"] != 1]
    by = {unit["worker"] for unit in service.rows.units()}
    found("29 a wrong clock", off=off, wrong_expiries=len(again), workers=len(by))
    assert worker.fired("the clock is off")
    assert again == []
    assert len(by) == 2, json.dumps(sorted(by))
