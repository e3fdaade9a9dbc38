"""Hostile safetensors files: headers that lie, that cost, and that the format allows."""

import json
import math
import struct

from tests.hostile.kind import (
    COLUMNS,
    MATRIX,
    ROWS,
    Kind,
    beside,
    body,
    dump,
    entry,
    file_of,
    floats,
    good,
    layer,
    raw_file,
)

MEGA = 1_000_000
_EMPTY = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
_SIXTEEN = b"\0" * 16


def _lie(**fields) -> Kind:
    """A healthy model whose last entry has other fields; None takes a field away."""
    lying = {**good()[layer(1)], **fields}
    kept = {key: value for key, value in lying.items() if value is not ...}
    return _refused({**good(), layer(1): kept}, body())


def _refused(header, data: bytes = _SIXTEEN, **options) -> Kind:
    return Kind(file_of(header, data, **options), "error", 5)


def _alone(text: str | bytes, data: bytes = _SIXTEEN) -> Kind:
    return _refused(text.encode() if isinstance(text, str) else text, data)


def _text(field: str, value: str) -> Kind:
    """A healthy model in whose last entry a field is this JSON text."""
    mark = {**good()[layer(1)], field: "MARK"}
    header = dump({**good(), layer(1): mark}).replace(b'"MARK"', value.encode())
    return _refused(header, body())


def _named(name: str, expect: str = "error") -> Kind:
    return Kind(beside({name: entry()}, _SIXTEEN), expect)


def _many(count: int) -> bytes:
    return ("{" + ",".join(f'"{n:x}":{_EMPTY}' for n in range(count)) + "}").encode()


def _metadata(text: str) -> bytes:
    return dump(good()).replace(b"{", b'{"__metadata__":' + text.encode() + b",", 1)


def _with(count: int, name: str, dtype: str = "F16", shape: tuple[int, ...] = (1, 1)) -> Kind:
    """A healthy model with many small tensors, all named alike."""
    size = {"F16": 2, "U8": 1}[dtype] * math.prod(shape)
    names = {
        name.format(n): entry(dtype, list(shape), n * size, (n + 1) * size) for n in range(count)
    }
    return Kind(beside(names, zeros=count * size), "either")


def _values(dtype: str, data: bytes, expect: str = "ok") -> Kind:
    """A healthy model with a third layer of these bytes."""
    third = {layer(2): entry(dtype, [ROWS, COLUMNS], 0, len(data))}
    return Kind(beside(third, data), expect)


_FLOATS = floats(ROWS * COLUMNS)


def _one_value(value: float) -> bytes:
    return _FLOATS[:-4] + struct.pack("<f", value)


LENGTHS = {
    "empty file": Kind(raw_file(b""), "error", 5),
    "four bytes": Kind(raw_file(b"\0" * 4), "error", 5),
    "header length 0": Kind(raw_file(b"\0" * 8), "error", 5),
    "header length 0 with data": Kind(raw_file(b"\0" * 800), "error", 5),
    "header length 2^63": _refused(good(), body(), length=2**63),
    "header length 2^64-1": _refused(good(), body(), length=2**64 - 1),
    "header past the end": _refused(good(), body(), length=10_000),
    "header one byte short": _refused(good(), body(), length=len(dump(good())) - 1),
    "header over 100 MB": Kind(
        file_of(b"{}", length=100 * MEGA + 1, zeros=101 * MEGA), "error", 5, servable=False
    ),
    "pickle renamed": Kind(raw_file(b"\x80\x02cos\nsystem\nX\x02\0\0\0idR."), "error", 5),
    "zip of pickles renamed": Kind(raw_file(b"PK\x03\x04" + b"\0" * 500), "error", 5),
    "gzip": Kind(raw_file(b"\x1f\x8b\x08" + b"\0" * 500), "error", 5),
    "Git LFS pointer": Kind(
        raw_file(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"), "error", 5
    ),
    "web page": Kind(raw_file(b"<!DOCTYPE html><html>not found</html>"), "error", 5),
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
    "nested metadata": _alone(_metadata('{"a":' * 900 + "1" + "}" * 900), body()),
    "nested top": _alone("[" * MEGA),
    "lone surrogate": _alone(dump({"\ud800": entry()})),
    "surrogate in metadata": _alone(_metadata('{"a":"\\ud800"}'), body()),
    "numbers in metadata": _alone(_metadata('{"a":1}'), body()),
    "metadata is a list": _alone(_metadata("[]"), body()),
    "NaN in metadata": _alone(_metadata('{"a":NaN}'), body()),
    "unclosed string of escapes": Kind(
        file_of(lambda: b'{"' + b'\\"' * 12_000_000), "error", 5, servable=False
    ),
    "name twice": _alone('{"a":%s,"a":%s}' % ((json.dumps(entry()),) * 2)),
    "name twice by escape": _alone('{"a":%s,"\\u0061":%s}' % ((json.dumps(entry()),) * 2)),
    "metadata twice": _alone(b'{"__metadata__":{},' + _metadata("{}")[1:], body()),
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

COSTLY = {
    "24 MB of blanks": Kind(
        file_of(lambda: dump(good()) + b" " * 24 * MEGA, body()), "ok", servable=False
    ),
    "24 MB of blanks beside an emoji": Kind(
        file_of(lambda: _metadata('{"a":"😀"}') + b" " * 24 * MEGA, body()),
        "either", servable=False,
    ),
    "99 MB of blanks": Kind(
        file_of(lambda: dump(good()) + b" " * 99 * MEGA, body()), "error", 5, servable=False
    ),
    "1,000,000 tensors": Kind(file_of(lambda: _many(MEGA)), "error", 5, servable=False),
    "450,000 tensors in 25 MB": Kind(file_of(lambda: _many(450_000)), "error", 5, servable=False),
    "100,000 tensors": Kind(file_of(lambda: _many(100_000)), "error", 5, servable=False),
    "8,000,000 lists": Kind(
        file_of(lambda: b'{"a":[' + b"[]," * 8 * MEGA + b"1]}"), "error", 5, servable=False
    ),
    "8,000,000 objects": Kind(
        file_of(lambda: b'{"a":[' + b"{}," * 8 * MEGA + b"1]}"), "error", 5, servable=False
    ),
    "5,000,000 strings": Kind(
        file_of(lambda: b'{"a":[' + b'"ab",' * 4_900_000 + b"1]}"), "error", 5, servable=False
    ),
    "5,000 numbers of 4,300 digits": Kind(
        file_of(lambda: b'{"a":[' + (b"9" * 4300 + b",") * 5000 + b"1]}"), "error", 5,
        servable=False,
    ),
    "24 MB of escapes in metadata": Kind(
        file_of(lambda: _metadata('{"a":"' + "\\n" * 12 * MEGA + '"}'), body()), "either",
        servable=False,
    ),
    "24 MB of metadata with an emoji": Kind(
        file_of(lambda: _metadata('{"a":"😀\\n' + "a" * 24 * MEGA + '"}'), body()), "either",
        servable=False,
    ),
    "10,000,000 experts": Kind(
        beside(
            {layer(1, "mlp.experts.down_proj")[:-7]: entry("F16", [10 * MEGA, 1, 1], 0, 20 * MEGA)},
            zeros=20 * MEGA,
        ),
        "either", servable=False,
    ),
    "40,000 stacks": _with(40_000, "s{0}.0.w.weight"),
    "40,000 fused layers": _with(40_000, "model.layers.0.x{0}.gate_up_proj.weight", "F16", (3, 1)),
    "40,000 modules": _with(40_000, "model.layers.0.x{0}.bias", "U8", (1,)),
    "tensor of 1 TB": Kind(
        beside({layer(0, "x"): entry("F32", [2**20, 2**18], 0, 2**40)}, zeros=2**40),
        "error", servable=False,
    ),
    "tensor of 68 GB": Kind(
        beside({layer(0, "x"): entry("F32", [2**17, 2**17], 0, 2**36)}, zeros=2**36),
        "error", servable=False,
    ),
    "many tensors of 60 GB": Kind(
        beside(
            {layer(0, f"x{n}"): entry("F32", [15_000, MEGA], n * 60 * 10**9, (n + 1) * 60 * 10**9)
             for n in range(10)}, zeros=600 * 10**9,
        ),
        "error", servable=False, soak=True,
    ),
}  # fmt: skip

ALLOWED = {
    "no tensors": _refused({}, b""),
    "only metadata": _refused({"__metadata__": {"format": "pt"}}, b""),
    "zero size": Kind(beside({layer(0, "x"): entry(shape=[0, 4], end=0)}), "ok"),
    "dimension 2^31-1": Kind(beside({layer(0, "x"): entry(shape=[0, 2**31 - 1], end=0)}), "ok"),
    "scalar": Kind(beside({"x": entry(shape=[], end=4)}, b"\0" * 4), "ok"),
    "scalar weight": Kind(beside({layer(0, "x"): entry(shape=[], end=4)}, b"\0" * 4), "ok"),
    "one dimension": Kind(beside({layer(0, "x"): entry(shape=[4])}, _SIXTEEN), "ok"),
    "three dimensions": Kind(beside({layer(0, "x"): entry(shape=[1, 2, 2])}, _SIXTEEN), "ok"),
    "eight dimensions": Kind(beside({layer(0, "x"): entry(shape=[1] * 7 + [4])}, _SIXTEEN), "ok"),
    "extra fields": Kind(
        file_of({name: {**one, "note": [{"a": [1.5]}]} for name, one in good().items()}, body()),
        "ok",
    ),
    "one by one": Kind(beside({layer(0, "x"): entry(shape=[1, 1], end=4)}, b"\0\0\x80?"), "either"),
    "C64": Kind(beside({"model.layers.0.freq": entry("C64", [1, 2])}, _SIXTEEN), "ok"),
    "BOOL bytes above 1": Kind(
        beside({"model.layers.0.mask": entry("BOOL", [2, 2], 0, 4)}, b"\2\3\xff\0"), "ok"
    ),
    "BOOL as a weight": Kind(beside({layer(0, "x"): entry("BOOL", [4, 4])}, b"\xff" * 16), "error"),
    "F4 weight": Kind(beside({layer(0, "x"): entry("F4", [4, 8])}, _SIXTEEN), "error"),
    "F6 weight": Kind(beside({layer(0, "x"): entry("F6_E2M3", [4, 4], 0, 12)}, b"1" * 12), "error"),
    "F8 scale": Kind(beside({layer(0, "x"): entry("F8_E8M0", [4, 4])}, b"\xff" * 16), "either"),
    "BF16 called F16": _values("F16", b"\xff\x7f" * ROWS * COLUMNS, "either"),
    "I32 called F32": _values("F32", b"\xff\xff\xff\xff" * ROWS * COLUMNS, "error"),
    "one NaN": _values("F32", _one_value(math.nan), "error"),
    "one Inf": _values("F32", _one_value(math.inf), "error"),
    "one -Inf": _values("F32", _one_value(-math.inf), "error"),
    "one 3e38": _values("F32", _one_value(3e38), "either"),
    "F64 of 1e308": _values("F64", struct.pack("<d", 1e308) * ROWS * COLUMNS, "either"),
    "all 3e38": _values("F32", struct.pack("<f", 3e38) * ROWS * COLUMNS, "either"),
    "all zero": _values("F32", b"\0" * MATRIX, "error"),
    "all denormal": _values("F32", struct.pack("<I", 1) * ROWS * COLUMNS, "either"),
    "NaN beside a healthy matrix": Kind(
        beside({layer(0, "x"): entry("F32", [ROWS, COLUMNS], 0, MATRIX)}, b"\xff" * MATRIX), "ok"
    ),
}

NAMES = {
    "name with newline and escape codes": _named("a\n\x1b[31mb"),
    "name with NUL": _named("a\0b"),
    "name of 1 MB": _named("a" * MEGA),
    "name of 513": _named("a" * 513),
    "name of 512": _named("a" * 512, "ok"),
    "empty name": _named(""),
    "name with right-to-left mark": _named("a\u202eb"),
    "name with a line separator": _named("a\u2028b"),
    "name ../..": _named("../../etc/passwd", "ok"),
    "name of dots": _named("." * 500, "ok"),
    "name with markup": _named("[bold red]x[/bold red]{0}%s$HOME", "ok"),
    "name like a part": _named("model.layers.0.mlp.up_proj.weight#q", "ok"),
    "layer gap": _named(layer(60_000)),
    "layer 999,999": _named(layer(999_999)),
    "layer of 7 digits": _named(layer(1_000_000), "ok"),
    "layer of 400 digits": _named(layer("9" * 400), "ok"),
    "layer of 100,000 digits": _named(layer("9" * 100_000)),
    "layer in Unicode digits": _named(layer("٣"), "ok"),
    "layer 00": _named("model.layers.00.mlp.up_proj.weight", "either"),
    "expert of 400 digits": _named(layer(0, f"mlp.experts.{'9' * 400}.w1"), "ok"),
    "expert in Unicode digits": _named(layer(0, "mlp.experts.²٣.w1"), "ok"),
}

HEADERS: dict[str, Kind] = {**LENGTHS, **SYNTAX, **LAYOUT, **COSTLY, **ALLOWED, **NAMES}
