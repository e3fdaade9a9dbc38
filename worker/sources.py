"""Open what a job reads: pinned weights for those who solve, a known outline for those who plan."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer.errors import CorruptFile
from analyzer.local import open_local
from analyzer.source import Source, open_source
from analyzer.spectrum import NUMERICS_VERSION
from analyzer.version import tailora_version
from analyzer.weightfile import HashMemory, Origin
from ledger.errors import DamagedArtifact
from ledger.outlines import KnownFile, KnownModel
from ledger.roots import allowed, identity

MOST_OPEN = 2


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pinned model lies: a commit of a repository, or files on this machine's disk."""

    model: str
    """As it was asked for, which is what documents call it."""

    repository: str | None = None
    commit: str | None = None
    path: str | None = None
    restricted: bool = False
    """Whether the repository is gated or private."""

    def key(self) -> str:
        """What stands for this very content; another version may read headers in another way."""
        what: Any = [self.repository, self.commit]
        if self.path is not None:
            what = [self.path, identity(Path(self.path))]
        content = json.dumps([what, NUMERICS_VERSION, tailora_version()])
        return hashlib.sha256(content.encode()).hexdigest()


def open_place(place: Place, roots: tuple[Path, ...], memory: HashMemory) -> Source:
    """The source of a pinned model. Raises AnalyzerError or PathNotAllowed.

    A path is judged again where it is read: what it leads to may have changed since.
    """
    if place.path is not None:
        return open_local(place.model, allowed(place.path, roots), memory)
    return open_source(f"{place.repository}@{place.commit}", memory)


class OpenSources:
    """What a process has open, by the key of an outline: opening a source asks the Hub for commit,
    listing and every header, which the next unit of the same model need not do again.
    """

    def __init__(self) -> None:
        """Open nothing yet."""
        self._open: dict[str, Source] = {}
        self._known: dict[str, KnownModel] = {}

    def get(self, key: str, place: Place, roots: tuple[Path, ...], memory: HashMemory) -> Source:
        """The source of a pinned model; one whose reads were stopped is opened anew."""
        source = self._open.pop(key, None)
        if source is None or source.stop.is_set():
            source = open_place(place, roots, memory)
        self._open[key] = source
        _keep_newest(self._open)
        return source

    def known(self, key: str, read: Callable[[], KnownModel | None]) -> KnownModel | None:
        """The outline of that key, which never changes: `read` once."""
        known = self._known.pop(key, None) or read()
        if known is not None:
            self._known[key] = known
            _keep_newest(self._known)
        return known

    def drop(self, key: str | None) -> None:
        """Forget a source that something was wrong with; a unit without one has None."""
        if key is not None:
            self._open.pop(key, None)
            self._known.pop(key, None)


def _keep_newest(found: dict[str, Any]) -> None:
    while len(found) > MOST_OPEN:
        del found[next(iter(found))]


class KnownWeights:
    """A weight file of which size and sha256 are known, and whose bytes nobody should need."""

    connections = 1

    def __init__(self, name: str, known: KnownFile) -> None:
        """Stand for the file."""
        self.name = name
        self.origin: Origin = "local" if known.trusted else "hub"
        self.trusted = known.trusted
        self._known = known

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._known.size

    def sha256(self) -> str:
        """The sha256 of the file."""
        return self._known.sha256

    def read(self, start: int, end: int) -> bytes:
        """Raises DamagedArtifact: a spectrum that was kept is gone."""
        raise DamagedArtifact(f"a spectrum from {self.name} is not kept any more; retry the job")


def known_source(known: KnownModel, model: str) -> Source:
    """A source for what is stored already: an analysis from it reads no weights."""
    files = {name: KnownWeights(name, file) for name, file in known.files.items()}
    return Source(model, files, revision=known.outline.revision, warnings=known.warnings)


def check_hashes(source: Source, known: KnownModel, files: set[str]) -> dict[str, str]:
    """The sha256 of files that are about to be read. Raises CorruptFile where one has changed."""
    found = {file: source.sha256(file) for file in sorted(files)}
    for file, sha256 in found.items():
        if sha256 != known.files[file].sha256:
            raise CorruptFile(
                f"{source.file(file).name} changed since its outline was read; submit the job again"
            )
    return found
