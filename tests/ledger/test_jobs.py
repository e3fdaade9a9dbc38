"""Jobs are their owner's own: looked up, listed, queued again, deleted."""

import pytest

from ledger.errors import Conflict, NotFound
from ledger.jobs import Filter, by_id, counted, get, list_jobs, remove, reopen
from ledger.reach import Reach
from ledger.results import measured_before, put_result
from ledger.tables import events, jobs, links, results
from ledger.units import finish, progress
from tests.ledger.make import (
    ERROR,
    add,
    add_job,
    add_plan,
    at_once,
    change,
    count,
    held,
    job,
    states,
    told,
)  # fmt: skip

ANN = Reach("ann")
ENDED = ["succeeded", "failed", "cancelled"]


def ids(found):
    return [row["id"] for row in found]


def test_a_new_job_is_queued_with_its_first_event(database):
    with database.write() as connection:
        plan = add_job(connection, "plan", "ann", phase="waiting", labels={"team": "a"})
    row = job(database, plan)
    assert plan.startswith("pln_")
    assert (row["state"], row["phase"], row["attempt"]) == ("queued", "waiting", 1)
    assert (row["owner"], row["labels"], row["request"]) == ("ann", {"team": "a"}, {"words": {}})
    assert told(database, plan) == ["queued"]


def test_only_the_owner_finds_a_job(database):
    with database.write() as connection:
        mine = add_job(connection)
    with database.read() as connection:
        assert get(connection, ANN, "analysis", mine)["id"] == mine
        for owner, kind, job_id in (
            ("ben", "analysis", mine), ("ann", "plan", mine), ("", "analysis", mine),
            ("ann", "analysis", mine[:-1]), ("ann", "analysis", "x" * 1000),
        ):  # fmt: skip
            with pytest.raises(NotFound) as found:
                get(connection, Reach(owner), kind, job_id)
            assert "\n" not in str(found.value)
            assert len(str(found.value)) < 200
        assert by_id(connection, mine)["owner"] == "ann"
        assert by_id(connection, "ana_0") is None


def test_an_owner_lists_own_jobs_the_newest_first(database):
    with database.write() as connection:
        made = [add_job(connection, model=f"org/{number}") for number in range(5)]
        add_job(connection, owner="ben")
        add_job(connection, "plan")
        for number, job_id in enumerate(sorted(made)):
            change(connection, jobs, job_id, created_at=100.0 + number)
        first, second, *_, last = sorted(made)
        change(connection, jobs, second, state="failed")
        change(connection, jobs, last, model="org/other")

        def found(**words):
            return ids(list_jobs(connection, ANN, Filter("analysis", **words)))

        newest = sorted(made, reverse=True)
        assert found() == newest
        assert found(limit=2) == newest[:3]  # one more, to know that there is one
        assert found(before=newest[1], limit=2) == newest[2:5]
        assert found(status="failed") == [second]
        assert found(model="org/other") == [last]
        assert found(created_after=102.0) == newest[:3]
        assert found(created_before=102.0) == newest[3:]
        assert found(status="failed", model="org/other") == []
        assert first in found()


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_job_that_came_to_nothing_is_queued_again(database, state):
    with database.write() as connection:
        job_id, other = add_job(connection), add_job(connection)
        unit_id = add(connection, job_id, other)
        change(
            connection, jobs, job_id, state=state, phase=None, error=ERROR, assemblies=5,
            assemble_until=1.0, started_at=1.0, finished_at=2.0, stored=7,
        )  # fmt: skip
        reopen(connection, job_id, "outline")
        left = connection.execute(links.select().where(links.c.unit_id == unit_id)).all()
    row = job(database, job_id)
    assert (row["state"], row["phase"], row["attempt"], row["assemblies"]) == (
        "queued", "outline", 2, 0,
    )  # fmt: skip
    for cleared in ("error", "assemble_until", "started_at", "finished_at"):
        assert row[cleared] is None
    assert [link.job_id for link in left] == [other]
    assert told(database, job_id) == ["queued", "queued"]


@pytest.mark.parametrize("state", ["queued", "running", "cancelling", "succeeded"])
def test_other_jobs_are_not_queued_again(database, state):
    with database.write() as connection:
        job_id = add_job(connection)
        change(connection, jobs, job_id, state=state)
    with pytest.raises(Conflict), database.write() as connection:
        reopen(connection, job_id, "outline")
    assert job(database, job_id)["state"] == state
    assert told(database, job_id) == ["queued"]


def test_of_two_retries_one_is_done(database):
    with database.write() as connection:
        job_id = add_job(connection)
        change(connection, jobs, job_id, state="failed")

    def retry():
        try:
            with database.write() as connection:
                reopen(connection, job_id, "outline")
        except Conflict:
            return "conflict"
        return "done"

    assert sorted(at_once(retry, retry)) == ["conflict", "done"]
    assert job(database, job_id)["attempt"] == 2


@pytest.mark.parametrize("state", ENDED)
def test_an_ended_job_is_deleted_with_what_belongs_to_it(ledger, database, state):
    with database.write() as connection:
        plan, analysis = add_plan(connection)
        other = add_job(connection)
        add(connection, analysis, other)
        for job_id in (plan, analysis):
            change(connection, jobs, job_id, state=state)
            put_result(connection, ledger.artifacts, job_id, "{}", None)
        remove(connection, ANN, "plan", plan)
    assert states(database, jobs) == {other: "queued"}
    assert count(database, results) == 0
    assert count(database, events) == 1
    assert count(database, links) == 1


@pytest.mark.parametrize("state", ["queued", "running", "cancelling"])
def test_a_job_that_runs_is_not_deleted(database, state):
    with database.write() as connection:
        job_id = add_job(connection)
        change(connection, jobs, job_id, state=state)
    with pytest.raises(Conflict, match="cancel it first"), database.write() as connection:
        remove(connection, ANN, "analysis", job_id)
    assert count(database, jobs) == 1


def test_what_a_plan_still_needs_is_not_deleted(database):
    with database.write() as connection:
        plan, analysis = add_plan(connection)
        later = add_job(connection, "plan", phase="waiting", analysis_id=analysis)
        for job_id in (plan, analysis):
            change(connection, jobs, job_id, state="succeeded")
    for kind, job_id in (("analysis", analysis), ("plan", plan)):
        with pytest.raises(Conflict, match=later), database.write() as connection:
            remove(connection, ANN, kind, job_id)
    with database.write() as connection:
        change(connection, jobs, later, state="failed")
        remove(connection, ANN, "plan", plan)
    assert list(states(database, jobs)) == [later]


@pytest.mark.parametrize(("owner", "kind"), [("ben", "analysis"), ("ann", "plan")])
def test_a_foreign_job_is_not_deleted(database, owner, kind):
    with database.write() as connection:
        job_id = add_job(connection)
        change(connection, jobs, job_id, state="succeeded")
    with pytest.raises(NotFound), database.write() as connection:
        remove(connection, Reach(owner), kind, job_id)
    assert count(database, jobs) == 1


def test_how_far_jobs_are(database):
    with database.write() as connection:
        job_id, other, idle = (add_job(connection) for _ in range(3))
        change(connection, jobs, job_id, stored=4)
        add(connection, job_id, size=10)
        add(connection, job_id, kind="hash", size=99)
    claim = held(database, job_id, other, size=5)
    with database.write() as connection:
        for _ in range(3):
            progress(connection, claim, lease=60.0)
        finish(connection, claim, {})
        found = counted(connection, [job_id, other, idle])
    numbers = {key: (each.stored, each.done, each.wanted) for key, each in found.items()}
    assert numbers == {job_id: (4, 3, 15), other: (0, 3, 5), idle: (0, 0, 0)}


def test_an_analysis_of_the_same_content_is_the_owners_newest_that_succeeded(database):
    with database.write() as connection:
        made = sorted(add_job(connection, content_key="k") for _ in range(3))
        add_job(connection, content_key="k", owner="ben")
        for job_id, state in zip(made, ["succeeded", "succeeded", "failed"], strict=True):
            change(connection, jobs, job_id, state=state)
        assert measured_before(connection, "ann", "k") == made[1]
        assert measured_before(connection, "ann", "other") is None
        assert measured_before(connection, "ben", "k") is None
