"""The documents that commands and service write, by the JSON Schemas of docs/schema."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.manual.fields import Link, cell, field_table, kind, meaning


def schema_page(folder: Path) -> str:
    """Every schema with its fields."""
    parts = [
        "# Documents\n",
        "What `--json` and `--out` write, and what the service answers with. A document names its "
        "form under `schema`; the files are JSON Schema (draft 2020-12).\n",
    ]
    for file in sorted(folder.glob("*.json")):
        document = json.loads(file.read_text(encoding="utf-8"))
        form = file.stem.rpartition(".")
        title = f"{form[0]}/{form[2]}"
        parts.append(f"## `{title}`\n\n[{file.name}](../schema/{file.name})\n")
        parts += _described(document, file.stem)
    return "\n".join(parts)


def _described(document: dict[str, Any], stem: str) -> Iterator[str]:
    link = link_to(stem)
    yield f"{cell(str(document.get('description', '')))}\n"
    yield field_table(document, link)
    for name, part in document.get("$defs", {}).items():
        yield from definition(name, part, stem, link)


def definition(name: str, part: dict[str, Any], stem: str, link: Link) -> Iterator[str]:
    """One named part, where `link_to(stem)` leads."""
    yield f"({target(stem, name)})=\n### {name}\n"
    table = field_table(part, link)
    yield f"{cell(str(part.get('description', '')))}\n"
    yield table or f"{cell(kind(part, link))} {cell(meaning({**part, 'description': ''}))}\n"


def target(stem: str, name: str) -> str:
    """The label of a named part."""
    return f"{stem}-{name}".lower().replace("_", "-").replace(".", "-")


def link_to(stem: str) -> Link:
    """What leads to a named part of a document."""
    return lambda name: f"[{name}](#{target(stem, name)})"
