"""Hostile contents: headers that cost, tensors that the format allows, and names."""

import math
import struct

from tests.hostile.headers import with_metadata
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
)

MEGA = 1_000_000
_EMPTY = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
_SIXTEEN = b"\0" * 16


def _many(count: int) -> bytes:
    return ("{" + ",".join(f'"{n:x}":{_EMPTY}' for n in range(count)) + "}").encode()


def _named(name: str, expect: str = "UnreadableFile") -> Kind:
    return Kind(beside({name: entry()}, _SIXTEEN), expect)


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


COSTLY = {
    "24 MB of blanks": Kind(
        file_of(lambda: dump(good()) + b" " * 24 * MEGA, body()), "ok"
    ),
    "24 MB of blanks beside an emoji": Kind(
        file_of(lambda: with_metadata('{"a":"😀"}') + b" " * 24 * MEGA, body()),
        "UnreadableFile",
    ),
    "99 MB of blanks": Kind(
        file_of(lambda: dump(good()) + b" " * 99 * MEGA, body()), "UnreadableFile"
    ),
    "1,000,000 tensors": Kind(file_of(lambda: _many(MEGA)), "UnreadableFile"),
    "450,000 tensors in 25 MB": Kind(file_of(lambda: _many(450_000)), "UnreadableFile"),
    "100,000 tensors": Kind(file_of(lambda: _many(100_000)), "NothingToAnalyse"),
    "8,000,000 lists": Kind(
        file_of(lambda: b'{"a":[' + b"[]," * 8 * MEGA + b"1]}"), "UnreadableFile"
    ),
    "8,000,000 objects": Kind(
        file_of(lambda: b'{"a":[' + b"{}," * 8 * MEGA + b"1]}"), "UnreadableFile"
    ),
    "5,000,000 strings": Kind(
        file_of(lambda: b'{"a":[' + b'"ab",' * 4_900_000 + b"1]}"), "UnreadableFile"
    ),
    "5,000 numbers of 4,300 digits": Kind(
        file_of(lambda: b'{"a":[' + (b"9" * 4300 + b",") * 5000 + b"1]}"), "UnreadableFile",
    ),
    "24 MB of escapes in metadata": Kind(
        file_of(lambda: with_metadata('{"a":"' + "\\n" * 12 * MEGA + '"}'), body()), "either",
    ),
    "24 MB of metadata with an emoji": Kind(
        file_of(lambda: with_metadata('{"a":"😀\\n' + "a" * 24 * MEGA + '"}'), body()),
        "UnreadableFile",
    ),
    "10,000,000 experts": Kind(
        beside(
            {layer(1, "mlp.experts.down_proj")[:-7]: entry("F16", [10 * MEGA, 1, 1], 0, 20 * MEGA)},
            zeros=20 * MEGA,
        ),
        "either",
    ),
    "40,000 stacks": _with(40_000, "s{0}.0.w.weight"),
    "4,000 fused layers": _with(4_000, "model.layers.0.x{0}.gate_up_proj.weight", "F16", (3, 1)),
    "40,000 modules": _with(40_000, "model.layers.0.x{0}.bias", "U8", (1,)),
    "tensor of 1 TB": Kind(
        beside({layer(0, "x"): entry("F32", [2**20, 2**18], 0, 2**40)}, zeros=2**40),
        "UnreadableFile", servable=False,
    ),
    "tensor of 68 GB": Kind(
        beside({layer(0, "x"): entry("F32", [2**17, 2**17], 0, 2**36)}, zeros=2**36),
        "UnreadableFile", servable=False,
    ),
    "many tensors of 60 GB": Kind(
        beside(
            {layer(0, f"x{n}"): entry("F32", [15_000, MEGA], n * 60 * 10**9, (n + 1) * 60 * 10**9)
             for n in range(10)}, zeros=600 * 10**9,
        ),
        "AnalyzerError", servable=False, soak=True,
    ),
}  # fmt: skip

ALLOWED = {
    "no tensors": Kind(file_of({}), "NothingToAnalyse"),
    "only metadata": Kind(file_of({"__metadata__": {"format": "pt"}}), "NothingToAnalyse"),
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
    "BOOL as a weight": Kind(
        beside({layer(0, "x"): entry("BOOL", [4, 4])}, b"\xff" * 16), "AnalyzerError"
    ),
    "F4 weight": Kind(beside({layer(0, "x"): entry("F4", [4, 8])}, _SIXTEEN), "AnalyzerError"),
    "F6 weight": Kind(
        beside({layer(0, "x"): entry("F6_E2M3", [4, 4], 0, 12)}, b"1" * 12), "AnalyzerError"
    ),
    "F8 scale": Kind(beside({layer(0, "x"): entry("F8_E8M0", [4, 4])}, b"\xff" * 16), "either"),
    "BF16 called F16": _values("F16", b"\xff\x7f" * ROWS * COLUMNS, "either"),
    "I32 called F32": _values("F32", b"\xff\xff\xff\xff" * ROWS * COLUMNS, "BadModel"),
    "one NaN": _values("F32", _one_value(math.nan), "BadModel"),
    "one Inf": _values("F32", _one_value(math.inf), "BadModel"),
    "one -Inf": _values("F32", _one_value(-math.inf), "BadModel"),
    "one 3e38": _values("F32", _one_value(3e38), "either"),
    "F64 of 1e308": _values("F64", struct.pack("<d", 1e308) * ROWS * COLUMNS, "either"),
    "all 3e38": _values("F32", struct.pack("<f", 3e38) * ROWS * COLUMNS, "either"),
    "all zero": _values("F32", b"\0" * MATRIX, "BadModel"),
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
    "layer gap": _named(layer(60_000), "BadModel"),
    "layer 999,999": _named(layer(999_999), "BadModel"),
    "layer of 7 digits": _named(layer(1_000_000), "ok"),
    "layer of 400 digits": _named(layer("9" * 400), "ok"),
    "layer of 100,000 digits": _named(layer("9" * 100_000)),
    "layer in Unicode digits": _named(layer("٣"), "ok"),
    "layer 00": _named("model.layers.00.mlp.up_proj.weight", "either"),
    "expert of 400 digits": _named(layer(0, f"mlp.experts.{'9' * 400}.w1"), "ok"),
    "expert in Unicode digits": _named(layer(0, "mlp.experts.²٣.w1"), "ok"),
}

CONTENTS: dict[str, Kind] = {**COSTLY, **ALLOWED, **NAMES}
