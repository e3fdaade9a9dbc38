"""Which files of a folder or repository make up the checkpoint, from their names and the index."""

import re
from collections.abc import Collection, Mapping

from analyzer.architecture import read_json
from analyzer.errors import MissingShard, ModelNotFound, UnreadableFile, UnsupportedFormat

INDEX = "model.safetensors.index.json"
CONFIG = "config.json"
MAX_INDEX_BYTES = 32_000_000
MAX_FILE_NAME = 255
WHOLE = "model.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pt2")
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.safetensors")


def read_index(raw: bytes, where: str) -> dict[str, str]:
    """The file of each tensor, by an index's bytes. Raises UnreadableFile where it is none."""
    weight_map = read_json(raw, f"{where}/{INDEX}", MAX_INDEX_BYTES).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise UnreadableFile(f"{where}/{INDEX} has no weight_map; fetch it again")
    named = {str(tensor): str(file) for tensor, file in weight_map.items()}
    for name in sorted(set(named.values())):
        plain = name.isprintable() and not {"/", "\\"} & set(name) and len(name) <= MAX_FILE_NAME
        if not (plain and name.endswith(".safetensors")):
            raise UnreadableFile(
                f"{where}/{INDEX} names {name[:100]!r}, which is no file beside it"
            )
    return named


def weight_files(names: Collection[str], index: Mapping[str, str], where: str) -> list[str]:
    """The checkpoint's files among the `names` in a folder called `where`.

    Raises ModelNotFound where there are none or the choice is open, MissingShard where the index
    or the numbering names one that is not there, UnsupportedFormat where there are only pickles.
    """
    present = set(names)
    for file in sorted(set(index.values())):
        if file not in present:
            raise MissingShard(
                f"{where}/{INDEX} names {file}, which is not there; "
                f"fetch the missing file into {where}"
            )
    # Beside a whole file transformers ignores the index, so the trainer would load that file.
    if index and (WHOLE not in present or WHOLE in index.values()):
        return sorted(set(index.values()))
    found = sorted(name for name in present if name.endswith(".safetensors"))
    if WHOLE in found:
        return [WHOLE]
    if len(found) == 1 or (found and all(_SHARD.fullmatch(name) for name in found)):
        _check_numbering(where, found)
        return found
    raise _nothing(names, found, where)


def _check_numbering(where: str, names: list[str]) -> None:
    present = set(names)
    shards = [shard for name in names if (shard := _SHARD.fullmatch(name))]
    for stem, total in sorted({(shard.group(1), shard.group(3)) for shard in shards}):
        for number in range(1, int(total) + 1):
            expected = f"{stem}-{number:05d}-of-{total}.safetensors"
            if expected not in present:
                raise MissingShard(f"{where} lacks {expected}; fetch the missing file")


def _nothing(
    names: Collection[str], found: list[str], where: str
) -> ModelNotFound | UnsupportedFormat:
    if found:
        return ModelNotFound(
            f"{where} holds {len(found)} safetensors files and no {INDEX}: "
            f"pass one of them, for example {where}/{found[0]}"
        )
    if any(name.endswith(PICKLES) for name in names):
        return UnsupportedFormat(
            f"{where} holds pickled weights only, which can run code when they are read; "
            "save the model with transformers' save_pretrained to get safetensors"
        )
    return ModelNotFound(f"{where} holds no .safetensors file; pass the folder that does")
