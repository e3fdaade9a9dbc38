"""Hostile safetensors files: headers that lie, that cost, and that the format allows."""

import json

from tests.hostile.kind import (
    COLUMNS,
    MATRIX,
    ROWS,
    Kind,
    body,
    dump,
    entry,
    file_of,
    good,
    layer,
    raw_file,
)

MEGA = 1_000_000
_SIXTEEN = b"\0" * 16


def _lie(**fields) -> Kind:
    """A healthy model whose last entry has other fields; None takes a field away."""
    lying = {**good()[layer(1)], **fields}
    kept = {key: value for key, value in lying.items() if value is not ...}
    return _refused({**good(), layer(1): kept}, body())


def _refused(header, data: bytes = _SIXTEEN, **options) -> Kind:
    return Kind(file_of(header, data, **options), "UnreadableFile")


def _alone(text: str | bytes, data: bytes = _SIXTEEN) -> Kind:
    return _refused(text.encode() if isinstance(text, str) else text, data)


def _text(field: str, value: str) -> Kind:
    """A healthy model in whose last entry a field is this JSON text."""
    mark = {**good()[layer(1)], field: "MARK"}
    header = dump({**good(), layer(1): mark}).replace(b'"MARK"', value.encode())
    return _refused(header, body())


def with_metadata(text: str) -> bytes:
    return dump(good()).replace(b"{", b'{"__metadata__":' + text.encode() + b",", 1)


LENGTHS = {
    "empty file": Kind(raw_file(b""), "UnreadableFile"),
    "four bytes": Kind(raw_file(b"\0" * 4), "UnreadableFile"),
    "header length 0": Kind(raw_file(b"\0" * 8), "UnreadableFile"),
    "header length 0 with data": Kind(raw_file(b"\0" * 800), "UnreadableFile"),
    "header length 2^63": _refused(good(), body(), length=2**63),
    "header length 2^64-1": _refused(good(), body(), length=2**64 - 1),
    "header past the end": _refused(good(), body(), length=10_000),
    "header one byte short": _refused(good(), body(), length=len(dump(good())) - 1),
    "header over 100 MB": Kind(
        file_of(b"{}", length=100 * MEGA + 1, zeros=101 * MEGA), "UnreadableFile"
    ),
    "pickle renamed": Kind(raw_file(b"\x80\x02cos\nsystem\nX\x02\0\0\0idR."), "UnreadableFile"),
    "zip of pickles renamed": Kind(raw_file(b"PK\x03\x04" + b"\0" * 500), "UnreadableFile"),
    "gzip": Kind(raw_file(b"\x1f\x8b\x08" + b"\0" * 500), "UnreadableFile"),
    "Git LFS pointer": Kind(
        raw_file(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        "UnreadableFile",
    ),
    "web page": Kind(raw_file(b"<!DOCTYPE html><html>not found</html>"), "UnreadableFile"),
}

SYNTAX = {
    "not JSON": _alone("{nonsense"),
    "array": _alone("[1,2]"),
    "number": _alone("1"),
    "null": _alone("null"),
    "bad UTF-8": _alone(b'{"\xff":1}'),
    "UTF-16": _alone(dump(good()).decode().encode("utf-16"), body()),
    "byte order mark": _alone(b"\xef\xbb\xbf" + dump(good()), body()),
    "starts with a blank": _alone(b" " + dump(good()), body()),
    "padded with NULs": _alone(dump(good()) + b"\0" * 8, body()),
    "two objects": _alone(dump(good()) + b"{}", body()),
    "nested lists": _alone('{"a":' + "[" * 100_000 + "]" * 100_000 + "}"),
    "nested objects": _alone('{"a":' * 100_000 + "1" + "}" * 100_000),
    "nested metadata": _alone(with_metadata('{"a":' * 900 + "1" + "}" * 900), body()),
    "nested top": _alone("[" * MEGA),
    "lone surrogate": _alone(dump({"\ud800": entry()})),
    "surrogate in metadata": _alone(with_metadata('{"a":"\\ud800"}'), body()),
    "numbers in metadata": _alone(with_metadata('{"a":1}'), body()),
    "metadata is a list": _alone(with_metadata("[]"), body()),
    "NaN in metadata": _alone(with_metadata('{"a":NaN}'), body()),
    "unclosed string of escapes": Kind(
        file_of(lambda: b'{"' + b'\\"' * 12_000_000), "UnreadableFile"
    ),
    "name twice": _alone('{"a":%s,"a":%s}' % ((json.dumps(entry()),) * 2)),
    "name twice by escape": _alone('{"a":%s,"\\u0061":%s}' % ((json.dumps(entry()),) * 2)),
    "metadata twice": _alone(b'{"__metadata__":{},' + with_metadata("{}")[1:], body()),
    "field twice": _text("shape", f'[{ROWS},{COLUMNS}],"shape":[{ROWS},{COLUMNS}]'),
}

LAYOUT = {
    "overlap": _refused({"a": entry(), "b": entry(shape=[2], start=8)}),
    "same bytes twice": _refused({"a": entry(), "b": entry()}),
    "hole": _refused({"a": entry(shape=[1], end=4), "b": entry(shape=[2], start=8)}),
    "does not start at 0": _refused({"a": entry(shape=[2], start=8)}),
    "past the end": _refused({"a": entry(shape=[2, 4], end=32)}),
    "trailing bytes": _refused({"a": entry(shape=[2], end=8)}),
    "trailing bytes, no tensors": _refused({}),
    "reversed offsets": _lie(data_offsets=[2 * MATRIX, MATRIX]),
    "negative offset": _lie(data_offsets=[-MATRIX, 0]),
    "shape lies": _lie(shape=[ROWS, COLUMNS + 1]),
    "dtype of another size": _lie(dtype="F64"),
    "shape overflows": _lie(shape=[2**62, 4]),
    "shape overflows to its size": _lie(shape=[2**32, 2**32, ROWS, COLUMNS]),
    "shape [0, 2^63]": _refused({"a": entry(shape=[0, 2**63], end=0)}, b""),
    "dimension 2^31": _refused({"a": entry(shape=[0, 2**31], end=0)}, b""),
    "nine dimensions": _lie(shape=[1] * 7 + [ROWS, COLUMNS]),
    "1,000,000 dimensions": _refused(lambda: {"a": entry("U8", [1] * MEGA, 0, 1)}, b"\0"),
    "float dimension": _lie(shape=[float(ROWS), COLUMNS]),
    "negative dimensions": _lie(shape=[-ROWS, -COLUMNS]),
    "true as dimension": _lie(shape=[ROWS, COLUMNS, True]),
    "numbers as strings": _lie(shape=[str(ROWS), str(COLUMNS)]),
    "offsets as strings": _lie(data_offsets=[str(MATRIX), str(2 * MATRIX)]),
    "true as offset": _refused({"a": entry("U8", [1], False, True)}, b"\0"),
    "shape is a string": _lie(shape="22"),
    "shape is an empty string": _refused({"a": entry("F32", "", 0, 4)}, b"\0" * 4),
    "shape is an object": _lie(shape={"0": ROWS}),
    "shape is an empty object": _refused({"a": entry("F32", {}, 0, 4)}, b"\0" * 4),
    "shape is null": _lie(shape=None),
    "shape in shape": _lie(shape=[[ROWS], COLUMNS]),
    "no offsets": _lie(data_offsets=...),
    "no dtype": _lie(dtype=...),
    "no shape": _lie(shape=...),
    "one offset": _lie(data_offsets=[MATRIX]),
    "three offsets": _lie(data_offsets=[MATRIX, 2 * MATRIX, 0]),
    "offsets are an object": _lie(data_offsets={"0": MATRIX, "1": 2 * MATRIX}),
    "offsets are null": _lie(data_offsets=None),
    "offset 1e400": _text("data_offsets", "[0,1e400]"),
    "offset -0": _refused(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[-0,1]}}', b"\0"),
    "offset of 5,000 digits": _text("data_offsets", f"[{MATRIX},{'9' * 5000}]"),
    "offset of 4,300 digits": _text("data_offsets", f"[{MATRIX},{'9' * 4300}]"),
    "dimension of 4,300 digits": _text("shape", f"[{'9' * 4300}]"),
    "entry is null": _refused({"a": None}, b""),
    "entry is a string": _refused({"a": "F32"}, b""),
    "entry is a list": _refused({"a": [entry()]}),
    "entry in an entry": _refused({"a": {"b": entry()}}),
    "unknown dtype": _lie(dtype="F128"),
    "dtype of 1 MB": _lie(dtype="\x1b[31m\n" * 100_000),
    "dtype in small letters": _lie(dtype="f32"),
    "dtype is a list": _lie(dtype=["F32"]),
    "dtype is null": _lie(dtype=None),
    "I4": _lie(dtype="I4"),
    "U4": _lie(dtype="U4"),
    "U3": _lie(dtype="U3"),
    "F4 of odd size": _refused({"a": entry("F4", [3], 0, 2)}, b"\0\0"),
    "F6 of odd size": _refused({"a": entry("F6_E2M3", [3], 0, 3)}, b"\0\0\0"),
}

HEADERS: dict[str, Kind] = {**LENGTHS, **SYNTAX, **LAYOUT}
