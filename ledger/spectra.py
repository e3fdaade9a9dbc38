"""The store of spectra in the database: SpectrumStore, with the same promises as FolderStore."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
from sqlalchemy import Connection, Row, delete, select, update

from analyzer.spectrum import Spectrum
from analyzer.store import SpectrumKey, StoredSpectrum, is_racy, narrowest
from analyzer.tails import Fit, estimator_named
from analyzer.weightfile import FileIdentity
from ledger.artifacts import Artifacts, in_parts
from ledger.clock import now
from ledger.database import Database
from ledger.insert import insert_new, upsert
from ledger.patience import patient
from ledger.tables import file_hashes, fits, spectra

Known = tuple[bool, StoredSpectrum]
"""A spectrum, and whether it is checked."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Method = Callable[Concatenate["LedgerStore", Arguments], Result]


def _waits(method: Method[Arguments, Result]) -> Method[Arguments, Result]:
    """Let a method wait for the database; each may be done twice without harm."""

    @wraps(method)
    def patiently(
        self: "LedgerStore", /, *given: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        return patient(self._patience)(method, self, *given, **named)

    return patiently


class LedgerStore:
    """Spectra, fits and the hashes of local files, in the database.

    `preload` fetches many at once; what was not preloaded is looked up one by one. Where the
    database is away each call waits for it, for `patience` seconds, then raises
    DatabaseUnavailable.
    """

    def __init__(self, database: Database, artifacts: Artifacts, patience: float = 0.0) -> None:
        """Use the tables of `database`."""
        self._patience = patience
        self._database = database
        self._artifacts = artifacts
        self._known: dict[str, Known | None] = {}
        self._fits: dict[str, dict[tuple[str, int], Fit]] = {}

    @_waits
    def preload(self, keys: Iterable[SpectrumKey]) -> None:
        """Remember which of these are kept, with their fits, for the life of this object."""
        by_digest = {key.digest: key for key in keys}
        with self._database.read() as connection:
            for part in in_parts(by_digest):
                rows = connection.execute(select(spectra).where(spectra.c.digest.in_(part))).all()
                self._known.update(dict.fromkeys(part))
                self._known.update(self._spectra(connection, rows, by_digest))
                self._fits.update({digest: {} for digest in part})
                found = connection.execute(select(fits).where(fits.c.digest.in_(part)))
                for digest, estimator, version, fit in found:
                    self._fits[digest][estimator, version] = Fit.model_validate(fit)

    def get(self, key: SpectrumKey) -> StoredSpectrum | None:
        """The spectrum of that key, checked; None where it is not kept or is damaged."""
        return self._get(key, checked=True)

    def get_unchecked(self, key: SpectrumKey) -> StoredSpectrum | None:
        """The spectrum of that key from a file that was not checked; None where there is none."""
        return self._get(key, checked=False)

    @_waits
    def put(
        self, key: SpectrumKey, stored: StoredSpectrum, model: str, *, checked: bool = True
    ) -> None:
        """Keep a spectrum: the first one from a checked file stays, else the last one."""
        values = narrowest(stored.spectrum.values)
        with self._database.write() as connection:
            self._drop_damaged(connection, key)
            if checked:
                self._forget(connection, key)
            row = {
                "digest": key.digest,
                "checked": checked,
                "fields": asdict(key),
                "model": model,
                "status": stored.spectrum.status,
                "windows": stored.spectrum.windows,
                "dtype": values.dtype.str,
                "tensor_sha256": stored.tensor_sha256,
                "artifact": self._artifacts.put(connection, values.tobytes()),
                "created_at": now(),
            }
            unchecked = spectra.c.checked.is_(False)
            upsert(connection, spectra, row, key=["digest"], where=lambda _: unchecked)
        self._known.pop(key.digest, None)

    @_waits
    def confirm(self, key: SpectrumKey, tensor_sha256: str) -> None:
        """The file behind the unchecked spectrum of these bytes was checked."""
        with self._database.write() as connection:
            connection.execute(
                update(spectra)
                .where(_unchecked(key), spectra.c.tensor_sha256 == tensor_sha256)
                .values(checked=True)
            )
        self._known.pop(key.digest, None)

    @_waits
    def forget(self, key: SpectrumKey) -> None:
        """Delete an unchecked spectrum."""
        with self._database.write() as connection:
            self._forget(connection, key)
        self._known.pop(key.digest, None)

    @_waits
    def get_fit(self, key: SpectrumKey, estimator: str) -> Fit | None:
        """The kept fit of an estimator (at its present version) to a spectrum."""
        version = estimator_named(estimator).version
        known = self._fits.get(key.digest)
        if known is not None:
            return known.get((estimator, version))
        with self._database.read() as connection:
            found = connection.scalar(
                select(fits.c.fit).where(
                    fits.c.digest == key.digest,
                    fits.c.estimator == estimator,
                    fits.c.version == version,
                )
            )
        return None if found is None else Fit.model_validate(found)

    @_waits
    def put_fits(self, key: SpectrumKey, found: Mapping[str, Fit]) -> None:
        """Keep fits to a spectrum, by estimator."""
        versions = {name: estimator_named(name).version for name in found}
        with self._database.write() as connection:
            for name, fit in found.items():
                row = {
                    "digest": key.digest,
                    "estimator": name,
                    "version": versions[name],
                    "fit": json.loads(fit.model_dump_json()),
                }
                upsert(connection, fits, row, key=["digest", "estimator", "version"])
        if key.digest in self._fits:
            kept = {(name, versions[name]): fit for name, fit in found.items()}
            self._fits[key.digest].update(kept)

    @_waits
    def get_sha256(self, identity: FileIdentity) -> str | None:
        """The remembered sha256 of a local file with that identity."""
        with self._database.read() as connection:
            return connection.scalar(
                select(file_hashes.c.sha256).where(file_hashes.c.identity == _digest(identity))
            )

    @_waits
    def put_sha256(self, identity: FileIdentity, sha256: str) -> None:
        """Remember a local file's sha256, unless a change could hide."""
        if is_racy(identity):
            return
        with self._database.write() as connection:
            insert_new(connection, file_hashes, {"identity": _digest(identity), "sha256": sha256})

    @_waits
    def _get(self, key: SpectrumKey, *, checked: bool) -> StoredSpectrum | None:
        found = self._known.get(key.digest)
        if found is None and key.digest not in self._known:
            query = select(spectra).where(spectra.c.digest == key.digest)
            with self._database.read() as connection:
                rows = connection.execute(query).all()
                found = self._spectra(connection, rows, {key.digest: key}).get(key.digest)
        return found[1] if found is not None and found[0] == checked else None

    def _spectra(
        self, connection: Connection, rows: Sequence[Row[Any]], keys: dict[str, SpectrumKey]
    ) -> dict[str, Known]:
        """What rows stand for; those whose bytes are damaged are left out, as if never solved."""
        found: dict[str, Known] = {}
        contents = self._artifacts.get_all(connection, [row.artifact for row in rows])
        for row in rows:
            content = contents.get(row.artifact)
            if content is None:
                continue
            values = np.frombuffer(content, np.dtype(row.dtype)).astype(np.float64)
            precision = keys[row.digest].precision
            spectrum = Spectrum(values, precision, row.status, row.windows)
            found[row.digest] = row.checked, StoredSpectrum(spectrum, row.tensor_sha256)
        return found

    def _drop_damaged(self, connection: Connection, key: SpectrumKey) -> None:
        """A spectrum whose bytes are not what was kept is not the first one that stays."""
        mine = spectra.c.digest == key.digest
        artifact = connection.scalar(select(spectra.c.artifact).where(mine))
        if artifact is not None and not self._artifacts.get_all(connection, [artifact]):
            connection.execute(delete(spectra).where(mine, spectra.c.artifact == artifact))

    def _forget(self, connection: Connection, key: SpectrumKey) -> None:
        gone = connection.execute(delete(spectra).where(_unchecked(key)))
        if gone.rowcount:
            connection.execute(delete(fits).where(fits.c.digest == key.digest))
            self._fits.pop(key.digest, None)


def _unchecked(key: SpectrumKey) -> Any:
    return (spectra.c.digest == key.digest) & spectra.c.checked.is_(False)


def _digest(identity: FileIdentity) -> str:
    return hashlib.sha256(repr(identity).encode()).hexdigest()
