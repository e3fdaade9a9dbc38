"""From a form's fields to the request that the API would take."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from allocator.methods import Method, method_named
from service.pages.options import text_of
from service.problems import Problem

MOST_FIELDS = 100
Fields = Mapping[str, str]


async def form_of(request: Request) -> Fields:
    """The fields that are filled in, without white space around. Raises Problem."""
    try:
        text = (await request.body()).decode()
        pairs = parse_qsl(text, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise Problem("invalid_request", "the form cannot be read; send it again") from error
    if any("\0" in value for _, value in pairs):
        raise Problem("invalid_request", "the form holds a NUL character; leave it out")
    return {name: value.strip() for name, value in pairs if value.strip()}


Form = Annotated[Fields, Depends(form_of)]
Body = TypeVar("Body", bound=BaseModel)


def parameters_of(fields: Fields) -> dict[str, Any]:
    """The options of the chosen method; those of others are passed over. Raises InvalidRequest."""
    method = method_named(fields.get("method", "alphalora"))
    return {
        name: _value(method, name, fields[f"{method.name}.{name}"])
        for name in method.parameters.model_fields
        if f"{method.name}.{name}" in fields
    }


def listed(text: str) -> list[str]:
    """Words with commas or spaces between; a comma before a digit is part of a word."""
    return [part for part in re.split(r",(?=\D|$)|\s+", text) if part]


def request_of(body: type[Body], words: Mapping[str, Any]) -> Body:
    """The body that the API would take, from values or their texts. Raises Problem."""
    try:
        return body.model_validate(words, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "form"
        message = str(first["msg"]).removeprefix("Value error, ")
        raise Problem("invalid_request", f"{place}: {message}"[:300]) from error


def shown_parameters(method: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Options as the form shows them, by the names of its fields."""
    return {f"{method}.{name}": text_of(value) for name, value in parameters.items()}


def _value(method: Method, name: str, text: str) -> Any:
    """Text, a number, or whole numbers with commas between, as the field's type asks for."""
    kind = method.parameters.model_fields[name].annotation
    if kind is str:
        return text
    if kind is float:
        return _float(text, name)
    parts = [part for part in re.split(r"[,\s]+", text) if part]
    if not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts):
        raise Problem("invalid_request", f"{name}: write whole numbers with commas between")
    return [int(part) for part in parts]


def _float(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise Problem("invalid_request", f"{name}: {text[:40]} is no number") from error
