"""Write the JSON Schemas of the documents to docs/schema, and the OpenAPI document of the
service to docs/openapi.json (`make schema`); tests compare them.
"""

import json
import tempfile
from pathlib import Path

from pydantic import BaseModel

from allocator.comparison import Comparison
from allocator.explanation import Explanation
from allocator.plan import Plan
from analyzer.outline import Outline
from analyzer.report import Analysis
from analyzer.series import Series
from ledger.access import Ledger
from ledger.settings import load_settings
from service.app import create_app
from service.figures.figure import Figure
from trainer.assessment import Assessment
from trainer.compare.document import Comparison as TrainingComparison
from trainer.compare.results import Compared
from trainer.origin import Origin
from trainer.recipe import Recipe

FOLDER = Path(__file__).parent.parent / "docs" / "schema"
OPENAPI = FOLDER.parent / "openapi.json"
DOCUMENTS: dict[str, type[BaseModel]] = {
    "tailora.outline.1.json": Outline,
    "tailora.analysis.1.json": Analysis,
    "tailora.series.1.json": Series,
    "tailora.plan.1.json": Plan,
    "tailora.comparison.1.json": Comparison,
    "tailora.explanation.1.json": Explanation,
    "tailora.figure.1.json": Figure,
    "tailora.recipe.1.json": Recipe,
    "tailora.origin.1.json": Origin,
    "tailora.evaluation.1.json": Assessment,
    "tailora.training_comparison.1.json": TrainingComparison,
    "tailora.compared_trainings.1.json": Compared,
}


def schema_text(document: type[BaseModel]) -> str:
    """The JSON Schema (draft 2020-12) of what a document looks like when it is written."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **document.model_json_schema(mode="serialization"),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def openapi_text() -> str:
    """The OpenAPI document of the service."""
    with tempfile.TemporaryDirectory() as data:
        app = create_app(Ledger(load_settings(data=data)))
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, document in DOCUMENTS.items():
        (FOLDER / name).write_text(schema_text(document), encoding="utf-8")
    OPENAPI.write_text(openapi_text(), encoding="utf-8")
