"""Divide what is left of an analysis into units, large ones first."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from analyzer.estimate import operations
from analyzer.lookup import Pending, files_of
from analyzer.outline import Matrix
from ledger.access import Ledger
from ledger.adding import NewUnit, add_unit, in_work, kept, link, planning_lock
from ledger.outlines import KnownModel
from ledger.presence import live_slots
from ledger.settings import Settings
from worker.passes import Pass, passes_of
from worker.requests import AnalysisWords
from worker.sources import Place, known_source

SHARE = 4
"""A unit is this part of what one slot has left to do: large ones first, which spare starts, and
small ones last, so that all slots end together."""

OPERATIONS_PER_BYTE = 1000.0
"""Reading counts too: a byte from the network takes as long as so many operations."""

SLOWEST = 2e9
"""Operations a second of a slow core, divided by ten: no unit in order takes longer than that."""

SLOWEST_READING = 1e6
"""Bytes a second."""

WINDOWS_OVER_WHOLE = 4.0
"""Solving the windows of a matrix over solving it: a guess, only to weigh units."""

OUTLINE, MATRICES, HASH = 0, 1, 2
"""Ranks in the queue: what others wait for goes first."""


def outline_unit(place: Place, key: str, deadline: float) -> NewUnit:
    """The unit that reads headers, and hashes local files."""
    payload = {"place": asdict(place), "outline_key": key}
    return NewUnit("outline", payload, OUTLINE, 0.0, 10 * deadline, key=key)


@dataclass(frozen=True, slots=True)
class Batch:
    """Matrices for one unit; `whole`: their file is read from end to end, and so checked."""

    matrices: tuple[Matrix, ...]
    whole: bool = False


def add_units(
    connection: Connection,
    ledger: Ledger,
    job_id: str,
    words: AnalysisWords,
    known: KnownModel,
    payload: dict[str, Any],
) -> tuple[int, int]:
    """Link a job to what it needs: units of others that are open, and new ones for the rest.

    `payload` says where the model is. Returns the spectra that are stored already and the units
    that the job waits for. Raises AnalyzerError.
    """
    planning_lock(connection)
    source = known_source(known, known.outline.model)
    hashes = {file: found.sha256 for file, found in known.files.items()}
    slots = live_slots(connection, "analyze", presence=ledger.settings.presence)
    waits: set[str] = set()
    stored = 0
    for each in passes_of(words, known.outline):
        lookup = each.lookup(source, store := ledger.store(), hashes)
        keys = {m.name: [key.digest for key in lookup.keys(m)] for m in each.matrices}
        running = in_work(connection, (digest for many in keys.values() for digest in many))
        store.preload(key for matrix in each.matrices for key in lookup.keys(matrix))
        pending = lookup.pending(each.matrices)
        stored += len(each.matrices) - len(pending.unread)
        busy = {m.name: theirs for m in pending.unread if (theirs := _first(running, keys[m.name]))}
        waits |= set(busy.values())
        left = [m for m in pending.unread if m.name not in busy]
        late = kept(connection, (digest for m in left for digest in keys[m.name]))
        left = [m for m in left if not late & set(keys[m.name])]
        batches, to_hash = divide(each, pending, left, slots=slots, settings=ledger.settings)
        for batch in batches:
            digests = tuple(lookup.key(matrix).digest for matrix in batch.matrices)
            unit = _matrices_unit(each, batch, payload, digests, ledger.settings)
            waits.add(add_unit(connection, job_id, unit))
        for files in to_hash:
            waits.add(add_unit(connection, job_id, _hash_unit(known, files, payload, ledger)))
    link(connection, job_id, waits)
    return stored, len(waits)


def divide(
    each: Pass, pending: Pending, left: Sequence[Matrix], *, slots: int, settings: Settings
) -> tuple[list[Batch], list[tuple[str, ...]]]:
    """Batches of what is `left` to solve, and groups of files to hash.

    A file of the Hub that fits in one batch is read once, whole; a larger one is read in ranges by
    several workers and hashed by a pass of its own.
    """
    bound = Bound(SHARE * max(1, slots), settings.least_unit_cost, settings.unit_cost)
    most = bound.of(sum(cost_of(matrix, each) for matrix in left))
    alone: dict[str, Batch] = {}
    for file in sorted(pending.whole):
        inside = [m for m in (*pending.unread, *pending.provisional) if file in files_of(m)]
        ours = [m for m in left if file in files_of(m)]
        solved_here = len(ours) == sum(file in files_of(m) for m in pending.unread)
        small = sum(cost_of(matrix, each) for matrix in inside) <= most
        if ours and solved_here and small and all(files_of(m) == {file} for m in inside):
            alone[file] = Batch(tuple(inside), whole=True)
    rest = [matrix for matrix in left if not files_of(matrix) & alone.keys()]
    batches = [*alone.values(), *_split(rest, each, bound)]
    touched = [*pending.unread, *pending.provisional]
    return batches, _groups(pending.whole - alone.keys(), touched)


def cost_of(matrix: Matrix, each: Pass) -> float:
    """What solving and reading a matrix costs, in floating-point operations."""
    solving = float(operations(matrix))
    if each.halves is not None:
        solving *= each.halves.draws / 8  # a half has an eighth of the operations
    elif each.sampling.places is not None:
        solving *= WINDOWS_OVER_WHOLE
    return solving + OPERATIONS_PER_BYTE * matrix.bytes


@dataclass(frozen=True, slots=True)
class Bound:
    """How much a unit may cost."""

    parts: int
    least: float
    most: float

    def of(self, left: float) -> float:
        """By what is left to do: guided self-scheduling (Polychronopoulos and Kuck 1987)."""
        return min(max(left / self.parts, self.least), self.most)


def _split(matrices: Sequence[Matrix], each: Pass, bound: Bound) -> Iterator[Batch]:
    """Neighbours together up to a cost; parts of one tensor, which share a reading, stay so."""
    batch: list[Matrix] = []
    cost, left = 0.0, sum(cost_of(matrix, each) for matrix in matrices)
    ordered = sorted(matrices, key=lambda matrix: matrix.file)
    for _, group in groupby(ordered, lambda m: (m.file, m.tensor, m.view.expert)):
        together = list(group)
        price = sum(cost_of(matrix, each) for matrix in together)
        if batch and cost + price > bound.of(left):
            yield Batch(tuple(batch))
            left -= cost
            batch, cost = [], 0.0
        batch += together
        cost += price
    if batch:
        yield Batch(tuple(batch))


def _groups(files: Collection[str], matrices: Iterable[Matrix]) -> list[tuple[str, ...]]:
    """Files to hash, those together that hold parts of one matrix."""
    groups = [{file} for file in sorted(files)]
    for matrix in matrices:
        shared = [group for group in groups if group & files_of(matrix)]
        if len(shared) > 1:
            groups = [group for group in groups if group not in shared]
            groups.append(set().union(*shared))
    return sorted(tuple(sorted(group)) for group in groups)


def _first(running: dict[str, str], digests: Iterable[str]) -> str | None:
    return next((running[digest] for digest in digests if digest in running), None)


def _matrices_unit(
    each: Pass,
    batch: Batch,
    payload: dict[str, Any],
    digests: tuple[str, ...],
    settings: Settings,
) -> NewUnit:
    cost = sum(cost_of(matrix, each) for matrix in batch.matrices)
    work = {
        "matrices": [matrix.name for matrix in batch.matrices],
        "whole": batch.whole,
        "halves": each.halves.model_dump() if each.halves else None,
        "options": {
            "estimator": each.options.estimator,
            "aspect": each.options.aspect,
            "precision": each.options.precision,
            "solver": each.options.solver,
            "windows": each.options.windows.model_dump(),
            "rounded": each.options.rounded,
        },
    }
    return NewUnit(
        "matrices",
        {**payload, **work},
        MATRICES,
        cost,
        settings.deadline + cost / SLOWEST,
        size=len(batch.matrices),
        digests=digests,
    )


def _hash_unit(
    known: KnownModel, files: tuple[str, ...], payload: dict[str, Any], ledger: Ledger
) -> NewUnit:
    size = sum(known.files[file].size for file in files)
    key = hashlib.sha256(f"{payload['outline_key']} {files}".encode()).hexdigest()
    return NewUnit(
        "hash",
        {**payload, "files": list(files)},
        HASH,
        OPERATIONS_PER_BYTE * size,
        ledger.settings.deadline + size / SLOWEST_READING,
        key=key,
    )
