"""Weights in local safetensors files."""

import hashlib
import re
import stat
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.architecture import MAX_CONFIG_BYTES, Architecture, read_json
from analyzer.errors import (
    MissingShard,
    ModelNotFound,
    UnreadableFile,
    UnsupportedFormat,
)
from analyzer.header import TensorInfo, header_length, parse_header
from analyzer.source import FileIdentity, HashMemory

if TYPE_CHECKING:
    import torch

INDEX = "model.safetensors.index.json"
MAX_INDEX_BYTES = 32_000_000
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.safetensors")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pt2")


class LocalSource:
    """A folder of safetensors files with its config.json, or one .safetensors file."""

    def __init__(self, model: str, path: Path, memory: HashMemory | None = None) -> None:
        """Find the weight files; opens none of them.

        Raises ModelNotFound where there are none, MissingShard where the index or the numbering
        names one that is not there, UnsupportedFormat where there are only pickles.
        """
        self.model = model
        self.revision: str | None = None
        self._memory = memory
        self._folder = path if path.is_dir() else path.parent
        index = _read_index(path / INDEX) if path.is_dir() else {}
        self.files: Sequence[str] = _files(path, index)
        self._indexed: dict[str, set[str]] = {file: set() for file in self.files}
        for tensor, file in index.items():
            self._indexed[file].add(tensor)
        self._identities: dict[str, FileIdentity] = {}
        self._headers: dict[str, tuple[TensorInfo, ...]] = {}

    @cached_property
    def architecture(self) -> Architecture:
        """What config.json beside the weights says; empty where there is none."""
        config = self._folder / "config.json"
        if not config.is_file():
            return Architecture()
        return Architecture(read_json(_read_small(config), str(config), MAX_CONFIG_BYTES))

    def identity(self, file: str) -> FileIdentity:
        """(device, inode, size, mtime_ns), which tells one content of a file from another."""
        path = self._folder / file
        try:
            found = path.stat()
        except OSError as error:
            raise UnreadableFile(f"{path} cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableFile(f"{path} is not a regular file")
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def tensors(self, file: str) -> tuple[TensorInfo, ...]:
        """The header of a file. Raises UnreadableFile where it lies."""
        if file not in self._headers:
            path = str(self._folder / file)
            size = self._identified(file)[2]
            try:
                with Path(path).open("rb") as stream:
                    length = header_length(stream.read(8), size, path)
                    header = stream.read(length)
            except OSError as error:
                raise UnreadableFile(f"{path} cannot be read: {error.strerror}") from error
            self._headers[file] = parse_header(header, size, path)
            self._check_index(file)
        return self._headers[file]

    def _check_index(self, file: str) -> None:
        missing = self._indexed[file] - {tensor.name for tensor in self._headers[file]}
        if missing:
            raise UnreadableFile(
                f"{INDEX} says that {file} holds {min(missing)[:100]}, but it does not; "
                "fetch both again"
            )

    def sha256(self, file: str) -> str:
        """The sha256 of a file's bytes, remembered where the source was given a memory."""
        identity = self._identified(file)
        known = self._memory.get_sha256(identity) if self._memory else None
        if known is not None:
            return known
        try:
            with (self._folder / file).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise UnreadableFile(f"{self._folder / file}: {error.strerror}") from error
        self._identified(file)
        if self._memory:
            self._memory.put_sha256(identity, digest)
        return digest

    def read(self, file: str, tensor: str, expert: int | None = None) -> "torch.Tensor":
        """A tensor as stored (in CPU memory), or one slice along its first dimension.

        Read with `pread` into memory of its own: a mapped file that is cut while it is used
        would kill the process. Raises UnreadableFile where the file changed or cannot be read.
        """
        from safetensors import SafetensorError, safe_open

        path = self._folder / file
        self._identified(file)
        try:
            with safe_open(path, framework="pt", backend="pread") as opened:
                if expert is None:
                    weight: torch.Tensor = opened.get_tensor(tensor)
                else:
                    weight = opened.get_slice(tensor)[expert]
        except (SafetensorError, OSError) as error:
            raise UnreadableFile(f"{path}: {tensor} cannot be read: {error}") from error
        self._identified(file)
        return weight

    def read_bytes(self, file: str, start: int, end: int) -> bytes:
        """The bytes start:end of a file. Raises UnreadableFile where they cannot be read."""
        self._identified(file)
        path = self._folder / file
        try:
            with path.open("rb") as stream:
                stream.seek(start)
                content = stream.read(end - start)
        except OSError as error:
            raise UnreadableFile(f"{path} cannot be read: {error.strerror}") from error
        if len(content) != end - start:
            raise UnreadableFile(f"{path} ends before byte {end}; fetch it again")
        return content

    def _identified(self, file: str) -> FileIdentity:
        """The file's identity, which must stay what it was when it was first looked at."""
        identity = self.identity(file)
        if self._identities.setdefault(file, identity) != identity:
            raise UnreadableFile(
                f"{self._folder / file} changed while it was read; run again when it is complete"
            )
        return identity


def _files(path: Path, index: dict[str, str]) -> list[str]:
    if not path.is_dir():
        return _file_alone(path)
    return sorted(set(index.values())) if index else _files_of_folder(path)


def _files_of_folder(folder: Path) -> list[str]:
    found = sorted(entry.name for entry in folder.glob("*.safetensors"))
    if "model.safetensors" in found:
        return ["model.safetensors"]
    if len(found) == 1 or (found and all(_SHARD.fullmatch(name) for name in found)):
        _check_numbering(folder, found)
        return found
    if found:
        raise ModelNotFound(
            f"{folder} holds {len(found)} safetensors files and no {INDEX}: "
            f"pass one of them, for example {folder / found[0]}"
        )
    if any(entry.suffix in _PICKLES for entry in folder.iterdir()):
        raise UnsupportedFormat(
            f"{folder} holds pickled weights only, which can run code when they are read; "
            "save the model with transformers' save_pretrained to get safetensors"
        )
    raise ModelNotFound(f"{folder} holds no .safetensors file; pass the folder that does")


def _read_index(index: Path) -> dict[str, str]:
    """The file of each tensor, by the index; empty where there is no index."""
    if not index.is_file():
        return {}
    weight_map = read_json(_read_small(index), str(index), MAX_INDEX_BYTES).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise UnreadableFile(f"{index} has no weight_map; fetch it again")
    named = {str(tensor): str(file) for tensor, file in weight_map.items()}
    whole = "model.safetensors"
    for name in sorted(set(named.values())):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise UnreadableFile(f"{index} names {name[:100]!r}, which is no file beside it")
        if not (index.parent / name).is_file():
            raise MissingShard(
                f"{index} names {name}, which is not there; "
                f"fetch the missing file into {index.parent}"
            )
    # Beside a whole file transformers ignores the index, so the trainer would load that file.
    return {} if (index.parent / whole).exists() and whole not in named.values() else named


def _file_alone(path: Path) -> list[str]:
    if path.suffix in _PICKLES:
        raise UnsupportedFormat(
            f"{path} is a pickle, which can run code when it is read; pass a .safetensors file"
        )
    if path.suffix != ".safetensors":
        raise ModelNotFound(f"{path} is not a .safetensors file; pass one, or the model's folder")
    return [path.name]


def _check_numbering(folder: Path, names: list[str]) -> None:
    for name in names:
        shard = _SHARD.fullmatch(name)
        if shard is None:
            continue
        stem, _, total = shard.groups()
        for number in range(1, int(total) + 1):
            expected = f"{stem}-{number:05d}-of-{total}.safetensors"
            if expected not in names:
                raise MissingShard(f"{folder} lacks {expected}; fetch the missing file")


def _read_small(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_INDEX_BYTES + 1)
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror}") from error
