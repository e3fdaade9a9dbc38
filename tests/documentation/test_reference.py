"""The reference leaves out nothing that the code has."""

import json
import re

import pytest
import typer.main

from ledger.access import Ledger
from ledger.settings import OF_THE_COMMAND, Settings, load_settings, variable
from scripts.manual.build import DOCS, REFERENCE
from scripts.manual.endpoints import endpoint_page
from scripts.manual.schemas import schema_page
from service.app import create_app
from service.cli.main import app
from service.problems import TITLES
from service.system.metrics import COUNTERS, HISTOGRAMS


@pytest.fixture(scope="module")
def cli() -> str:
    return REFERENCE["cli"]()


def commands(command, path=("tailora",)):
    """Every command below one, with its path."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


def sections(page: str) -> dict[str, str]:
    """What stands below each heading that is a command."""
    parts = re.split(r"^#+ `(tailora[^`]*)`$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_has_a_section_with_every_option_and_argument(cli):
    found = sections(cli)
    every = list(commands(typer.main.get_command(app)))[1:]
    assert {" ".join(path) for path, _ in every} == set(found)
    assert len(every) > 30
    for path, command in every:
        section = found[" ".join(path)]
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                assert f"* `{parameter.metavar or parameter.name.upper()}" in section
            for word in (*parameter.opts, *parameter.secondary_opts):
                if word.startswith("-"):
                    assert re.search(rf"^\* `[^`]*(?<![\w-]){word}(?![\w-])", section, re.MULTILINE)


def test_every_endpoint_has_a_section_with_its_parameters_and_schemas(tmp_path):
    document = create_app(Ledger(load_settings(data=tmp_path))).openapi()
    page = endpoint_page(json.loads((DOCS / "openapi.json").read_text()))
    parts = re.split(r"^### ([A-Z]+ `[^`]+`)$", page, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    every = [
        (f"{method.upper()} `{path}`", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    assert {title for title, _ in every} == set(found)
    assert len(every) > 30
    for title, operation in every:
        for parameter in operation.get("parameters", ()):
            assert f"| `{parameter['name']}`" in found[title]
        body = operation.get("requestBody", {}).get("content", {})
        assert all(f"`{media}`" in found[title] for media in body)
    for name, schema in document["components"]["schemas"].items():
        section = page.partition(f"### {name}\n")[2].partition("\n### ")[0]
        assert all(f"| `{field}`" in section for field in schema.get("properties", ()))


def test_every_setting_with_its_default():
    page = REFERENCE["settings"]()
    for name, field in Settings.model_fields.items():
        (line,) = [line for line in page.splitlines() if f"| `{variable(name)}` |" in line]
        assert (field.description or "").replace("|", "\\|") in line
        if isinstance(field.default, int | float) and field.default:
            assert f"| `{field.default}` |" in line
    assert all(f"`{name}`" in page for name in OF_THE_COMMAND)


def test_every_error_code():
    page = REFERENCE["errors"]()
    for code, (status, title) in TITLES.items():
        assert f"| `{code}` | {status} | {title} |" in page
    (busy,) = [line for line in page.splitlines() if "`hub_unavailable`" in line]
    (wrong,) = [line for line in page.splitlines() if "`invalid_request`" in line]
    assert busy.endswith("| yes |")
    assert wrong.endswith("|  |")


def test_every_metric_that_the_code_names():
    page = REFERENCE["metrics"]()
    for name in COUNTERS:
        assert f"| `tailora_{name}_total` | counter |" in page
    for name in HISTOGRAMS:
        assert f"| `tailora_{name}` | histogram |" in page
    assert page.count("| `tailora_") >= 17


def test_every_field_of_every_document():
    page = schema_page(DOCS / "schema")
    files = sorted((DOCS / "schema").glob("*.json"))
    parts = re.split(r"^## `([^`]+)`$", page, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert len(found) == len(files) > 8
    for file in files:
        schema = json.loads(file.read_text())
        section = found[f"{file.stem[:-2]}/{file.stem[-1]}"]
        for part in (schema, *schema.get("$defs", {}).values()):
            assert all(f"| `{field}`" in section for field in part.get("properties", ()))
