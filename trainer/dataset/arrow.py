"""Parquet files and folders of `datasets`, which is imported here alone."""

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from analyzer.text import listed, shown
from trainer.errors import InvalidData

_DICT, _INFO = "dataset_dict.json", "dataset_info.json"
_Rows = list[Mapping[str, Any]]
_Found = tuple[list[str], _Rows]


def read_parquet(path: Path) -> _Found:
    """Columns and rows. Raises InvalidData where it is damaged or `datasets` is missing."""
    parquet, datasets = _needed("pyarrow.parquet", path), _needed("datasets", path)
    try:
        table = parquet.read_table(path)
        ours = b"huggingface" in (table.schema.metadata or {})
        features = datasets.Features.from_arrow_schema(table.schema) if ours else {}
        rows = table.to_pylist()
    except OSError as error:
        raise InvalidData(f"cannot read {shown(path)}: {_first_line(error)}") from error
    except (ValueError, ArithmeticError, TypeError, NotImplementedError) as error:
        raise InvalidData(
            f"{shown(path)} is no whole Parquet file ({_first_line(error)}); write it again"
        ) from error
    return list(table.column_names), _with_names(rows, features)


def read_folder(path: Path) -> _Found:
    """The same of a folder written by `Dataset.save_to_disk`.

    Raises InvalidData too where it holds several splits, or is no such folder.
    """
    if (path / _DICT).is_file():
        splits = listed(_splits(path)) or "none"
        raise InvalidData(
            f"{shown(path)} holds several splits: {splits}; give the folder of one of them"
        )
    if not (path / _INFO).is_file():
        raise InvalidData(
            f"{shown(path)} is a folder without {_INFO}; give one written by "
            "`Dataset.save_to_disk`, or a .jsonl, .csv or .parquet file"
        )
    datasets = _needed("datasets", path)
    try:
        found = datasets.load_from_disk(str(path))
        rows = found.to_list()
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InvalidData(
            f"{shown(path)} is no whole saved dataset ({_first_line(error)}); save it again"
        ) from error
    return list(found.column_names), _with_names(rows, found.features)


def _needed(module: str, path: Path) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise InvalidData(
            f"{shown(path)} needs {module.partition('.')[0]}, which is not installed; install it "
            "with `pip install 'tailora[train]'`, or give a .jsonl or .csv file"
        ) from error


def _splits(path: Path) -> list[str]:
    try:
        return [str(name) for name in json.loads((path / _DICT).read_bytes())["splits"]]
    except (OSError, ValueError, LookupError, TypeError):
        return []


def _with_names(rows: list[dict[str, Any]], features: Mapping[str, Any]) -> _Rows:
    """Classes by their names, where the file has them; −1, no class, becomes None."""
    for column, feature in features.items():
        names = getattr(feature, "names", None)
        if type(feature).__name__ != "ClassLabel" or not names:
            continue
        for row in rows:
            number = row[column]
            known = isinstance(number, int) and 0 <= number < len(names)
            row[column] = names[number] if known else None
    return [*rows]


def _first_line(error: Exception) -> str:
    return shown(str(error).partition("\n")[0] or type(error).__name__)
