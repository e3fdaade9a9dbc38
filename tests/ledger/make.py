"""Jobs and units for tests, and what became of them."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Barrier

from sqlalchemy import func, select, update

from ledger.adding import NewUnit, add_unit, link
from ledger.jobs import NewJob, create
from ledger.presence import Worker, still_here
from ledger.tables import events, jobs, units
from ledger.units import claim

ERROR = {"code": "corrupt_file", "detail": "one.safetensors is damaged", "retryable": True}


def add_job(connection, kind="analysis", owner="ann", **given) -> str:
    words = {"labels": {}, "phase": "measuring", "model": "org/model", **given}
    new = NewJob(kind, owner, {"words": {}}, revision=None, outline_key="0" * 64, **words)
    return create(connection, new)


def add_plan(connection, owner="ann", **given) -> tuple[str, str]:
    """A plan, and the analysis of its own that it waits for."""
    plan = add_job(connection, "plan", owner, phase="waiting", **given)
    analysis = add_job(connection, "analysis", owner, parent_id=plan)
    change(connection, jobs, plan, analysis_id=analysis)
    return plan, analysis


def add(connection, *job_ids, **given) -> str:
    """A unit that these jobs wait for."""
    words = {"kind": "matrices", "payload": {}, "rank": 1, "cost": 1.0, "seconds": 100.0, **given}
    unit_id = add_unit(connection, job_ids[0], NewUnit(**words))
    for job_id in job_ids[1:]:
        link(connection, job_id, [unit_id])
    return unit_id


def take(connection, unit_id, worker="wrk_1", lease=60.0, attempts=5):
    return claim(connection, unit_id, worker, lease=lease, attempts=attempts)


def held(database, *job_ids, lease=60.0, **given):
    """A unit of jobs that a worker holds."""
    with database.write() as connection:
        claimed = take(connection, add(connection, *job_ids, **given), lease=lease)
    assert claimed is not None
    return claimed


def change(connection, table, row_id, **values) -> None:
    connection.execute(update(table).where(table.c.id == row_id).values(**values))


def row(database, table, row_id):
    with database.read() as connection:
        return connection.execute(select(table).where(table.c.id == row_id)).mappings().one()


def unit(database, unit_id):
    return row(database, units, unit_id)


def job(database, job_id):
    return row(database, jobs, job_id)


def states(database, table=units) -> dict[str, str]:
    with database.read() as connection:
        return {
            found: state for found, state in connection.execute(select(table.c.id, table.c.state))
        }


def told(database, job_id) -> list[str]:
    """The types of a job's events, in order."""
    with database.read() as connection:
        query = select(events.c.type).where(events.c.job_id == job_id).order_by(events.c.seq)
        return list(connection.scalars(query))


def count(database, table) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def workers_with(connection, slots, name="wrk_1", queue="analyze") -> None:
    still_here(connection, Worker(name, "host", queue, "cpu", slots, "1"))


@contextmanager
def undone(database):
    """A transaction that is rolled back in the end."""
    with suppress(_Undo), database.write() as connection:
        yield connection
        raise _Undo


class _Undo(Exception):
    pass


def at_once(*calls):
    """What calls return that begin at one moment, each in a thread; an error is raised."""
    barrier = Barrier(len(calls))

    def run(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(60) for future in [pool.submit(run, call) for call in calls]]


def waits(future: Future, seconds=0.2) -> bool:
    """Whether a call is still at it after a moment."""
    with suppress(TimeoutError):
        future.result(seconds)
    return not future.done()
