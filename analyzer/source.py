"""Where weights come from: one interface, and `open_source` that finds the right one."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from analyzer.architecture import Architecture
from analyzer.errors import ModelNotFound
from analyzer.header import TensorInfo

if TYPE_CHECKING:
    import torch

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(@[\w./-]+)?", re.ASCII)


MAX_HUB_ID = 96

FileIdentity = tuple[int, int, int, int]
"""(device, inode, size, mtime_ns), which tells one content of a local file from another."""


class HashMemory(Protocol):
    """Remembers the sha256 of local files."""

    def get_sha256(self, identity: FileIdentity) -> str | None:
        """The remembered sha256 of a local file with that identity."""

    def put_sha256(self, identity: FileIdentity, sha256: str) -> None:
        """Remember a local file's sha256."""


class Source(Protocol):
    """A checkpoint in safetensors files, read one tensor at a time."""

    @property
    def model(self) -> str:
        """The name under which the user asked for it."""

    @property
    def revision(self) -> str | None:
        """The commit hash; None for local files."""

    @property
    def architecture(self) -> Architecture:
        """What config.json says."""

    @property
    def files(self) -> Sequence[str]:
        """Names of all weight files of the checkpoint, sorted."""

    def tensors(self, file: str) -> tuple[TensorInfo, ...]:
        """The header of a file. Raises UnreadableFile where it lies."""

    def read_bytes(self, file: str, start: int, end: int) -> bytes:
        """The bytes start:end of a file. Raises UnreadableFile where they cannot be read."""

    def sha256(self, file: str) -> str:
        """The sha256 of a file's bytes, as 64 hex digits."""

    def read(self, file: str, tensor: str, expert: int | None = None) -> "torch.Tensor":
        """A tensor as stored (in CPU memory), or one slice along its first dimension.

        Raises UnreadableFile where the file changed since it was opened or cannot be read.
        """


def open_source(model: str, memory: HashMemory | None = None) -> Source:
    """The source of a model: a folder, a .safetensors file, or a Hub id.

    `memory` (a store) spares hashing local files that did not change.

    Raises ModelNotFound where the name leads nowhere.
    """
    from analyzer.local import LocalSource

    path = _existing(model)
    if path is not None:
        return LocalSource(model, path, memory)
    if _is_hub_id(model):
        raise ModelNotFound(
            f"{model} is not a folder or file here, and this version does not read from the Hub; "
            f"run `hf download {_download_words(model)} --local-dir DIR` and pass DIR"
        )
    raise ModelNotFound(
        f"{model[:200] or 'the empty name'} does not exist; pass a folder with safetensors files "
        "and config.json, or one .safetensors file"
    )


def _existing(model: str) -> Path | None:
    try:
        path = Path(model).expanduser()
        return path if model and path.exists() else None
    except (OSError, RuntimeError, ValueError):  # too long, no such user, a NUL inside
        return None


def _is_hub_id(model: str) -> bool:
    name = model.partition("@")[0]
    return (
        HUB_ID.fullmatch(model) is not None
        and len(name) <= MAX_HUB_ID
        and ".." not in name
        and not name.endswith(".safetensors")
    )


def _download_words(model: str) -> str:
    name, _, revision = model.partition("@")
    return f"{name} --revision {revision}" if revision else name
