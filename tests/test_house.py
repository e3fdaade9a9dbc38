"""Rules of the house that a tool does not check by itself."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tailora

ROOT = Path(__file__).parents[1]
PACKAGES = ("tailora", "service", "worker", "trainer", "allocator", "ledger", "analyzer")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LIGHT_IN_TRAINER = (
    "errors", "recipe", "presets", "shape", "dataset.columns", "dataset.look", "dataset.read",
    "dataset.prepare",
    "dataset.whole", "origin", "assessment", "measures.record",
    "compare.document", "compare.arms", "compare.intervals", "compare.results", "compare.summary",
    "compare.verdict", "compare.table",
)  # fmt: skip
NEEDS_TORCH = {"analyzer.decode", "analyzer.dequantize", "analyzer.eigenvalues", "analyzer.solver"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_files_have_one_purpose():
    lengths = sorted(len(path.read_text().splitlines()) for path in SOURCES)
    assert lengths[-1] <= 400
    assert lengths[len(lengths) // 2] <= 150


def test_every_module_but_solver_and_trainer_imports_without_torch():
    modules = [module_name(path) for path in SOURCES if path.name != "env.py"]
    light = [
        name
        for name in modules
        if name not in NEEDS_TORCH and "__main__" not in name and not name.startswith("trainer.")
    ] + [f"trainer.{name}" for name in LIGHT_IN_TRAINER]
    code = (
        "import sys, importlib\n"
        "for heavy in ('torch', 'transformers'): sys.modules[heavy] = None\n"
        f"for name in {light!r}: importlib.import_module(name)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert len(light) > 30


def test_settings_problems_and_endpoints_are_documented():
    """docs/service.md names every setting, error code, path and command of the service."""
    from ledger.access import Ledger
    from ledger.settings import Settings, load_settings, variable
    from service.app import create_app
    from service.problems import TITLES
    from worker.codes import CODES

    text = (ROOT / "docs" / "service.md").read_text()
    for name, field in Settings.model_fields.items():
        assert f"| `{variable(name)}` |" in text
        assert field.description
    for code, (status, _) in TITLES.items():
        assert f"| `{code}` | {status} |" in text
    assert set(CODES.values()) <= set(TITLES)
    paths = create_app(Ledger(load_settings())).openapi()["paths"]
    assert len(paths) > 15
    assert [path for path in sorted(paths) if f"`{path.replace('job_id', 'id')}`" not in text] == []


def test_the_facade_exports_what_it_says():
    assert sorted(tailora.__all__) == sorted(set(tailora.__all__)) == sorted(tailora._HOMES)
    for name in tailora.__all__:
        home = importlib.import_module(tailora._HOMES[name])
        assert getattr(tailora, name) is getattr(home, name)
        assert getattr(home, name).__doc__
    assert dir(tailora) == tailora.__all__
    with pytest.raises(AttributeError, match="no attribute plam"):
        _ = tailora.plam


def test_error_trees_are_drawn_in_full():
    for package in ("analyzer", "allocator", "ledger", "worker"):
        module = importlib.import_module(f"{package}.errors")
        classes = [c for c in vars(module).values() if isinstance(c, type)]
        assert len(classes) > 3
        for error in classes:
            assert error.__name__ in module.__doc__


def test_committed_schemas_are_those_of_the_code():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from write_schemas import DOCUMENTS, FOLDER, schema_text
    finally:
        sys.path.pop(0)
    assert {path.name for path in FOLDER.glob("*.json")} == set(DOCUMENTS)
    for name, document in DOCUMENTS.items():
        assert (FOLDER / name).read_text() == schema_text(document), "run `make schema`"


def test_readme_from_python(minilm, capsys):
    """The four lines of the README, with a real model."""
    readme = (ROOT / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", readme, re.DOTALL).group(1)
    exec(code.replace("path/to/model", str(minilm)).replace("160", "30"), {})
    assert capsys.readouterr().out == "(5, 5, 5, 4, 5, 6)\n"


def test_every_option_and_method_is_documented():
    from allocator.methods import METHODS
    from allocator.mola import SHAPES
    from analyzer.tails import ESTIMATORS

    allocation = (ROOT / "docs" / "allocation.md").read_text()
    estimators = (ROOT / "docs" / "estimators.md").read_text()
    assert all(name in allocation for name in [*METHODS, *SHAPES])
    assert all(f"`{name}`" in estimators for name in ESTIMATORS)
    statuses = json.loads((ROOT / "docs/schema/tailora.analysis.1.json").read_text())
    named = statuses["$defs"]["Fit"]["properties"]["status"]["enum"]
    assert all(f"`{status}`" in estimators for status in named if status != "ok")


def test_every_form_is_documented_and_named_by_the_command():
    from allocator.forms.registry import FORMS
    from allocator.forms.scores import ORDERS

    text = (ROOT / "docs" / "forms.md").read_text()
    assert all(f"| `{name}` |" in text for name in FORMS)
    assert all(f"`{name}`" in text for name in ORDERS)
    for command, side in (("export", "write"), ("import_plan", "read")):
        source = (ROOT / "service" / "cli" / f"{command}.py").read_text()
        named = set(re.findall(r"[a-z_]+", source.replace('"\n        "', "")))
        assert {form.name for form in FORMS.values() if getattr(form, side)} <= named
