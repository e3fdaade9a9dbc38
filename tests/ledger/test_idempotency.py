"""A request that is sent twice with one key is done once."""

import pytest

from ledger.errors import KeyReused
from ledger.idempotency import Replay, recall, remember
from ledger.recovery import recover
from ledger.tables import idempotency, jobs, units
from tests.ledger.make import add_job, at_once, count, undone, waits
from worker.requests import PlanWords
from worker.sources import Place
from worker.submitting import Key, Submission, submit

BODY, OTHER = "b" * 64, "c" * 64


def asked(owner="ann", key="one", body=BODY):
    place = Place("org/model", "org/model", "f" * 40)
    words = PlanWords(expert_budget=30.0)
    return Submission("plan", owner, place, place.key(), words, key=Key(key, body))


def test_the_first_answer_is_kept(database):
    with database.write() as connection:
        assert recall(connection, "ann", "one", BODY) is None
        assert remember(connection, "ann", "one", BODY, Replay("pln_1", 202)) is True
        assert remember(connection, "ann", "one", BODY, Replay("pln_2", 201)) is False
        assert recall(connection, "ann", "one", BODY) == Replay("pln_1", 202)


def test_another_request_with_the_key_is_refused(database):
    with database.write() as connection:
        remember(connection, "ann", "one", BODY, Replay("pln_1", 202))
        with pytest.raises(KeyReused, match="use a new key"):
            recall(connection, "ann", "one", OTHER)
        assert recall(connection, "ann", "two", OTHER) is None


def test_keys_are_an_owners_own(database):
    with database.write() as connection:
        remember(connection, "ann", "one", BODY, Replay("pln_1", 202))
        assert recall(connection, "ben", "one", OTHER) is None
        assert remember(connection, "ben", "one", OTHER, Replay("pln_2", 202)) is True
        assert recall(connection, "ben", "one", OTHER) == Replay("pln_2", 202)


def test_what_is_undone_is_not_remembered(database):
    with undone(database) as connection:
        remember(connection, "ann", "one", BODY, Replay("pln_1", 202))
    with database.read() as connection:
        assert recall(connection, "ann", "one", BODY) is None


def test_of_two_at_once_one_is_first(database, meanwhile):
    def second():
        with database.write() as connection:
            return remember(connection, "ann", "one", BODY, Replay("pln_2", 202))

    with database.write() as connection:
        assert remember(connection, "ann", "one", BODY, Replay("pln_1", 202))
        other = meanwhile(second)
        assert waits(other)
    assert other.result(10) is False


def test_requests_at_once_with_one_key_make_one_job(ledger, database):
    found = at_once(*[lambda: submit(ledger, asked())] * 6)
    assert len({done.job_id for done in found}) == 1
    assert {done.status for done in found} == {202}
    assert sorted(done.replayed for done in found) == [False] + [True] * 5
    assert count(database, jobs) == 2  # the plan and its analysis
    assert count(database, units) == 1
    assert submit(ledger, asked()).replayed
    with pytest.raises(KeyReused):
        submit(ledger, asked(body=OTHER))
    assert not submit(ledger, asked(owner="ben", body=OTHER)).replayed
    assert not submit(ledger, asked(key="two")).replayed
    assert count(database, jobs) == 6


def test_a_key_is_kept_for_a_day(ledger, database):
    with database.write() as connection:
        job_id = add_job(connection)
        remember(connection, "ann", "one", BODY, Replay(job_id, 202))
        now = connection.execute(idempotency.select()).one().created_at
        connection.execute(idempotency.update().values(created_at=now - 86_300.0))
    recover(database, ledger.settings)
    with database.write() as connection:
        assert recall(connection, "ann", "one", BODY) == Replay(job_id, 202)
        connection.execute(idempotency.update().values(created_at=now - 86_500.0))
    recover(database, ledger.settings)
    with database.read() as connection:
        assert recall(connection, "ann", "one", BODY) is None
