"""Two requests for one content: nothing is solved twice, and neither can hurt the other."""

import pytest

from ledger import units
from tests.service.api.conftest import *  # noqa: F403 - the API's fixtures
from tests.service.api.conftest import BUDGET, LAYERS
from tests.worker.pump import all_units, open_units, pump, row, solved
from worker.reaper import reap
from worker.running import run_unit

MATRICES = 4 * LAYERS


@pytest.fixture
def api(make_api):
    """Every matrix a unit of its own."""
    return make_api(unit_cost=1.0, least_unit_cost=1.0)


def get(api, job):
    return api.http.get(job["links"]["self"]).json()


def outlined(api, *jobs):
    """Do the outline's unit, so that the jobs have their units."""
    pump(api.ledger, most=1)
    return [row(api.ledger, job["analysis_id"]) for job in jobs]


def test_a_second_request_while_the_first_runs(api):
    first = api.plan().json()
    outlined(api)
    pump(api.ledger, most=5)
    second = api.plan(expert_budget=30).json()
    third = api.plan(modules="q_proj,k_proj", estimator="ks").json()
    assert len(all_units(api.ledger)) == MATRICES, "no unit was added"
    pump(api.ledger)
    assert [get(api, job)["status"] for job in (first, second, third)] == ["succeeded"] * 3
    assert solved(api.ledger) == MATRICES
    assert {unit["attempt"] for unit in all_units(api.ledger)} == {1}
    assert get(api, second)["plan"]["budget"]["allocated"] == 30


def test_a_wider_request_adds_only_the_rest(api):
    api.plan(modules="q_proj")
    outlined(api)
    pump(api.ledger, most=2)
    wide = api.plan().json()
    assert len(all_units(api.ledger)) == MATRICES
    pump(api.ledger)
    assert get(api, wide)["status"] == "succeeded"
    assert solved(api.ledger) == MATRICES


def test_cancel_leaves_the_other_alone(api):
    first, second = api.plan().json(), api.plan(expert_budget=30).json()
    outlined(api)
    pump(api.ledger, most=3)
    cancelled = api.http.post(f"{first['links']['self']}/cancel")
    assert cancelled.status_code == 202
    assert get(api, first)["status"] == "cancelled"
    pump(api.ledger)
    assert get(api, second)["status"] == "succeeded"
    assert solved(api.ledger) == MATRICES
    types = [e["type"] for e in api.http.get(first["links"]["events"]).json()["data"]]
    assert types[-2:] == ["cancelling", "cancelled"]


def test_cancel_of_the_last_one_drops_what_waits(api):
    first, second = api.plan().json(), api.plan(expert_budget=30).json()
    outlined(api)
    pump(api.ledger, most=3)
    for job in (first, second):
        api.http.post(f"{job['links']['self']}/cancel")
    states = [unit["state"] for unit in all_units(api.ledger)]
    assert states.count("done") == 3
    assert states.count("cancelled") == MATRICES - 3
    assert not open_units(api.ledger)
    again = api.plan().json()
    pump(api.ledger)
    assert get(api, again)["status"] == "succeeded"
    assert solved(api.ledger) == MATRICES, "what was solved before is kept"


def test_cancelling_is_visible_while_a_unit_runs(api):
    """Plan and analysis are cancelling until the worker lets go; its late writes change nothing."""
    job = api.plan().json()
    outlined(api)
    unit_id = open_units(api.ledger)[0]
    with api.ledger.database.write() as connection:
        held = units.claim(connection, unit_id, "wrk_other", lease=60.0, attempts=5)
    api.http.post(f"{job['links']['self']}/cancel")
    assert get(api, job)["status"] == "cancelling"
    assert row(api.ledger, job["analysis_id"])["state"] == "cancelling"
    again = api.http.post(f"{job['links']['self']}/cancel")
    assert again.status_code == 202, "asked twice"
    reap(api.ledger)
    assert get(api, job)["status"] == "cancelling"
    with api.ledger.database.write() as connection:
        assert not units.heartbeat(connection, held, lease=60.0)
        assert not units.progress(connection, held, lease=60.0)
        assert units.drop(connection, held)
    reap(api.ledger)
    assert get(api, job)["status"] == "cancelled"
    assert row(api.ledger, job["analysis_id"])["state"] == "cancelled"


def test_cancelled_with_a_dead_worker(api):
    job = api.plan().json()
    outlined(api)
    with api.ledger.database.write() as connection:
        units.claim(connection, open_units(api.ledger)[0], "wrk_dead", lease=-1.0, attempts=5)
    api.http.post(f"{job['links']['self']}/cancel")
    reap(api.ledger)
    assert get(api, job)["status"] == "cancelled"


def test_retry_of_a_cancelled_plan_goes_on(api):
    job = api.plan().json()
    outlined(api)
    pump(api.ledger, most=7)
    path = job["links"]["self"]
    api.http.post(f"{path}/cancel")
    again = api.http.post(f"{path}/retry").json()
    assert (again["status"], again["attempt"]) == ("queued", 2)
    assert again["progress"]["done"] == 7
    pump(api.ledger)
    assert get(api, job)["status"] == "succeeded"
    assert solved(api.ledger) == MATRICES


def test_spectra_that_vanished_are_measured_again(api):
    """Between the last unit and the plan: the job measures what is missing, and ends well."""
    from sqlalchemy import delete

    from ledger.tables import spectra

    job = api.plan().json()
    outlined(api)
    while len(open_units(api.ledger)) > 1:
        run_unit(api.ledger, open_units(api.ledger)[0], "wrk", "cpu")
    with api.ledger.database.write() as connection:
        connection.execute(delete(spectra))
    pump(api.ledger)
    assert get(api, job)["status"] == "succeeded"
    assert solved(api.ledger) == 2 * MATRICES - 1


def test_progress_counts(api):
    job = api.plan().json()
    outlined(api)
    pump(api.ledger, most=6)
    progress = get(api, job)["progress"]
    assert (progress["done"], progress["total"], progress["fraction"]) == (6, MATRICES, 0.25)
    assert progress["eta_seconds"] > 0
    assert progress["phase"] == "waiting"
    analysis = api.http.get(job["links"]["analysis"]).json()
    assert analysis["progress"]["phase"] == "measuring"
    assert get(api, job)["status"] == analysis["status"] == "running"


def test_owners_have_their_own_rows(api):
    """The same content for another owner: own jobs, shared units."""
    from worker.requests import PlanWords
    from worker.sources import Place
    from worker.submitting import Submission, submit

    mine = api.plan().json()
    outlined(api)
    place = Place(api.model, path=api.model)
    words = PlanWords(expert_budget=float(BUDGET))
    theirs = submit(api.ledger, Submission("plan", "bob", place, place.key(), words))
    assert theirs.job_id != mine["id"]
    assert len(all_units(api.ledger)) == MATRICES
    api.http.post(f"{mine['links']['self']}/cancel")
    pump(api.ledger)
    assert row(api.ledger, theirs.job_id)["state"] == "succeeded"
    assert get(api, mine)["status"] == "cancelled"
    assert solved(api.ledger) == MATRICES


def test_a_damaged_analysis_is_made_again(api):
    """From the spectra that are kept: a plan from it costs no unit."""
    from sqlalchemy import select, update

    from ledger.tables import artifacts, results

    first = api.done()
    with api.ledger.database.write() as connection:
        wanted = select(results.c.artifact).where(results.c.job_id == first["analysis_id"])
        connection.execute(
            update(artifacts).where(artifacts.c.sha256.in_(wanted)).values(content=b"damaged")
        )
    again = api.plan(expert_budget=30)
    assert again.status_code == 201
    assert again.json()["analysis_id"] == first["analysis_id"]
    assert api.http.get(f"{first['links']['analysis']}/document").status_code == 200
    assert solved(api.ledger) == MATRICES


def test_assembling_that_kills_its_process_ends(api):
    """Five starts, then the job fails; nobody tries for ever."""
    from sqlalchemy import update

    from ledger.tables import jobs
    from worker.assembling import ATTEMPTS

    job = api.plan().json()
    outlined(api)
    with api.ledger.database.write() as connection:
        connection.execute(
            update(jobs)
            .where(jobs.c.id == job["analysis_id"])
            .values(phase="assembling", state="running", assemblies=ATTEMPTS, assemble_until=0.0)
        )
    reap(api.ledger)
    assert get(api, job)["error"]["code"] == "worker_lost"
