"""A plan whose like is there is done in the transaction that accepts it."""

import pytest
from sqlalchemy import delete, select

from ledger.artifacts import Artifacts
from ledger.counters import read_counters
from ledger.done import create_done, made_before
from ledger.events import list_events
from ledger.jobs import NewJob
from ledger.results import get_result, put_result
from ledger.tables import jobs
from tests.ledger.make import add_job, add_plan, at_once, change, job

KEY = "c" * 64


@pytest.fixture
def artifacts(tmp_path):
    return Artifacts(tmp_path, 1000)


@pytest.fixture
def plan(database, artifacts) -> tuple[str, str]:
    """A plan of `ann` that has succeeded, and its analysis."""
    with database.write() as connection:
        plan, analysis = add_plan(connection, content_key=KEY)
        put_result(connection, artifacts, plan, '{"digest": "d"}', "d" * 64)
        for job_id in (plan, analysis):
            change(connection, jobs, job_id, state="succeeded", phase=None)
    return plan, analysis


def new(**given) -> NewJob:
    words = {
        "request": {"words": {"rank": 8}}, "labels": {"team": "a"}, "content_key": KEY, **given,
    }  # fmt: skip
    return NewJob(
        "plan", "ann", model="org/model", revision="r" * 40, outline_key="0" * 64, **words
    )


def test_it_is_as_if_it_had_run(database, artifacts, plan):
    with database.write() as connection:
        made = made_before(connection, "ann", KEY)
        row = create_done(connection, new(restricted=True), made)
    kept = job(database, row["id"])
    assert dict(kept) == dict(row)
    assert row["id"].startswith("pln_")
    assert (kept["state"], kept["phase"], kept["attempt"], kept["last_event"]) == (
        "succeeded", None, 1, 2,
    )  # fmt: skip
    assert (kept["analysis_id"], kept["labels"]) == (plan[1], {"team": "a"})
    assert (kept["request"], kept["restricted"]) == ({"words": {"rank": 8}}, True)
    assert kept["created_at"] <= kept["started_at"] <= kept["finished_at"]
    with database.read() as connection:
        told = [(event["seq"], event["type"]) for event in list_events(connection, row["id"])]
        assert told == [(1, "queued"), (2, "succeeded")]
        assert get_result(connection, artifacts, row["id"]) == '{"digest": "d"}'
        counted = {(name, labels.get("state")): n for name, labels, n in read_counters(connection)}
    assert counted["jobs_ended", "succeeded"] == 1
    assert counted["job_seconds_bucket", None] == 1


def test_only_a_like_one_of_the_same_owner_counts(database, plan):
    with database.write() as connection:
        assert made_before(connection, "ben", KEY) is None
        assert made_before(connection, "ann", "d" * 64) is None
        add_job(connection, "plan", content_key="d" * 64)
        assert made_before(connection, "ann", "d" * 64) is None, "it has not succeeded"
        connection.execute(delete(jobs).where(jobs.c.id == plan[1]))
        assert made_before(connection, "ann", KEY) is None, "its analysis is gone"


def test_many_at_once(database, plan):
    def submit():
        with database.write() as connection:
            return create_done(connection, new(), made_before(connection, "ann", KEY))["id"]

    ids = at_once(*[submit] * 8)
    with database.read() as connection:
        found = connection.scalars(select(jobs.c.id).where(jobs.c.content_key == KEY)).all()
    assert set(found) == {*ids, plan[0]}
    assert len(set(ids)) == 8
