"""Hostile headers: our strict reader, with the safetensors library as the second opinion."""

import json
import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from analyzer.errors import UnreadableFile
from analyzer.header import MAX_HEADER_BYTES, header_length, parse_header


def entry(dtype="F32", shape=(2, 2), start=0, end=16) -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


def parse(header, data: int = 16):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return parse_header(raw, 8 + len(raw) + data, "x.safetensors")


def test_what_the_library_writes(tmp_path):
    tensors = {
        "a": torch.zeros(3, 4), "b": torch.zeros(5, dtype=torch.bfloat16),
        "c": torch.zeros(2, 2, 2, dtype=torch.int8), "d": torch.tensor(1.0),
        "e": torch.zeros(2, 3, dtype=torch.float8_e4m3fn),
    }  # fmt: skip
    path = tmp_path / "x.safetensors"
    save_file(tensors, path, metadata={"format": "pt"})
    raw = path.read_bytes()
    length = header_length(raw[:8], len(raw), "x")
    found = {t.name: t for t in parse_header(raw[8 : 8 + length], len(raw), "x")}
    assert set(found) == set(tensors)
    with safe_open(path, "pt") as opened:
        for name, tensor in tensors.items():
            piece = opened.get_slice(name)
            assert found[name].shape == tuple(piece.get_shape())
            assert found[name].dtype == piece.get_dtype()
            stored = raw[found[name].start : found[name].end]
            assert stored == tensor.reshape(-1).view(torch.uint8).numpy().tobytes()


DAMAGED = {
    "not JSON": b"{nonsense",
    "not an object": b"[1, 2]",
    "bad UTF-8": b'{"\xff": 1}',
    "deep nesting": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "dtype lies": {"a": entry(dtype="F64")},
    "shape lies": {"a": entry(shape=(2, 3))},
    "unknown dtype": {"a": entry(dtype="F128")},
    "dtype not a string": {"a": entry(dtype=["F32"])},
    "past the end": {"a": entry(shape=(2, 4), end=32)},
    "does not start at 0": {"a": entry(shape=(2, 1), start=8)},
    "hole": {"a": entry(shape=(1,), end=4), "b": entry(shape=(2,), start=8)},
    "overlap": {"a": entry(), "b": entry(shape=(2,), start=8)},
    "trailing bytes": {"a": entry(shape=(2,), end=8)},
    "reversed offsets": {"a": entry(start=16, end=0)},
    "negative dimension": {"a": entry(shape=(-2, -2))},
    "float dimension": {"a": entry(shape=(2.0, 2))},
    "bool dimension": {"a": entry(shape=(True, 4))},
    "huge dimension": {"a": entry(shape=(0, 2**63), end=0)},
    "many dimensions": {"a": entry(shape=(1,) * 9 + (4,))},
    "no offsets": {"a": {"dtype": "F32", "shape": [2, 2]}},
    "entry not an object": {"a": 3},
    "name with escapes": {"a\x1b[31m": entry()},
    "name with newline": {"a\nb": entry()},
    "empty name": {"": entry()},
    "long name": {"a" * 513: entry()},
    "name twice": b'{"a":%s,"a":%s}' % ((json.dumps(entry()).encode(),) * 2),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_headers_are_refused_in_one_line(damage):
    with pytest.raises(UnreadableFile, match=r"x\.safetensors") as caught:
        parse(DAMAGED[damage])
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("prefix", "size"),
    [(b"", 0), (b"1234", 4), (struct.pack("<Q", 0) * 0, 8), (struct.pack("<Q", 2**63), 100),
     (struct.pack("<Q", 93), 100), (struct.pack("<Q", MAX_HEADER_BYTES + 1), 10**9)],
)  # fmt: skip
def test_impossible_lengths_are_refused(prefix, size):
    with pytest.raises(UnreadableFile):
        header_length(prefix, size, "x")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_flip_in_a_header_escapes_as_another_error(data):
    """A flipped byte gives other tensors or UnreadableFile, never a crash."""
    raw = bytearray(json.dumps({"a": entry(), "b": entry(start=16, end=32)}).encode())
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] = data.draw(st.integers(0, 255))
    try:
        tensors = parse(bytes(raw), data=32)
    except UnreadableFile:
        return
    assert sum(tensor.nbytes for tensor in tensors) == 32
