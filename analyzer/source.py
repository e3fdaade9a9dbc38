"""Where weights come from: a checkpoint as files that are read by byte ranges."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Event, Lock
from typing import TypeVar

from analyzer.architecture import MAX_CONFIG_BYTES, Architecture, read_json
from analyzer.checkpoint import CONFIG, INDEX
from analyzer.errors import ModelNotFound, UnreadableFile
from analyzer.header import TensorInfo, header_length, parse_header
from analyzer.requests import touching
from analyzer.text import shown
from analyzer.weightfile import HashMemory, WeightFile

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(@[\w./-]+)?", re.ASCII)
MAX_HUB_ID = 96
MAX_REVISION = 200
HEADER_GUESS = 32_768
MOST_READ_AHEAD = 32_000_000

Asked = TypeVar("Asked")
Found = TypeVar("Found")
Seen = tuple[int, int, str]
"""(start, end, sha256) of bytes that were used before the file was checked."""


class Source:
    """A checkpoint in safetensors files."""

    def __init__(
        self,
        model: str,
        files: Mapping[str, WeightFile],
        *,
        revision: str | None = None,
        index: Mapping[str, str] | None = None,
        small: Callable[[str], bytes | None] = lambda name: None,
        warnings: Sequence[str] = (),
        stop: Event | None = None,
    ) -> None:
        """A checkpoint called `model`, whose `index` says which file holds which tensor.

        `revision` is the commit hash, None for local files; `small` gives the bytes of a
        small file beside the weights, None where it is not there; `stop` ends reads under way.
        """
        self.model = model
        self.revision = revision
        self.warnings = tuple(warnings)
        self.stop = stop or Event()
        self._files = dict(files)
        self.small = small
        self._indexed: dict[str, set[str]] = {file: set() for file in files}
        for tensor, file in (index or {}).items():
            if file in self._indexed:
                self._indexed[file].add(tensor)
        self._headers: dict[str, tuple[TensorInfo, ...]] = {}
        self._seen: dict[str, list[Seen]] = {file: [] for file in files}
        self._ahead: dict[tuple[str, int, int], bytes | bytearray] = {}
        self._lock = Lock()
        self.bytes_read: dict[str, int] = {}

    @property
    def files(self) -> Sequence[str]:
        """Names of all weight files of the checkpoint, sorted."""
        return sorted(self._files)

    @cached_property
    def architecture(self) -> Architecture:
        """What config.json says; empty where there is none. Raises UnreadableFile."""
        raw = self.small(CONFIG)
        if raw is None:
            return Architecture()
        return Architecture(read_json(raw, f"{shown(self.model)}/{CONFIG}", MAX_CONFIG_BYTES))

    def file(self, name: str) -> WeightFile:
        """The file of that name."""
        return self._files[name]

    def sha256(self, file: str) -> str:
        """The sha256 of a file, as 64 hex digits; see WeightFile."""
        return self._files[file].sha256()

    def tensors(self, file: str) -> tuple[TensorInfo, ...]:
        """The header of a file. Raises UnreadableFile where it lies."""
        if file not in self._headers:
            waiting = [name for name in self.files if name not in self._headers]
            connections = self._files[file].connections
            if connections > 1 and len(waiting) > 1:
                found = self._at_once(connections, self._header, waiting)
                self._headers.update(zip(waiting, found, strict=True))
            else:
                self._headers[file] = self._header(file)
        return self._headers[file]

    def read_bytes(self, file: str, start: int, end: int) -> bytes:
        """Bytes that shape the outline: a header, or a small tensor that describes a packing.

        They are remembered (`seen`) and compared when the file is checked.
        """
        content = self._ahead.pop((file, start, end), None) or self.fetch(file, start, end)
        with self._lock:
            self._seen[file].append((start, end, hashlib.sha256(content).hexdigest()))
        return bytes(content)

    def read_ahead(self, facts: Mapping[str, Sequence[TensorInfo]]) -> None:
        """Fetch small tensors by file at once, so that `read_bytes` has them; where that pays.

        What an earlier call fetched and nobody asked for is let go.
        """
        self._ahead = {}
        runs = [
            (file, *run)
            for file, tensors in facts.items()
            if self._files[file].connections > 1
            for run in touching(tensors)
        ]
        if not runs or sum(end - start for _, start, end, _ in runs) > MOST_READ_AHEAD:
            return
        connections = self._files[runs[0][0]].connections
        found = self._at_once(connections, lambda run: self.fetch(*run[:3]), runs)
        for (file, low, _, tensors), content in zip(runs, found, strict=True):
            for info in tensors:
                place = file, info.start, info.end
                self._ahead[place] = content[info.start - low : info.end - low]

    def fetch(self, file: str, start: int, end: int) -> bytes | bytearray:
        """The bytes of a file from `start` up to `end`, counted by where they come from."""
        weights = self._files[file]
        content = weights.read(start, end)
        with self._lock:
            so_far = self.bytes_read.get(weights.origin, 0)
            self.bytes_read[weights.origin] = so_far + len(content)
        return content

    def seen(self, file: str) -> tuple[Seen, ...]:
        """What `read_bytes` returned so far."""
        return tuple(self._seen[file])

    def join(self, other: "Source", mark: str) -> "Source":
        """One source with the files of both, the other's names marked; nothing is read again."""
        joined = Source(
            self.model,
            {**self._files, **_marked(other._files, mark)},
            revision=self.revision,
            small=self.small,
            warnings=(*self.warnings, *other.warnings),
            stop=self.stop,
        )
        joined._headers = {**self._headers, **_marked(other._headers, mark)}
        joined._seen = {**self._seen, **_marked(other._seen, mark)}
        joined.bytes_read = dict(Counter(self.bytes_read) + Counter(other.bytes_read))
        return joined

    def _at_once(
        self, connections: int, read: Callable[[Asked], Found], asked: Sequence[Asked]
    ) -> list[Found]:
        """The results of several reads; where one fails, the others end soon."""
        with ThreadPoolExecutor(connections, "small") as pool:
            try:
                return list(pool.map(read, asked))
            except BaseException:
                self.stop.set()
                raise

    def _header(self, file: str) -> tuple[TensorInfo, ...]:
        name, size = self._files[file].name, self._files[file].size
        first = self.read_bytes(file, 0, min(size, HEADER_GUESS))
        length = header_length(first[:8], size, name)
        header = first[8 : 8 + length]
        if len(header) < length:
            header += self.read_bytes(file, len(first), 8 + length)
        tensors = parse_header(header, size, name)
        missing = self._indexed[file] - {tensor.name for tensor in tensors}
        if missing:
            raise UnreadableFile(
                f"{INDEX} says that {file} holds {shown(min(missing))}, but it does not; "
                "fetch both again"
            )
        return tensors


def _marked(by_file: Mapping[str, Found], mark: str) -> dict[str, Found]:
    return {mark + file: value for file, value in by_file.items()}


def open_source(model: str, memory: HashMemory | None = None) -> Source:
    """The source of a model: a folder, a .safetensors file, or a Hub id (`org/name@revision`).

    `memory` (a store) spares hashing local files that did not change.

    Raises ModelNotFound where the name leads nowhere, HubUnavailable where the Hub does not answer.
    """
    from analyzer.local import open_local

    path = _existing(model)
    if path is not None:
        return open_local(model, path, memory)
    if is_hub_id(model):
        try:
            from analyzer.hub.open import open_hub
        except ImportError as error:
            raise ModelNotFound(
                f"{model} is not a folder or file here, and reading from the Hub needs "
                "huggingface_hub; install it with `pip install 'tailora[analyze]'`"
            ) from error
        return open_hub(model, memory)
    raise ModelNotFound(
        f"{shown(model) or 'the empty name'} does not exist; pass a folder with safetensors files "
        "and config.json, one .safetensors file, or a Hub id such as Qwen/Qwen3-8B"
    )


def is_hub_id(model: str) -> bool:
    """Whether a name is a Hub repository's, with or without a revision after `@`."""
    name, _, revision = model.partition("@")
    return (
        HUB_ID.fullmatch(model) is not None
        and len(name) <= MAX_HUB_ID
        and not any(bad in name for bad in ("..", "--"))
        and ".." not in revision
        and not revision.startswith("/")
        and len(revision) <= MAX_REVISION
        and not name.endswith((".safetensors", ".git"))
    )


def _existing(model: str) -> Path | None:
    try:
        path = Path(model).expanduser()
        return path if model and path.exists() else None
    except (OSError, RuntimeError, ValueError):  # too long, no such user, a NUL inside
        return None
