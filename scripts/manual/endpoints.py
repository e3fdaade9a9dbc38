"""The HTTP API, by its OpenAPI document."""

from collections.abc import Iterator, Mapping
from typing import Any

from scripts.manual.fields import cell, kind, meaning, rows
from scripts.manual.schemas import definition, link_to

STEM = "api"


def endpoint_page(document: Mapping[str, Any]) -> str:
    """Every endpoint with its parameters, body and answers; then the schemas that they name."""
    info = document["info"]
    parts = [
        "# The HTTP API\n",
        f"{info.get('summary', '')}. Version {info['version']}; [openapi.json](../openapi.json) is "
        "the same for programs, and a service has it at `/openapi.json`.\n",
        "[The service](../service.md) says how requests are made; every error has one of "
        "[these codes](errors.md).\n",
    ]
    tag = ""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation["tags"][0] != tag:
                tag = operation["tags"][0]
                parts.append(f"## {tag}\n")
            parts += _operation(method.upper(), path, operation)
    parts.append("## Schemas\n")
    for name, schema in document["components"]["schemas"].items():
        parts += definition(name, schema, STEM, link_to(STEM))
    return "\n".join(parts)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {method} `{path}`\n"
    yield operation.get("description", operation.get("summary", "")) + "\n"
    link = link_to(STEM)
    found = [
        [
            f"`{each['name']}`" + (" (required)" if each.get("required") else ""), each["in"],
            cell(kind(each["schema"], link)), cell(meaning({**each["schema"], **_own(each)})),
        ]
        for each in operation.get("parameters", ())
    ]  # fmt: skip
    if found:
        yield rows(["parameter", "in", "type", ""], *found)
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"Body: `{media}`, {kind(content.get('schema', {}), link)}.\n"
    answers = [
        f"{status} {_content(response)}"
        for status, response in sorted(operation["responses"].items())
        if "$ref" not in response
    ]
    errors = sorted(status for status, each in operation["responses"].items() if "$ref" in each)
    yield f"Answers: {'; '.join(answers)}." + (
        f" Errors: {', '.join(errors)}.\n" if errors else "\n"
    )


def _own(parameter: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": parameter["description"]} if "description" in parameter else {}


def _content(response: Mapping[str, Any]) -> str:
    link = link_to(STEM)
    found = [
        f"`{media}` {kind(content['schema'], link)}" if content.get("schema") else f"`{media}`"
        for media, content in response.get("content", {}).items()
    ]
    return " or ".join(found) or "without content"
