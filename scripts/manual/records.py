"""Settings, error codes and metrics, by the registries of the code that uses them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from ledger.access import Ledger
from ledger.migrate import upgrade
from ledger.settings import OF_THE_COMMAND, SECRETS_DIR, Settings, load_settings, variable
from scripts.manual.fields import cell, kind, rows
from service.app import create_app
from service.problems import TITLES, is_retryable


def setting_page() -> str:
    """Every environment variable."""
    properties = Settings.model_json_schema()["properties"]
    found = [
        [
            f"`{variable(name)}`",
            cell(kind(properties[name], str)),
            _default(properties[name].get("default", "")),
            cell(field.description or ""),
        ]
        for name, field in Settings.model_fields.items()
    ]
    own = ", ".join(f"`{name}`" for name in sorted(OF_THE_COMMAND))
    return (
        "# Settings\n\nEnvironment variables of API, dispatcher and workers. A wrong value or an "
        "unknown name stops the start and is named; `tailora doctor` shows what is set. Times are "
        f"in seconds.\n\n{rows(['setting', 'type', 'default', ''], *found)}\n"
        f"Each may also be a file below `{SECRETS_DIR}` (`/run/secrets`), named in small letters. "
        f"[The command line](cli.md) reads {own}.\n"
    )


def _default(value: object) -> str:
    return f"`{value}`" if value not in ("", "**********") else ""


def error_page() -> str:
    """Every code."""
    found = [
        [f"`{code}`", str(status), cell(title), "yes" if is_retryable(status, code) else ""]
        for code, (status, title) in sorted(TITLES.items())
    ]
    return (
        "# Error codes\n\nA refused request is answered by `application/problem+json` with one of "
        "these as `code`, and a failed job carries one under `error`. `detail` says what happened "
        "and what to do next. *Retryable*: the same request may well be answered later.\n\n"
        + rows(["code", "status", "", "retryable"], *found)
    )


def metric_page() -> str:
    """Every family of /metrics."""
    found = [
        [f"`{name_of(family)}`", family.type, cell(family.documentation)] for family in families()
    ]
    return (
        "# Metrics\n\nWhat `GET /metrics` answers. Those "
        "with `http` and `api` in their name belong to one API process, all others to the ledger: "
        "the same from every process. [Streams and metrics](../service.md#streams-and-metrics) "
        "says by what they are divided.\n\n" + rows(["metric", "type", ""], *found)
    )


def name_of(family: Metric) -> str:
    """As its samples are named; a histogram's besides end in `_bucket`, `_sum` and `_count`."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def families() -> Iterator[Metric]:
    """The families of a new service, read from what it answers; `_created` ones are left out."""
    from starlette.testclient import TestClient

    with tempfile.TemporaryDirectory() as data:
        ledger = Ledger(load_settings(data=Path(data)))
        upgrade(ledger.database)
        with TestClient(create_app(ledger)) as client:
            client.get("/metrics")
            text = client.get("/metrics").text
        ledger.database.close()
    for family in text_string_to_metric_families(text):
        if not family.name.endswith("_created"):
            yield family
