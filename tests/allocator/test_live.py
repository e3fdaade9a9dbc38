"""What a plan and a live model may disagree about (that they agree is tested with the families)."""

import pytest
import torch

from allocator.errors import PlanMismatch
from allocator.live import match_plan
from allocator.planner import plan
from analyzer.api import outline
from tests.families import FAMILIES, save_family


@pytest.fixture
def llama(tmp_path):
    model = save_family("llama", tmp_path)
    return plan(outline(tmp_path), method="uniform", budget=4), model


def test_every_live_module_gets_what_the_plan_says(llama):
    made, model = llama
    match = match_plan(made, model)
    expected = {
        f"model.layers.{layer.layer}.{module.name}": module.experts
        for layer in made.layers for module in layer.modules
    }  # fmt: skip
    assert {name: module.experts for name, module in match.modules.items()} == expected
    assert match.warnings == ()


def test_a_plain_torch_model(llama):
    made, model = llama
    plain = torch.nn.Module()
    plain.layers = model.model.layers
    assert len(match_plan(made, plain).modules) == 14


def test_other_layer_counts_are_refused(llama):
    made, model = llama
    model.model.layers = model.model.layers[:1]
    with pytest.raises(PlanMismatch, match="1 layers in the model but 2"):
        match_plan(made, model)


def test_other_shapes_are_refused(llama):
    made, model = llama
    model.model.layers[1].mlp.up_proj = torch.nn.Linear(32, 40, bias=False)
    with pytest.raises(PlanMismatch, match=r"up_proj is \(40, 32\) in the model but \(48, 32\)"):
        match_plan(made, model)


def test_other_modules_are_refused(llama):
    made, _ = llama
    with pytest.raises(PlanMismatch, match="of the plan is not in the model"):
        match_plan(made, FAMILIES["phi3"]())
    with pytest.raises(PlanMismatch, match="no stack text, only vision"):
        match_plan(made, FAMILIES["vit"]())


def test_another_commit_is_a_warning(llama):
    made, model = llama
    model.config._commit_hash = "b" * 40
    pinned = made.model_copy(update={"revision": "a" * 40})
    assert "commit " + "a" * 40 in match_plan(pinned, model).warnings[0]
    assert match_plan(pinned.model_copy(update={"revision": "b" * 40}), model).warnings == ()


def test_half_of_a_t5_has_a_stack_of_another_name(tmp_path):
    import transformers as t

    save_family("t5", tmp_path)
    encoder = t.T5EncoderModel.from_pretrained(tmp_path)
    made = plan(outline(tmp_path), method="uniform", budget=4, stack="encoder")
    assert len(match_plan(made, encoder).modules) == 12
    both = plan(outline(tmp_path), method="uniform", budget=8)
    with pytest.raises(PlanMismatch, match="no stack"):
        match_plan(both, encoder)


def test_a_plan_from_scores_matches_nothing(llama):
    with pytest.raises(PlanMismatch, match="made from scores"):
        match_plan(plan([1.0, 2.0], budget=4), llama[1])
