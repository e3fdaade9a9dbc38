"""Delete what is old, a little at a time, so that nobody waits for it."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, delete, exists, or_, select

from ledger.access import Ledger
from ledger.clock import now
from ledger.counters import fold
from ledger.states import ENDED, OPEN
from ledger.tables import fits, jobs, links, outlines, spectra, units

BATCH = 200
DRAFTS_AFTER = 3600.0
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Pruned:
    """How much went."""

    jobs: int = 0
    spectra: int = 0
    artifacts: int = 0

    def __add__(self, other: "Pruned") -> "Pruned":
        return Pruned(
            self.jobs + other.jobs, self.spectra + other.spectra, self.artifacts + other.artifacts
        )


def prune(ledger: Ledger, days: float, *, with_spectra: bool = False) -> Iterator[Pruned]:
    """Delete jobs that ended so many days ago, and what only they needed; what each step did.

    Spectra and outlines stay, unless asked for those that are as old: they are solved again when
    somebody needs them. Raises DatabaseUnavailable.
    """
    seconds, more = days * DAY, True
    while more:
        step = prune_step(ledger, seconds, with_spectra=with_spectra)
        more = step != Pruned()
        yield step


def prune_step(ledger: Ledger, seconds: float, *, with_spectra: bool = False) -> Pruned:
    """A batch of each."""
    with ledger.database.write() as connection:
        gone = _drop_jobs(connection, seconds)
    with ledger.database.write() as connection:
        solved = _drop_spectra(connection, seconds) if with_spectra else 0
    with ledger.database.write() as connection:
        dropped = ledger.artifacts.drop_unused(connection, BATCH)
    return Pruned(gone, solved, dropped)


def keep_tidy(ledger: Ledger) -> None:
    """What every process does now and then: counters folded, drafts swept, old jobs dropped."""
    with ledger.database.write() as connection:
        fold(connection)
    ledger.artifacts.sweep(DRAFTS_AFTER)
    if ledger.settings.keep_days:
        prune_step(ledger, ledger.settings.keep_days * DAY)


def _drop_jobs(connection: Connection, seconds: float) -> int:
    """A plan goes with the analysis that was made for it; one that others wait for stays."""
    user = jobs.alias()
    needed = exists(
        select(1).where(
            or_(user.c.analysis_id == jobs.c.id, user.c.id == jobs.c.parent_id),
            or_(user.c.state.not_in(ENDED), user.c.finished_at >= now() - seconds),
        )
    )
    old = (
        select(jobs.c.id)
        .where(jobs.c.finished_at < now() - seconds, jobs.c.state.in_(ENDED), ~needed)
        .order_by(jobs.c.finished_at)
        .limit(BATCH)
    )
    gone = connection.execute(delete(jobs).where(jobs.c.id.in_(old))).rowcount
    linked = exists(select(1).where(links.c.unit_id == units.c.id))
    connection.execute(delete(units).where(units.c.state.not_in(OPEN), ~linked))
    return gone


def _drop_spectra(connection: Connection, seconds: float) -> int:
    old = select(spectra.c.digest).where(spectra.c.created_at < now() - seconds).limit(BATCH)
    digests = list(connection.scalars(old))
    for table in (fits, spectra):
        connection.execute(delete(table).where(table.c.digest.in_(digests)))
    connection.execute(delete(outlines).where(outlines.c.created_at < now() - seconds))
    return len(digests)
