"""A JSON Schema in words: tables of fields with their types, bounds and defaults."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Link = Callable[[str], str]
"""From the name of a schema to Markdown that leads to it."""

_BOUNDS = {
    "minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters", "maxLength": "at most {} characters",
    "minItems": "at least {} items", "maxItems": "at most {} items", "pattern": "matches `{}`",
}  # fmt: skip


def cell(text: str) -> str:
    """Text as a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def rows(*columns: list[str] | tuple[str, ...]) -> str:
    """A table whose first row is the head."""
    head, *body = columns
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def kind(schema: Mapping[str, Any], link: Link) -> str:
    """The type, such as `integer`, `list of Fit` or `"a" or "b"`."""
    if "$ref" in schema:
        return link(str(schema["$ref"]).rpartition("/")[2])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return " or ".join(dict.fromkeys(kind(each, link) for each in schema[word]))
    given = schema.get("type", "any")
    if given == "array":
        items = schema.get("items", {})
        return f"list of {kind(items, link)}" if items else "list"
    if given == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {kind(schema['additionalProperties'], link)}"
    return str(schema.get("format", given))


def meaning(schema: Mapping[str, Any]) -> str:
    """Its description, bounds and default."""
    parts = [str(schema["description"])] if schema.get("description") else []
    parts += dict.fromkeys(_bounds(schema))
    if schema.get("default") not in (None, "", [], {}):
        parts.append(f"default `{json.dumps(schema['default'], ensure_ascii=False)}`")
    return "; ".join(parts)


def field_table(schema: Mapping[str, Any], link: Link) -> str:
    """The fields of an object; empty where it has none."""
    needed = set(schema.get("required", ()))
    found = [
        [
            f"`{name}`" + (" (required)" if name in needed else ""),
            cell(kind(field, link)), cell(meaning(field)),
        ]
        for name, field in schema.get("properties", {}).items()
    ]  # fmt: skip
    return rows(["field", "type", ""], *found) if found else ""


def _bounds(schema: Mapping[str, Any]) -> Iterator[str]:
    for name, words in _BOUNDS.items():
        if name in schema:
            yield words.format(schema[name])
    for each in schema.get("anyOf", ()):
        yield from _bounds(each)
