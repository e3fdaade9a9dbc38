"""A repository of the double: snapshots of folders as commits, branches and tags that name them."""

import hashlib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

MB = 1_000_000
Predicate = Callable[[str, int], bool]


def large(path: str, size: int) -> bool:
    """Whether a file goes to large file storage, by its path and size."""
    return path.endswith((".safetensors", ".bin")) or size > MB


@dataclass(frozen=True)
class File:
    """A file by reference: it has to stay as it was when it was added."""

    path: str
    source: Path
    size: int
    oid: str
    sha256: str | None
    pointer_size: int = 0

    @classmethod
    def read(cls, path: str, source: Path, lfs: Predicate) -> "File":
        size = source.stat().st_size
        if not lfs(path, size):
            return cls(path, source, size, _blob_sha1(source.read_bytes()), None)
        with source.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
        return cls(path, source, size, _blob_sha1(pointer.encode()), sha256, len(pointer))

    @property
    def etag(self) -> str:
        return f'"{self.sha256 or self.oid}"'

    def entry(self) -> dict[str, Any]:
        """The file as a tree listing shows it."""
        entry: dict[str, Any] = {"type": "file", "oid": self.oid, "size": self.size}
        if self.sha256:
            entry["lfs"] = {
                "oid": self.sha256,
                "size": self.size,
                "pointerSize": self.pointer_size,
            }
        return {**entry, "path": self.path}


@dataclass(frozen=True)
class Commit:
    sha: str
    files: dict[str, File]

    def entries(self) -> dict[str, dict[str, Any]]:
        """Every folder and file by its path, in the order of the listing."""
        folders = {str(parent) for path in self.files for parent in PurePosixPath(path).parents}
        entries = {path: self._folder(path) for path in folders - {"."}}
        entries.update((path, file.entry()) for path, file in self.files.items())
        return dict(sorted(entries.items()))

    def _folder(self, path: str) -> dict[str, Any]:
        inside = [file.oid for name, file in self.files.items() if name.startswith(f"{path}/")]
        return {"type": "directory", "oid": _sha1(path, *inside), "size": 0, "path": path}


@dataclass
class Repository:
    """`private`: True or the users who may see it. `gated`: None or the users who may read it."""

    name: str
    type: str = "model"
    private: bool | Collection[str] = False
    gated: Collection[str] | None = None
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def add(self, folder: Path, lfs: Predicate = large) -> Commit:
        """A snapshot of `folder`; equal contents are the same commit."""
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        names = [path.relative_to(folder).as_posix() for path in paths]
        files = {n: File.read(n, path, lfs) for n, path in zip(names, paths, strict=True)}
        sha = _sha1(self.name, *(f"{file.oid} {file.path}" for file in files.values()))
        return self.commits.setdefault(sha, Commit(sha, files))

    def commit(self, revision: str) -> Commit | None:
        """The commit a branch, a tag, `refs/...` or a full hash names."""
        name = re.sub("^refs/(heads|tags)/", "", revision)
        sha = self.branches.get(name) or self.tags.get(name) or revision
        return self.commits.get(sha)

    def visible(self, user: str | None) -> bool:
        return self.private is False or _admits(self.private, user)

    def readable(self, user: str | None) -> bool:
        return self.gated is None or _admits(self.gated, user)


def _admits(users: bool | Collection[str], user: str | None) -> bool:
    return user is not None and (users is True or user in users)


def _blob_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _sha1(*lines: str) -> str:
    return hashlib.sha1("\n".join(lines).encode(), usedforsecurity=False).hexdigest()
