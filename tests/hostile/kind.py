"""What a hostile kind is, and the pieces that kinds are built from."""

import json
import random
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Moment = Literal["hash", "solve"]
ROWS, COLUMNS = 24, 16
MATRIX = ROWS * COLUMNS * 4
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Kind:
    """One hostile input.

    `build` fills an empty folder. `expect` holds for outline and analysis together: the class of
    the error that one of them raises, else `ok`; `either` suits what cannot be seen from outside.
    `change` spoils the folder while it is analysed: before its files are hashed, or after the
    first result. What is no plain file, or takes no disk for its size, is not `servable`.
    """

    build: Callable[[Path], None]
    expect: str
    inner: str = ""
    servable: bool = True
    soak: bool = False
    needs_user: bool = False
    moment: Moment | None = None
    change: Callable[[Path], None] | None = None

    def model(self, folder: Path) -> Path:
        """What is passed as the model: the folder, or one file in it."""
        return folder / self.inner if self.inner else folder


def entry(dtype: Any = "F32", shape: Any = (2, 2), start: Any = 0, end: Any = 16) -> dict[str, Any]:
    """One tensor of a header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def layer(number: int | str, module: str = "mlp.up_proj") -> str:
    """The name of a weight in a block."""
    return f"model.layers.{number}.{module}.weight"


def good(layers: int = 2) -> dict[str, Any]:
    """The entries of a small healthy model."""
    return {
        layer(number): entry("F32", [ROWS, COLUMNS], number * MATRIX, (number + 1) * MATRIX)
        for number in range(layers)
    }


def floats(count: int) -> bytes:
    """Seeded float32 values that have a spectrum."""
    values = random.Random(0)
    return struct.pack(f"<{count}f", *(values.gauss(0, 1) for _ in range(count)))


def body(layers: int = 2) -> bytes:
    """The bytes of the healthy model's weights."""
    return b"".join(floats(ROWS * COLUMNS) for _ in range(layers))


def dump(header: Any) -> bytes:
    """A header as bytes: given ones stay, everything else becomes JSON."""
    return header if isinstance(header, bytes) else json.dumps(header).encode()


def write(path: Path, header: Any, data: bytes = b"", *, zeros: int = 0, length: int = -1) -> None:
    """A safetensors file; `zeros` bytes that take no disk follow the data."""
    raw = dump(header)
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(raw) if length < 0 else length) + raw + data)
        stream.truncate(stream.tell() + zeros)


def file_of(
    header: Any | Callable[[], Any], data: bytes = b"", *, zeros: int = 0, length: int = -1
) -> Callable[[Path], None]:
    """A builder of model.safetensors; a large header is given as a function."""

    def build(folder: Path) -> None:
        made = header() if callable(header) else header
        write(folder / WEIGHTS, made, data, zeros=zeros, length=length)

    return build


def beside(
    entries: Mapping[str, Any] | Iterable[tuple[str, Any]], data: bytes = b"", zeros: int = 0
) -> Callable[[Path], None]:
    """A builder of the healthy model with more tensors, whose offsets count from its end."""

    def moved(hostile: Any) -> Any:
        start, end = hostile["data_offsets"]
        return {**hostile, "data_offsets": [start + 2 * MATRIX, end + 2 * MATRIX]}

    added = {name: moved(hostile) for name, hostile in dict(entries).items()}
    return file_of({**good(), **added}, body() + data, zeros=zeros)


def raw_file(content: bytes) -> Callable[[Path], None]:
    """A builder of a model.safetensors with just these bytes."""
    return lambda folder: (folder / WEIGHTS).write_bytes(content) and None
