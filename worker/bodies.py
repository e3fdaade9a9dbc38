"""What each kind of unit does."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from sqlalchemy import Connection

from analyzer.errors import NothingToAnalyse
from analyzer.lookup import Lookup, files_of
from analyzer.measuring import MatrixMeasurer
from analyzer.options import Options
from analyzer.outline import Matrix
from analyzer.run import Measurer, Run
from analyzer.sampling import Halves, Sampling, Windows
from analyzer.scan import outline as scan_outline
from analyzer.source import Source
from analyzer.store import SpectrumKey, SpectrumStore, StoredSpectrum
from analyzer.verify import tensor_sums
from ledger.access import Ledger
from ledger.outlines import KnownFile, KnownModel, get_outline, put_outline
from ledger.units import Claim
from worker.lease import Lease
from worker.outcome import Outcome
from worker.sources import OpenSources, Place, check_hashes
from worker.steps import outline_known
from worker.training import run_segment

HASHED_AT_ONCE = 4
"""Local files: all other units of a model wait for that."""


def read_outline(ledger: Ledger, held: Claim, lease: Lease, device: str) -> Outcome:
    """Read headers, and hash local files; the jobs that wait go on in the same transaction."""
    source = _open(ledger, held, lease)
    read = _Counter(source)
    outline = scan_outline(source)

    def known_file(name: str) -> KnownFile:
        lease.check()
        file = source.file(name)
        return KnownFile(file.size, file.sha256(), file.trusted)

    with ThreadPoolExecutor(HASHED_AT_ONCE) as pool:
        files = dict(zip(source.files, pool.map(known_file, source.files), strict=True))
    known = KnownModel(outline, files, tuple(source.warnings))

    def then(connection: Connection) -> None:
        key = held.payload["outline_key"]
        put_outline(connection, ledger.artifacts, key, known)
        outline_known(connection, ledger, held.unit_id, known)

    return Outcome({"bytes_read": read.since()}, then)


def solve_matrices(ledger: Ledger, held: Claim, lease: Lease, device: str) -> Outcome:
    """Solve a list of matrices; each spectrum is kept before the next one counts."""
    started, clock = datetime.now(UTC), monotonic()
    known, source = _reopen(ledger, held, lease)
    read = _Counter(source)
    names = set(held.payload["matrices"])
    matrices = [matrix for matrix in known.outline.matrices if matrix.name in names]
    hashes = check_hashes(source, known, {file for m in matrices for file in files_of(m)})
    options = _options(held.payload, device, ledger.settings.memory)
    sampling, measurer = _how(held.payload, options, store := ledger.store())
    lookup = Lookup(source, options, store, hashes, sampling)
    store.preload(key for matrix in matrices for key in lookup.keys(matrix))
    run = Run(source, options, store, hashes, measurer, sampling)
    for _ in run.results(matrices):
        lease.progress()
    made = run.provenance(started, monotonic() - clock)
    report = made.model_dump(include={"torch", "device", "threads", "started_at", "seconds"})
    counts = {"solved": made.spectra_solved, "reused": made.spectra_reused}
    return Outcome({**report, **counts, "bytes_read": read.since()})


def hash_files(ledger: Ledger, held: Claim, lease: Lease, device: str) -> Outcome:
    """Hash whole files; the sums of what lies in them confirm what was read in ranges."""
    known, source = _reopen(ledger, held, lease)
    read = _Counter(source)
    files = set(held.payload["files"])
    check_hashes(source, known, files)
    sums = tensor_sums(source, files, known.outline.matrices, memory=ledger.settings.memory)
    return Outcome({"sums": sums, "bytes_read": read.since()})


BODIES = {
    "outline": read_outline,
    "matrices": solve_matrices,
    "hash": hash_files,
    "segment": run_segment,
}


OPEN = OpenSources()
"""Of this process, which does one unit at a time."""


class _Counter:
    """Bytes that a source has read since."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._before = dict(source.bytes_read)

    def since(self) -> dict[str, int]:
        return {
            origin: count - self._before.get(origin, 0)
            for origin, count in self._source.bytes_read.items()
        }


def _open(ledger: Ledger, held: Claim, lease: Lease) -> Source:
    place = Place(**held.payload["place"])
    key = held.payload["outline_key"]
    source = OPEN.get(key, place, ledger.settings.roots, ledger.store())
    lease.on_stop(source.stop.set)
    return source


def _reopen(ledger: Ledger, held: Claim, lease: Lease) -> tuple[KnownModel, Source]:
    key = held.payload["outline_key"]

    def read() -> KnownModel | None:
        with ledger.database.read() as connection:
            return get_outline(connection, ledger.artifacts, key)

    known = OPEN.known(key, read)
    if known is None:
        raise NothingToAnalyse("the outline of this model is not kept any more; retry the job")
    return known, _open(ledger, held, lease)


def _options(payload: dict[str, Any], device: str, memory: int) -> Options:
    words = dict(payload["options"])
    windows = Windows.model_validate(words.pop("windows"))
    return Options(
        **words, windows=windows, device=device, memory=memory, ranged=not payload["whole"]
    )


def _how(
    payload: dict[str, Any], options: Options, store: SpectrumStore
) -> tuple[Sampling, Measurer[Any]]:
    if payload["halves"] is None:
        return options.sampling, MatrixMeasurer(options, store)
    halves = Halves.model_validate(payload["halves"])
    return Sampling(halves, options.rounded), OnlyKept()


class OnlyKept:
    """Measures nothing: halves are worth no more than their spectra until a plan asks."""

    def measure(
        self, matrix: Matrix, key: SpectrumKey, stored: StoredSpectrum, *, checked: bool = False
    ) -> None:
        """Nothing."""

    def keep(self, key: SpectrumKey, found: None) -> None:
        """Nothing."""

    def alpha(self, found: None) -> float | None:
        """None."""
        return None
