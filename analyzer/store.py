"""Keep spectra and fits by content key, so that no matrix is ever solved twice.

`SpectrumStore` is the interface; `FolderStore` keeps one file per spectrum. A file is written
elsewhere in it and linked into place, so readers never see half of one, two processes can share the
folder, and the first result stays. Each file carries a sha256 of all that it holds; one that fails
the check is dropped and solved again. Spectra from files that were not checked are kept apart.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Protocol, cast

import numpy as np
from platformdirs import user_cache_path

from analyzer.errors import StoreError
from analyzer.spectrum import Precision, Solver, Spectrum, SpectrumStatus
from analyzer.tails import Fit, estimator_named
from analyzer.weightfile import FileIdentity, HashMemory

_RACY_NS = 2_000_000_000
_SUFFIX = ".safetensors"
_ABANDONED_SECONDS = 3600.0
_CHECKED, _UNCHECKED = "spectra", "unchecked"


@dataclass(frozen=True)
class SpectrumKey:
    """What a spectrum depends on; never the model's name or the device."""

    file_sha256: str
    matrix: str
    view: str
    precision: Precision
    solver: Solver
    numerics: int
    sampling: str = "all"
    packing: str | None = None
    other_files: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """64 hex digits that stand for the key."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class StoredSpectrum:
    """A spectrum with the sha256 of the tensor bytes that it was solved from."""

    spectrum: Spectrum
    tensor_sha256: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One kept spectrum, for listing."""

    path: Path
    model: str
    key: SpectrumKey
    bytes: int
    written: float


class SpectrumStore(HashMemory, Protocol):
    """Where spectra, fits and the hashes of local files are kept."""

    def get(self, key: SpectrumKey) -> StoredSpectrum | None:
        """The spectrum of that key, checked; None where it is not kept."""

    def get_unchecked(self, key: SpectrumKey) -> StoredSpectrum | None:
        """The spectrum of that key from a file that was not checked; None where there is none."""

    def put(
        self, key: SpectrumKey, stored: StoredSpectrum, model: str, *, checked: bool = True
    ) -> None:
        """Keep a spectrum: the first one from a checked file stays, else the last one."""

    def confirm(self, key: SpectrumKey, tensor_sha256: str) -> None:
        """The file behind the unchecked spectrum of these bytes was checked: it is one like others.

        Another process may have put one of other bytes meanwhile, which stays unchecked.
        """

    def forget(self, key: SpectrumKey) -> None:
        """Delete an unchecked spectrum."""

    def get_fit(self, key: SpectrumKey, estimator: str) -> Fit | None:
        """The kept fit of an estimator (at its present version) to a spectrum."""

    def put_fits(self, key: SpectrumKey, fits: Mapping[str, Fit]) -> None:
        """Keep fits to a spectrum, by estimator."""


def default_folder() -> Path:
    """`TAILORA_CACHE`, else `tailora` in the user's cache folder (XDG on Linux)."""
    chosen = os.environ.get("TAILORA_CACHE")
    return Path(chosen) if chosen else user_cache_path("tailora")


class FolderStore:
    """A store in a folder, safe for several processes."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which is made on the first write; until then the store is empty."""
        self.folder = folder
        self._swept = False

    def get(self, key: SpectrumKey) -> StoredSpectrum | None:
        """The spectrum of that key, checked; None where it is not kept or is damaged."""
        return self._get(key, _CHECKED)

    def get_unchecked(self, key: SpectrumKey) -> StoredSpectrum | None:
        """The spectrum of that key from a file that was not checked; None where there is none."""
        return self._get(key, _UNCHECKED)

    def _get(self, key: SpectrumKey, kind: str) -> StoredSpectrum | None:
        path = self._path(kind, key.digest, _SUFFIX)
        read = _read_spectrum(path)
        if read is None:
            return None
        metadata, values = read
        if metadata.get("key") != key.digest:
            _drop(path)
            return None
        status = cast(SpectrumStatus, metadata["status"])
        windows = int(metadata.get("windows", 1))
        spectrum = Spectrum(values.astype(np.float64), key.precision, status, windows)
        return StoredSpectrum(spectrum, metadata["tensor_sha256"])

    def put(
        self, key: SpectrumKey, stored: StoredSpectrum, model: str, *, checked: bool = True
    ) -> None:
        """Keep a spectrum: the first one from a checked file stays, else the last one.

        Raises StoreError.
        """
        from safetensors.numpy import save

        values = narrowest(stored.spectrum.values)
        metadata = {
            "key": key.digest,
            "fields": json.dumps(asdict(key)),
            "status": stored.spectrum.status,
            "windows": str(stored.spectrum.windows),
            "tensor_sha256": stored.tensor_sha256,
            "model": model,
        }
        metadata["seal"] = _seal_of(metadata, values)
        if not checked:
            self.forget(key)
        path = self._path(_CHECKED if checked else _UNCHECKED, key.digest, _SUFFIX)
        self._write(path, save({"eigenvalues": values}, metadata))

    def confirm(self, key: SpectrumKey, tensor_sha256: str) -> None:
        """The file behind the unchecked spectrum of these bytes was checked: it is one like others.

        Another process may have put one of other bytes meanwhile, which stays unchecked. Raises
        StoreError.
        """
        stored = self.get_unchecked(key)
        if stored is None or stored.tensor_sha256 != tensor_sha256:
            return
        target = self._path(_CHECKED, key.digest, _SUFFIX)
        with self._writing(), suppress(FileNotFoundError):  # another process did it
            target.parent.mkdir(parents=True, exist_ok=True)
            self._path(_UNCHECKED, key.digest, _SUFFIX).replace(target)

    def forget(self, key: SpectrumKey) -> None:
        """Delete an unchecked spectrum."""
        _drop(self._path(_UNCHECKED, key.digest, _SUFFIX))

    def get_fit(self, key: SpectrumKey, estimator: str) -> Fit | None:
        """The kept fit of an estimator (at its present version) to a spectrum."""
        kept = _unseal(self._fit_path(key, estimator))
        return None if kept is None else Fit.model_validate_json(kept)

    def put_fits(self, key: SpectrumKey, fits: Mapping[str, Fit]) -> None:
        """Keep fits to a spectrum, by estimator. Raises StoreError."""
        for estimator, fit in fits.items():
            self._write(self._fit_path(key, estimator), _seal(fit.model_dump_json()))

    def get_sha256(self, identity: FileIdentity) -> str | None:
        """The remembered sha256 of a local file with that identity."""
        return _unseal(self._identity_path(identity))

    def put_sha256(self, identity: FileIdentity, sha256: str) -> None:
        """Remember a local file's sha256, unless the file is so fresh that a change could hide.

        Two writes within the clock's grain leave the same mtime; git calls such entries racy.
        """
        if not is_racy(identity):
            self._write(self._identity_path(identity), _seal(sha256))

    def entries(self) -> Iterator[Entry]:
        """All intact spectra."""
        for kind in (_CHECKED, _UNCHECKED):
            for path in sorted(self.folder.glob(f"{kind}/*/*{_SUFFIX}")):
                read = _read_spectrum(path)
                if read is None:
                    continue
                # Another process may have pruned it meanwhile; another version has other fields.
                with suppress(FileNotFoundError, TypeError):
                    found = path.stat()
                    fields = json.loads(read[0]["fields"])
                    key = SpectrumKey(
                        **{**fields, "other_files": tuple(fields.get("other_files", ()))}
                    )
                    yield Entry(path, read[0]["model"], key, found.st_size, found.st_mtime)

    def remove(self, entry: Entry) -> None:
        """Delete a spectrum and its fits."""
        entry.path.unlink(missing_ok=True)
        digest = entry.key.digest
        for fit in self._path("fits", digest, "").parent.glob(f"{digest}.*"):
            fit.unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete everything that a store keeps, damaged files and drafts included."""
        for kind in (_CHECKED, _UNCHECKED, "fits", "files", "drafts"):
            shutil.rmtree(self.folder / kind, ignore_errors=True)
        self._swept = False

    def _path(self, kind: str, digest: str, suffix: str) -> Path:
        return self.folder / kind / digest[:2] / f"{digest}{suffix}"

    def _fit_path(self, key: SpectrumKey, estimator: str) -> Path:
        version = estimator_named(estimator).version
        return self._path("fits", key.digest, f".{estimator}.{version}.json")

    def _identity_path(self, identity: FileIdentity) -> Path:
        digest = hashlib.sha256(repr(identity).encode()).hexdigest()
        return self._path("files", digest, ".sha256")

    def _write(self, path: Path, content: bytes) -> None:
        with self._writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=self._drafts(), prefix=".new-", delete=False) as draft:
                try:
                    draft.write(content)
                    draft.flush()
                    _publish(draft.name, path)
                finally:
                    Path(draft.name).unlink(missing_ok=True)

    def _drafts(self) -> Path:
        """The folder of unfinished files; those that a killed process left are removed."""
        folder = self.folder / "drafts"
        if not self._swept:
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.iterdir():
                with suppress(OSError):
                    if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                        left.unlink()
            self._swept = True
        return folder

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"cannot keep results in {self.folder}: {error.strerror}; "
                "choose another folder with --cache"
            ) from error


def is_racy(identity: FileIdentity) -> bool:
    """Whether a file is so fresh that a second write could leave its identity as it is."""
    return time.time_ns() - identity[3] <= _RACY_NS


def _publish(draft: str, path: Path) -> None:
    """Give a finished draft its name; the first one stays."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links: the last one stays, equally whole
        Path(draft).replace(path)


def narrowest(values: np.ndarray) -> np.ndarray:
    """The values in four bytes each where that loses nothing, as after a float32 solver."""
    with np.errstate(over="ignore"):
        narrow = values.astype("<f4")
    exact = np.array_equal(narrow, values, equal_nan=True)
    return narrow if exact else np.ascontiguousarray(values, dtype="<f8")


def _seal_of(metadata: dict[str, str], values: np.ndarray) -> str:
    text = json.dumps(metadata, sort_keys=True)
    return hashlib.sha256(text.encode() + values.tobytes()).hexdigest()


def _seal(text: str) -> bytes:
    return f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}".encode()


def _unseal(path: Path) -> str | None:
    """The text of a sealed file; None where it is absent; a damaged one is dropped."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    seal, _, text = content.partition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() == seal:
        return text.decode()
    _drop(path)
    return None


def _read_spectrum(path: Path) -> tuple[dict[str, str], np.ndarray] | None:
    """Metadata and values of a file; None where it cannot be read; a damaged one is dropped."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="np", backend="pread") as opened:
            metadata = opened.metadata() or {}
            values = opened.get_tensor("eigenvalues")
        if values.dtype.kind == "f" and metadata.pop("seal", None) == _seal_of(metadata, values):
            return metadata, values
    except OSError:
        return None
    except SafetensorError:
        pass  # damaged, like one whose checksum differs
    _drop(path)
    return None


def _drop(path: Path) -> None:
    """Delete a damaged file where that is allowed; where not, it is only never believed."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
