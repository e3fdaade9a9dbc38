"""MoE-PEFT's job and AdaMoLE's arguments, through their own checks and parser."""

import json

import pytest

from allocator.errors import NotExpressible, UnreadablePlan
from allocator.exports import export_plan
from allocator.imports import import_plan
from tests.allocator.forms import trainers
from tests.allocator.forms.plans import even, varied

SEVEN = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj", "up_proj"}


def test_a_job_of_moe_peft():
    found = export_plan(even("llama", 5, rank=4, lora_alpha=8), "moe_peft")
    adapter = trainers.moe_peft(json.loads(found.files["job.json"]))
    assert (adapter["num_experts"], adapter["top_k"]) == (5, 2)
    assert (adapter["r"], adapter["lora_alpha"]) == (4, 8)
    assert set(adapter["target_modules"]) == SEVEN


@pytest.mark.parametrize("modules", [None, "q_proj"])
@pytest.mark.parametrize("target", ["adamole", "mole"])
def test_arguments_of_adamole(tmp_path, target, modules):
    found = export_plan(even("llama", 8, rank=4, modules=modules), target)
    path = tmp_path / "args.txt"
    path.write_text(found.files["args.txt"])
    taken = trainers.adamole(path)
    assert taken.peft_type == target
    assert taken.lora_rank // taken.num_experts == 4
    assert taken.num_experts == 8
    assert set(taken.target_modules) == ({"q_proj"} if modules else SEVEN)
    assert (taken.threshold, taken.top_k) == ((0.125, None) if target == "adamole" else (None, 2))


def test_the_scale_that_adamole_fixes():
    assert export_plan(even("llama"), "mole").warnings == ()
    (warning,) = export_plan(even("llama", rank=4, lora_alpha=32), "mole").warnings
    assert "the scale will be 16/4" in warning


@pytest.mark.parametrize("target", ["moe_peft", "adamole", "mole"])
def test_uneven_plans_are_refused_with_the_nearest(target, tmp_path):
    made = varied("llama", several_ranks=True, top_k=3)  # 1 expert of rank 4, 3 of rank 8
    match = "the nearest is 2 experts with top_k 2 and rank 7 everywhere: take it with --nearest"
    with pytest.raises(NotExpressible, match=match):
        export_plan(made, target)
    found = export_plan(made, target, nearest=True)
    (text,) = found.files.values()
    back = import_plan(text, target, layers=2)
    assert back.counts == (2, 2)
    assert {module.rank for layer in back.layers for module in layer.modules} == {7}
    assert any("the nearest was taken" in warning for warning in found.warnings)


def test_modules_that_moe_peft_would_drop_in_silence():
    with pytest.raises(NotExpressible, match="knows no module query"):
        export_plan(even("bert", modules="query"), "moe_peft")


@pytest.mark.parametrize("target", ["moe_peft", "adamole", "mole", "peft", "guilomo"])
def test_a_plan_without_names(target):
    with pytest.raises(NotExpressible, match="import it with --model"):
        export_plan(import_plan("3,3"), target)


def test_the_number_of_layers_has_to_be_said():
    (text,) = export_plan(even("llama"), "moe_peft").files.values()
    with pytest.raises(UnreadablePlan, match="give --layers N or --model"):
        import_plan(text)
    assert import_plan(text, layers=3).counts == (3, 3, 3)


def job(**changes):
    adapter = {
        "r": 8, "lora_alpha": 16, "num_experts": 4, "top_k": 2, "target_modules": ["q_proj"],
        "routing_strategy": "mola",
    }  # fmt: skip
    return {**adapter, **changes}


@pytest.mark.parametrize(
    ("adapters", "message"),
    [
        ([], "no list of adapters"),
        ([job(routing_strategy="mixlora")], "routing_strategy is mixlora"),
        ([job(), job(num_experts=5)], "adapters differ"),
        ([job(use_rslora=True)], "use_rslora"),
        ([job(num_experts=0)], "num_experts is 0"),
        ([job(target_modules=None)], "no list of names"),
        ([job(lora_alpha="many")], "lora_alpha is 'many'"),
    ],
)
def test_jobs_that_no_plan_says(adapters, message):
    with pytest.raises(UnreadablePlan, match=message):
        import_plan(json.dumps({"lora": adapters}), "moe_peft", layers=2)
    assert import_plan(json.dumps({"lora": [job(), job()]}), layers=2).counts == (4, 4)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["--peft_type=lora", "--num_experts=2", "--lora_rank=8"], "--peft_type is lora"),
        (["--peft_type=mole", "--num_experts=3", "--lora_rank=8"], "cannot be divided over 3"),
        (["--peft_type=mole", "--lora_rank=8"], "is missing"),
        (["--peft_type=mole", "--num_experts=many", "--lora_rank=8"], "not a whole number"),
    ],
)
def test_arguments_that_no_plan_says(lines, message):
    with pytest.raises(UnreadablePlan, match=message):
        import_plan("\n".join(lines), "adamole", layers=2)
