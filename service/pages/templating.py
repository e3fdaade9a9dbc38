"""Templates, and the headers that every page is sent with."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from analyzer.version import tailora_version
from service.context import key_text
from service.jobs.views import PATHS
from service.pages.options import changed, option_field, text_of

HERE = Path(__file__).parent
POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
NOTHING: Mapping[str, str] = MappingProxyType({})
LARGEST_UNIT = 1000
MINUTE, MANY = 60, 2
"""Seconds, and of how many minutes or hours on the larger unit is told."""


def _moment(text: str | None) -> str:
    """A time of an envelope as it is read: minutes in UTC."""
    if text is None:
        return "–"
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M UTC")


def _duration(seconds: float) -> str:
    """In the unit that suits, whole."""
    if seconds < 1:
        return "less than 1 s"
    if seconds < MANY * MINUTE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / MINUTE)
    return f"{minutes} min" if minutes < MANY * MINUTE else f"{minutes // 60} h {minutes % 60} min"


def _bytes(count: float) -> str:
    """Decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < LARGEST_UNIT:
            return f"{count:.3g} {unit}"
        count /= LARGEST_UNIT
    return f"{count:,.3g} TB"


def _number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash for one that is not there."""
    return "–" if value is None else f"{value:.{digits}f}"


def _measure(value: float | str | None) -> str:
    """A measure of a training: whole numbers whole, others with four digits."""
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _sentence(text: str) -> str:
    """With a capital first, all else as it is."""
    return text[:1].upper() + text[1:]


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "moment": _moment,
        "duration": _duration,
        "bytes": _bytes,
        "number": _number,
        "changed": changed,
        "sentence": _sentence,
        "measure": _measure,
        "plain": text_of,
    }
    made.globals |= {"version": tailora_version(), "paths": PATHS, "option_field": option_field}
    return made


ENVIRONMENT = _environment()


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] = NOTHING,
    **values: Any,
) -> HTMLResponse:
    """The page of a template; `signed_in` and `path` are there for every template."""
    found = ENVIRONMENT.get_template(template)
    text = found.render(path=request.url.path, signed_in=bool(key_text(request)), **values)
    return HTMLResponse(text, status, headers=dict(headers))


def by_htmx(request: Request) -> bool:
    """Whether a part of a page is asked for, to be put into the one that is shown."""
    return request.headers.get("hx-request") == "true"
