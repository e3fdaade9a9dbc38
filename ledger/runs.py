"""What is known of a training while it goes and after: metrics, checkpoints, progress and files."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, select, update

from ledger.clock import now
from ledger.insert import insert_new, upsert
from ledger.states import LIVE
from ledger.tables import checkpoints, files, jobs, metrics


def put_metrics(connection: Connection, job_id: str, lines: Iterable[Mapping[str, Any]]) -> None:
    """Keep lines by their `step`; one that is made again takes the place of the first."""
    for line in lines:
        data = dict(line)
        mixtures = data.pop("mixtures", None)
        row = {"job_id": job_id, "step": line["step"], "data": data, "mixtures": mixtures}
        upsert(connection, metrics, row, key=["job_id", "step"])


def last_step(connection: Connection, job_id: str) -> int:
    """The last step of which there is a line; -1 where there is none."""
    found = connection.scalar(select(func.max(metrics.c.step)).where(metrics.c.job_id == job_id))
    return -1 if found is None else int(found)


def list_metrics(
    connection: Connection,
    job_id: str,
    *,
    after: int = -1,
    until: int = 2**31 - 1,
    most: int = 1000,
    mixtures: bool = False,
) -> list[dict[str, Any]]:
    """Lines of steps above `after` up to `until`; evenly thinned to `most`, the last one kept.

    `mixtures`: with what each router did.
    """
    mine = (metrics.c.job_id == job_id) & (metrics.c.step > after) & (metrics.c.step <= until)
    count = connection.scalar(select(func.count()).select_from(metrics).where(mine)) or 0
    stride = max(1, -(-count // most))
    numbered = (
        select(
            metrics.c.step,
            func.row_number().over(order_by=metrics.c.step.desc()).label("place"),
        )
        .where(mine)
        .subquery()
    )
    kept = select(numbered.c.step).where((numbered.c.place - 1) % stride == 0)
    more = [metrics.c.mixtures] if mixtures else []
    rows = connection.execute(
        select(metrics.c.data, *more).where(mine, metrics.c.step.in_(kept)).order_by(metrics.c.step)
    )
    return [{**row[0], **({"mixtures": row[1]} if mixtures else {})} for row in rows]


def set_checkpoints(connection: Connection, job_id: str, found: Mapping[int, int]) -> list[int]:
    """Say which there are, in bytes by step; the steps of those that are new."""
    mine = checkpoints.c.job_id == job_id
    connection.execute(delete(checkpoints).where(mine, checkpoints.c.step.not_in(list(found))))
    return [
        step
        for step, size in sorted(found.items())
        if insert_new(
            connection,
            checkpoints,
            {"job_id": job_id, "step": step, "bytes": size, "created_at": now()},
        )
    ]


def list_checkpoints(connection: Connection, job_id: str) -> Sequence[RowMapping]:
    """Those that a training could go on from, the first ones first."""
    query = select(checkpoints).where(checkpoints.c.job_id == job_id).order_by(checkpoints.c.step)
    return connection.execute(query).mappings().all()


def set_progress(connection: Connection, job_id: str, done: int, total: int | None) -> None:
    """How far a job is that counts for itself."""
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state.in_(LIVE))
        .values(done=done, total=total)
    )


def note_before(connection: Connection, job_id: str) -> None:
    """What a job that counts for itself has done before it is begun again."""
    mine = (jobs.c.id == job_id) & jobs.c.done.is_not(None)
    connection.execute(update(jobs).where(mine).values(stored=jobs.c.done))


def put_file(connection: Connection, job_id: str, name: str, *, artifact: str, size: int) -> None:
    """Name an artifact as a file of a job."""
    row = {"job_id": job_id, "name": name, "artifact": artifact, "bytes": size}
    upsert(connection, files, row, key=["job_id", "name"])


def drop_files(connection: Connection, job_id: str, prefix: str) -> None:
    """Name files of a job no more, those whose names begin so."""
    mine = (files.c.job_id == job_id) & files.c.name.startswith(prefix, autoescape=True)
    connection.execute(delete(files).where(mine))


def list_files(connection: Connection, job_id: str, prefix: str = "") -> Sequence[RowMapping]:
    """The files of a job whose names begin so, by name."""
    mine = (files.c.job_id == job_id) & files.c.name.startswith(prefix, autoescape=True)
    return connection.execute(select(files).where(mine).order_by(files.c.name)).mappings().all()
