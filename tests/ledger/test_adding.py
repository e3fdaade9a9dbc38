"""What another job's unit does already is shared, never done twice."""

import numpy as np
from sqlalchemy import select

from analyzer.spectrum import Spectrum
from analyzer.store import SpectrumKey, StoredSpectrum
from ledger.adding import in_work, kept, link, planning_lock
from ledger.jobs import cancel
from ledger.reach import Reach
from ledger.tables import jobs, links, targets, units
from ledger.units import finish
from tests.ledger.make import add, add_job, at_once, count, held, states, take, waits

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def linked(database, unit_id):
    with database.read() as connection:
        query = select(links.c.job_id).where(links.c.unit_id == unit_id)
        return set(connection.scalars(query))


def test_an_open_unit_of_the_same_key_is_shared(database):
    with database.write() as connection:
        first, second = add_job(connection), add_job(connection, owner="ben")
        unit_id = add(connection, first, key="k")
        assert add(connection, second, key="k") == unit_id
        assert add(connection, first, key="k") == unit_id
        assert add(connection, second, key="other") != unit_id
    assert linked(database, unit_id) == {first, second}


def test_units_without_a_key_are_not_alike(database):
    with database.write() as connection:
        job_id = add_job(connection)
        assert len({add(connection, job_id) for _ in range(3)}) == 3
    assert count(database, units) == 3


def test_one_unit_of_a_key_comes_of_jobs_at_once(database):
    def submit():
        with database.write() as connection:
            job_id = add_job(connection)
            return job_id, add(connection, job_id, key="k")

    found = at_once(*[submit] * 6)
    assert len({unit_id for _, unit_id in found}) == 1
    assert linked(database, found[0][1]) == {job_id for job_id, _ in found}
    assert count(database, units) == 1


def test_a_unit_that_ends_meanwhile_is_not_shared(database, meanwhile):
    with database.write() as connection:
        first, second = add_job(connection), add_job(connection)
    claim = held(database, first, key="k")

    def submit():
        with database.write() as connection:
            return add(connection, second, key="k")

    with database.write() as connection:
        assert finish(connection, claim, {})
        added = meanwhile(submit)
        assert waits(added)
    assert added.result(10) != claim.unit_id
    assert states(database) == {claim.unit_id: "done", added.result(): "queued"}


def test_what_is_in_work_is_known_as_long_as_it_is(database):
    with database.write() as connection:
        job_id = add_job(connection)
        first = add(connection, job_id, digests=(A, B))
        second = add(connection, job_id, digests=(C,))
        assert in_work(connection, [A, C, "d" * 64]) == {A: first, C: second}
        claim = take(connection, first)
        assert in_work(connection, [A, B]) == {A: first, B: first}
        finish(connection, claim, {})
        assert in_work(connection, [A, B, C]) == {C: second}


def test_what_was_cancelled_stands_in_nobodys_way(database):
    with database.write() as connection:
        first, second = add_job(connection), add_job(connection)
        old = add(connection, first, key="k", digests=(A, B))
        cancel(connection, Reach("ann"), "analysis", first)
        new = add(connection, second, key="k", digests=(A,))
        assert new != old
        assert in_work(connection, [A, B]) == {A: new}
    assert states(database) == {old: "cancelled", new: "queued"}


def test_many_digests_are_looked_up_at_once(database):
    digests = tuple(f"{number:064x}" for number in range(1200))
    with database.write() as connection:
        unit_id = add(connection, add_job(connection), digests=digests)
        assert in_work(connection, digests) == dict.fromkeys(digests, unit_id)
        assert kept(connection, digests) == set()


def test_what_is_kept_is_known_checked_or_not(database, ledger):
    keys = [SpectrumKey("f" * 64, str(n), "{}", "float64", "gram", 1) for n in range(3)]
    stored = StoredSpectrum(Spectrum(np.array([1.0, 2.0]), "float64", "ok"), "a" * 64)
    store = ledger.store()
    store.put(keys[0], stored, "m")
    store.put(keys[1], stored, "m", checked=False)
    with database.read() as connection:
        assert kept(connection, [key.digest for key in keys]) == {k.digest for k in keys[:2]}


def test_links_are_written_once(database):
    with database.write() as connection:
        job_id = add_job(connection)
        unit_id = add(connection, job_id)
        link(connection, job_id, [unit_id, unit_id])
        link(connection, job_id, [])
    assert linked(database, unit_id) == {job_id}


def test_what_was_deleted_leaves_no_links(database):
    with database.write() as connection:
        job_id = add_job(connection)
        unit_id = add(connection, job_id, digests=(A,))
        connection.execute(jobs.delete())
    assert linked(database, unit_id) == set()
    with database.write() as connection:
        connection.execute(units.delete())
    assert count(database, targets) == 0


def test_one_plans_at_a_time(database, meanwhile):
    def plan():
        with database.write() as connection:
            planning_lock(connection)
            return True

    with database.write() as connection:
        planning_lock(connection)
        other = meanwhile(plan)
        assert waits(other)
    assert other.result(10)
    assert at_once(*[plan] * 4) == [True] * 4
