"""Hostile folders: configs, indexes, what is no regular file, and files that change."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile.kind import (
    MATRIX,
    WEIGHTS,
    Kind,
    Moment,
    body,
    entry,
    file_of,
    good,
    layer,
    write,
)

INDEX = "model.safetensors.index.json"
SHARD = "model-00001-of-00002.safetensors"
_ESCAPES = "a\n\x1b[31m.safetensors"
_LAYERS = 40
healthy = file_of(good(), body())


def _config(content: Any, expect: str = "either") -> Kind:
    """A healthy model with this config.json."""

    def build(folder: Path) -> None:
        healthy(folder)
        made = content() if callable(content) else content
        text = made if isinstance(made, str) else json.dumps(made)
        (folder / "config.json").write_text(text)

    return Kind(build, expect)


def _fused(config: dict[str, Any]) -> Kind:
    """A model with fused attention, whose heads the config tells."""

    def build(folder: Path) -> None:
        fused = {layer(0, "attn.qkv_proj"): entry("F32", [24, 16], 0, MATRIX)}
        write(folder / WEIGHTS, fused, body(1))
        (folder / "config.json").write_text(json.dumps(config))

    return Kind(build, "either")


def _index(content: Any, expect: str = "UnreadableFile") -> Kind:
    """A shard with this index."""

    def build(folder: Path) -> None:
        write(folder / SHARD, good(), body())
        made = content() if callable(content) else content
        text = made if isinstance(made, str) else json.dumps(made)
        (folder / INDEX).write_text(text)

    return Kind(build, expect)


def _mapped(*names: Any, expect: str = "UnreadableFile") -> Kind:
    """An index that maps one tensor to each of these files."""
    return _index({"weight_map": {f"t{place}": name for place, name in enumerate(names)}}, expect)


def _made(build: Callable[[Path], Any], expect: str = "AnalyzerError", inner: str = "") -> Kind:
    """A kind that is no plain file, so it cannot be served."""
    return Kind(lambda folder: build(folder) and None, expect, inner, servable=False)


def _link(target: str | Path, name: str = WEIGHTS) -> Callable[[Path], None]:
    return lambda folder: (folder / name).symlink_to(target)


def _linked_out(folder: Path) -> None:
    blobs = folder.parent / f"{folder.name}-blobs"
    blobs.mkdir()
    write(blobs / "0a1b", good(), body())
    (folder / WEIGHTS).symlink_to(blobs / "0a1b")


def _with_config(make: Callable[[Path], Any]) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        healthy(folder)
        make(folder / "config.json")

    return build


def _numbered(folder: Path) -> None:
    for number in range(1, 1001):
        write(folder / f"model-{number:05d}-of-01000.safetensors", {})


def _not_readable(folder: Path) -> None:
    healthy(folder)
    (folder / WEIGHTS).chmod(0)


def _changing(moment: Moment, change: Callable[[Path], Any]) -> Kind:
    """A model that is spoiled while it is analysed; by then so small a one may all be read."""
    build = file_of(good(_LAYERS), body(_LAYERS))

    def spoil(folder: Path) -> None:
        change(folder / WEIGHTS)

    expect = "UnreadableFile" if moment == "hash" else "either"
    return Kind(build, expect, servable=False, moment=moment, change=spoil)


def _overwrite(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(-MATRIX, os.SEEK_END)
        stream.write(b"\x3f" * MATRIX)


def _grow(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"\0" * 64)


def _replace(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


def _to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


_CHANGES: dict[str, Callable[[Path], Any]] = {
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "overwritten in place": _overwrite,
    "growing": _grow,
    "replaced": _replace,
    "deleted": lambda path: path.unlink(),
    "turned into a pipe": _to_pipe,
}

CONFIGS = {
    "config of depth 100,000": _config("[" * 100_000, "UnreadableFile"),
    "config of depth 900": _config(lambda: '{"a":' * 900 + "1" + "}" * 900, "UnreadableFile"),
    "config in config, 900 deep": _config(
        '{"text_config":' * 900 + "{}" + "}" * 900, "UnreadableFile"
    ),
    "config in config, 20 deep": _config('{"text_config":' * 20 + "{}" + "}" * 20, "ok"),
    "config over 1 MB": _config('{"a":"' + "a" * 1_000_000 + '"}', "UnreadableFile"),
    "config of 330,000 lists": _config('{"a":[' + "[]," * 330_000 + "1]}"),
    "config with NaN": _config('{"hidden_size":NaN,"num_hidden_layers":-Infinity}', "ok"),
    "config with NUL": _config("\0" * 100, "UnreadableFile"),
    "config not an object": _config("[1]", "UnreadableFile"),
    "config with a number of 5,000 digits": _config('{"num_hidden_layers":' + "9" * 5000 + "}"),
    "config with a number of 4,300 digits": _config('{"num_hidden_layers":' + "9" * 4300 + "}"),
    "config with 10^9 layers": _config({"num_hidden_layers": 10**9}, "BadModel"),
    "config with layers as text": _config({"num_hidden_layers": "2"}, "ok"),
    "config with layers as list": _config({"num_hidden_layers": [2], "hidden_size": {}}, "ok"),
    "config with 0 heads": _fused({"num_attention_heads": 0, "hidden_size": 0}),
    "config with 10^9 heads": _fused({"num_attention_heads": 10**9, "hidden_size": 16}),
    "config with heads as text": _fused({"num_attention_heads": "4", "head_dim": True}),
    "config with 10^18 key heads": _fused(
        {"model_type": "falcon", "num_attention_heads": 1, "num_kv_heads": 10**18,
         "new_decoder_architecture": True}
    ),
    "config with an endless model type": _fused(
        {"model_type": "\n\x1b[31m" + "x" * 900_000, "num_attention_heads": 4}
    ),
    "config with an endless quantisation": _config(
        {"quantization_config": {"quant_method": "\n\x1b[31m" + "x" * 900_000}}, "UnsupportedFormat"
    ),
    "config with a nested quantisation": _config(
        {"quantization_config": {"quant_method": [{"a": ["\n"] * 1000}]}}, "UnsupportedFormat"
    ),
    "config quantised by a list": _config({"quantization_config": [1]}, "ok"),
}  # fmt: skip

INDEXES = {
    "index over 32 MB": _index(lambda: '{"a":"' + "a" * 32_000_000 + '"}'),
    "index of 10,000,000 lists": _index(lambda: '{"a":[' + "[]," * 10_000_000 + "1]}"),
    "index of 6,000,000 strings": _index(lambda: '{"a":[' + '"ab",' * 6_000_000 + "1]}"),
    "index of 390,000 tensors": _index(
        lambda: {"weight_map": {f"layers.{n}.weight": SHARD for n in range(390_000)}}
    ),
    "index of 600,000 tensors": _index(
        lambda: {"weight_map": {f"layers.{n}.weight": SHARD for n in range(600_000)}}
    ),
    "index of depth 100,000": _index("[" * 100_000),
    "index not an object": _index("[]"),
    "index without a map": _index({}),
    "index with a list for a map": _index({"weight_map": [SHARD]}),
    "index with an empty map": _index({"weight_map": {}}),
    "index with numbers for files": _mapped(1),
    "index with null for a file": _mapped(None),
    "index with a list for a file": _mapped([SHARD]),
    "index with ..": _mapped(f"../{SHARD}"),
    "index with an absolute path": _mapped("/etc/passwd"),
    "index with an absolute shard": _mapped("/tmp/x.safetensors"),
    "index with a pickle": _mapped("pytorch_model.bin"),
    "index with an empty file name": _mapped(""),
    "index with NUL in a file name": _mapped("a\0.safetensors", expect="BadModel"),
    "index with newline in a file name": _mapped(_ESCAPES, expect="BadModel"),
    "index with a file name of 100,000": _mapped("a" * 100_000 + ".safetensors", expect="BadModel"),
    "index with a lone surrogate": _index('{"weight_map":{"a":"\\ud800.safetensors"}}', "BadModel"),
    "index with a missing shard": _mapped(
        SHARD, "model-00002-of-00002.safetensors", expect="MissingShard"
    ),
    "index with a tensor that is not there": _index({"weight_map": {"a\n\x1b[31m": SHARD}}),
}

SPECIAL = {
    "pipe": _made(lambda folder: os.mkfifo(folder / WEIGHTS), "UnreadableFile"),
    "pipe, named": _made(lambda folder: os.mkfifo(folder / WEIGHTS), inner=WEIGHTS),
    "device": _made(_link("/dev/zero"), "UnreadableFile"),
    "device, named": _made(_link("/dev/zero"), inner=WEIGHTS),
    "folder for a file": _made(lambda folder: (folder / WEIGHTS).mkdir(), "UnreadableFile"),
    "folder for a file, named": _made(lambda folder: (folder / WEIGHTS).mkdir(), inner=WEIGHTS),
    "link to itself": _made(_link(WEIGHTS)),
    "link to itself, named": _made(_link(WEIGHTS), inner=WEIGHTS),
    "link to nothing": _made(_link("nowhere")),
    "link to another file": _made(_link("/etc/passwd"), "UnreadableFile"),
    "link into a cache": _made(_linked_out, "ok"),
    "empty folder": _made(lambda folder: None, "ModelNotFound"),
    "pickles only": _made(
        lambda folder: (folder / "pytorch_model.bin").write_bytes(b"PK"), "UnsupportedFormat"
    ),
    "file name not UTF-8": _made(
        lambda folder: write(Path(os.fsdecode(os.fsencode(folder) + b"/\xff.safetensors")), good(),
                             body()), "either"),
    "file name with newline": _made(
        lambda folder: write(folder / _ESCAPES, {}), inner=_ESCAPES
    ),
    "config is a pipe": _made(_with_config(os.mkfifo), "either"),
    "config is a device": _made(_with_config(lambda path: path.symlink_to("/dev/zero")), "either"),
    "config is a folder": _made(_with_config(Path.mkdir), "either"),
    "index is a pipe": _made(lambda folder: os.mkfifo(folder / INDEX)),
    "1,000 numbered shards": _made(_numbered),
    "not readable": Kind(
        _not_readable, "UnreadableFile", servable=False, needs_user=True
    ),
}  # fmt: skip

CHANGING = {
    f"{name} before {'hashing' if moment == 'hash' else 'the second matrix'}": _changing(
        moment, change
    )
    for name, change in _CHANGES.items()
    for moment in ("hash", "solve")
}

FOLDERS: dict[str, Kind] = {**CONFIGS, **INDEXES, **SPECIAL, **CHANGING}
