"""Plans with ranks and gates of their own, from scores and headers alone; their documents."""

import json
from pathlib import Path

import pytest

from allocator.errors import InfeasibleBudget, InvalidRequest, UnreadablePlan
from allocator.options import PlanOptions
from allocator.planner import check_feasible, make_plan, plan
from allocator.read import read_plan
from analyzer.api import outline


def test_custom_ranks_and_top_ks(analysis):
    counts = [1, 2, 3, 4, 5, 6]
    own = {"ranks": [4, 4, 8, 8, 16, 16], "top_ks": [1, 2, 2, 2, 3, 3]}
    made = plan(analysis, method="custom", counts=counts, **own)
    assert [layer.top_k for layer in made.layers] == own["top_ks"]
    assert [layer.modules[0].rank for layer in made.layers] == own["ranks"]
    assert read_plan(made.to_json()) == made
    each = plan(analysis, method="custom", counts=[3] * 36, ranks=list(range(1, 37)),
                per_module=True)  # fmt: skip
    assert [module.rank for module in each.modules] == list(range(1, 37))
    assert read_plan(each.to_json()) == each
    document = json.loads(each.to_json())
    document["layers"][1]["modules"][0]["rank"] = 6
    document["layers"][0]["modules"][5]["rank"] = 7
    with pytest.raises(UnreadablePlan, match="was changed"):
        read_plan(json.dumps(document))
    assert made.digest != plan(analysis, method="custom", counts=counts).digest
    for words, message in (
        ({"ranks": [4] * 5}, "custom ranks are"),
        ({"top_ks": [0] * 6}, "custom top_ks are"),
        ({"top_ks": [2] * 6}, "top_k 2 at position 0 is above its 1 experts"),
    ):
        with pytest.raises(InvalidRequest, match=message):
            plan(analysis, method="custom", counts=counts, **words)


def test_scores_say_nothing_of_modules():
    for options in ({"modules": ["q_proj"]}, {"per_module": True}, {"stack": "text"}):
        with pytest.raises(InvalidRequest, match="scores say nothing"):
            plan([1.0, 2.0], budget=4, **options)
    with pytest.raises(InvalidRequest, match="needs the shapes of a model"):
        plan([1.0, 2.0], budget=4, budget_kind="parameters")
    with pytest.raises(InvalidRequest, match="empty"):
        plan([], budget=4)


def test_what_cannot_be_is_known_from_headers(minilm):
    found = outline(minilm)
    assert check_feasible(found, PlanOptions(budget=30))
    assert not check_feasible(found, PlanOptions(method="mola"))
    for options in (PlanOptions(budget=5), PlanOptions(budget=7.5),
                    PlanOptions(budget=30, parameters={"gamma": 1})):  # fmt: skip
        with pytest.raises((InvalidRequest, InfeasibleBudget)):
            check_feasible(found, options)


def test_documents_are_valid_under_their_committed_schemas(analysis, minilm):
    import jsonschema

    folder = Path(__file__).parents[2] / "docs" / "schema"
    documents = {
        "tailora.plan.1.json": [
            plan(analysis, budget=30), plan(analysis, budget=30, per_module=True),
            plan([1.0, 2.0], budget=4), make_plan(outline(minilm), PlanOptions(method="mola")),
        ],
        "tailora.analysis.1.json": [analysis],
        "tailora.outline.1.json": [outline(minilm)],
    }  # fmt: skip
    for name, found in documents.items():
        schema = json.loads((folder / name).read_text())
        for document in found:
            written = json.loads(document.model_dump_json())
            jsonschema.validate(written, schema, cls=jsonschema.Draft202012Validator)
            assert written["schema"] == name.replace(".1.json", "/1")
            assert type(document).model_validate(written) == document
