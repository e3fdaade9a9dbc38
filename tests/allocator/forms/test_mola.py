"""MoLA's flags as its own parsers take them, and the published plan in and out."""

import pytest

from allocator.errors import NotExpressible, UnreadablePlan
from allocator.exports import export_plan
from allocator.imports import import_plan
from allocator.planner import plan
from tests.allocator.forms import trainers
from tests.allocator.forms.plans import outline_of, varied
from tests.families import FAMILIES
from tests.golden import published_plan

SCRIPT = """#!/bin/bash
# --number_experts "9,9" is what we had before \\
for data in "$root/a.hf" "$root/b.hf"; do
  CUDA_VISIBLE_DEVICES=0,1 python mola_training_mistral.py \\
  --base_model "mistralai/Mistral-7B-v0.1" --data_path "$data" \\
  --lora_r "{ranks}" \\
  --lora_alpha 16 \\
  --lora_target_modules='q_proj,v_proj,k_proj,o_proj,gate_proj,down_proj,up_proj' \\
  --number-experts "{counts}" \\
  --top_k {top_ks} \\
  --train_on_inputs \\
  #  --resume_from_checkpoint "it's commented out"
done; echo "it's done" && python evaluation.py --number_experts "{counts}" --top_k "{top_ks}"
"""


def comma(numbers):
    return ",".join(map(str, numbers))


@pytest.fixture
def published():
    found = published_plan()
    return found["allocation"], found["top_k"], found["lora_rank"]


def flags(made, target="mola", **words):
    return export_plan(made, target, **words).files["flags.txt"]


def test_the_published_list(published):
    counts, top_k, rank = published
    for text in (comma(counts), " ".join(map(str, counts)), f"{counts}", f"{comma(counts)}\n"):
        made = import_plan(text, top_k=2, rank=rank)
        assert made.counts == tuple(counts)
        assert [layer.top_k for layer in made.layers] == top_k
        taken = trainers.mola_training(trainers.pasted(flags(made)))
        assert taken["number_experts"] == counts
        assert taken["top_k"] == top_k
        assert taken["lora_r"] == [rank] * 32
        assert len(taken["lora_target_modules"]) == 7


def test_the_published_script(published):
    counts, top_k, rank = published
    script = SCRIPT.format(counts=comma(counts), top_ks=comma(top_k), ranks=comma([rank] * 32))
    for text in (script, script.replace("\n", "\r\n")):
        made = import_plan(text)
        assert made.counts == tuple(counts)
        assert made.warnings == ()
        taken = trainers.mola_training(trainers.pasted(flags(made)))
        assert (taken["number_experts"], taken["top_k"]) == (counts, top_k)
        assert taken["lora_target_modules"] == [
            "q_proj", "v_proj", "k_proj", "o_proj", "gate_proj", "down_proj", "up_proj",
        ]  # fmt: skip
        assert taken["lora_alpha"] == 16


def test_runs_that_differ(published):
    counts = comma(published[0])
    run = 'python mola_training.py --number_experts "{}" --lora_r "8,8"\n'
    with pytest.raises(UnreadablePlan, match="--number_experts is 1,2 and 2,1"):
        import_plan(run.format("1,2") + run.format("2,1"), "mola")
    assert import_plan(run.format("1,2") * 3, "mola").counts == (1, 2)
    with pytest.raises(UnreadablePlan, match="not a list of whole numbers"):
        import_plan('python a.py --number_experts "$EXPERTS"', "mola")
    with pytest.raises(UnreadablePlan, match="close the quotes"):
        import_plan(f'--number_experts "{counts}', "mola")
    with pytest.raises(UnreadablePlan, match="no command in the text has --number_experts"):
        import_plan("make plan", "mola")


def test_one_layer_and_one_module_stay_lists():
    """python-fire would make a number of `5`, and MoLA's loop would run over letters of a name."""
    made = plan(outline_of("llama"), method="custom", counts=[5, 2], modules="q_proj")
    one = made.model_copy(
        update={
            "layers": made.layers[:1],
            "stacks": (made.stacks[0].model_copy(update={"layers": 1}),),
        }
    )
    taken = trainers.mola_training(trainers.pasted(flags(one)))
    assert taken["number_experts"] == [5]
    assert taken["lora_r"] == [8]
    assert taken["lora_target_modules"] == ["q_proj"]
    taken = trainers.mola_evaluation(trainers.pasted(flags(one, "mola_eval")))
    assert taken == {"number_experts": [5], "top_k": [2], "lora_target_modules": ["q_proj"]}


def test_evaluation_takes_the_lists_apart_at_commas():
    made = varied("llama")
    taken = trainers.mola_evaluation(trainers.pasted(flags(made, "mola_eval")))
    assert taken["number_experts"] == list(made.counts)
    assert taken["top_k"] == [layer.top_k for layer in made.layers]
    assert any("--mola_weights" in warning for warning in export_plan(made, "mola_eval").warnings)


@pytest.mark.parametrize(
    ("family", "prefix", "modules"),
    [
        ("llama", "model.layers", None), ("llama", "model.layers", "q_proj,v_proj"),
        ("llama", "model.layers", "mlp.up_proj"), ("gpt2", "transformer.h", None),
        ("gpt2", "transformer.h", "c_proj"),
    ],
)  # fmt: skip
def test_targets_hit_what_is_planned_and_nothing_else(family, prefix, modules):
    """Also where one name stands for two modules of a layer, as c_proj does in GPT-2."""
    names = [name for name, _ in FAMILIES[family]().named_modules()]
    made = varied(family, modules=modules)
    taken = trainers.mola_training(trainers.pasted(flags(made)))
    planned = {
        f"{prefix}.{layer.layer}.{module.name}"
        for layer in made.layers for module in layer.modules
    }  # fmt: skip
    hit = trainers.adapted_by_mola(names, taken["lora_target_modules"])
    assert set(hit) == planned


@pytest.mark.parametrize(
    ("family", "words", "message"),
    [
        ("bert", {}, "would adapt pooler.dense too"),
        ("bert", {"modules": "intermediate.dense"}, r"would adapt \S+ too"),
        ("gpt2", {"modules": "attn.c_proj"}, r"would adapt transformer.h.0.mlp.c_proj too"),
        ("t5", {}, "one stack of layers"),
        ("llava", {"modules": "q_proj"}, r"would adapt vision_tower\S+q_proj too"),
        ("deepseek_v3", {}, "would adapt"),
    ],
)
def test_names_that_would_hit_more(family, words, message):
    with pytest.raises(NotExpressible, match=message):
        export_plan(varied(family, **words), "mola")


def test_names_that_python_fire_reads_as_something_else():
    made = varied("llama", modules="q_proj")
    for name in ("self_attn.None", "lambda", "a-b", "2fc", "é"):
        odd = made.model_copy(
            update={
                "layers": tuple(
                    layer.model_copy(
                        update={"modules": (layer.modules[0].model_copy(update={"name": name}),)}
                    )
                    for layer in made.layers
                )
            }
        )
        with pytest.raises(NotExpressible, match="would not read the module name"):
            export_plan(odd, "mola")


def test_layers_that_are_missing():
    made = varied("llama")
    with pytest.raises(NotExpressible, match="every layer from 0 to 1"):
        export_plan(made.model_copy(update={"layers": made.layers[1:]}), "mola")


def test_a_plan_per_module_is_refused_with_the_nearest():
    counts = [1, 1, 1, 1, 1, 1, 8, 3, 3, 3, 3, 3, 3, 3]
    made = plan(outline_of("llama"), method="custom", counts=counts, per_module=True)
    with pytest.raises(NotExpressible, match=r"the nearest is 2,3 \(.*5 experts.*--nearest"):
        export_plan(made, "mola")
    found = export_plan(made, "mola", nearest=True)
    taken = trainers.mola_training(trainers.pasted(found.files["flags.txt"]))
    assert taken["number_experts"] == [2, 3]
    assert "the nearest was taken: 2,3" in found.warnings[0]


def test_the_nearest_keeps_the_budget():
    made = varied("llama", per_module=True)
    taken = trainers.mola_training(trainers.pasted(flags(made, nearest=True)))
    assert sum(taken["number_experts"]) == round(sum(made.counts) / 7)


def test_a_broken_alpha():
    made = varied("llama", lora_alpha=12.75)
    with pytest.raises(NotExpressible, match=r"whole lora_alpha, not 12\.75; the nearest is 13"):
        export_plan(made, "mola")
    taken = trainers.mola_training(trainers.pasted(flags(made, nearest=True)))
    assert taken["lora_alpha"] == 13


def test_models_that_the_code_does_not_run_are_warned_of():
    assert export_plan(varied("llama"), "mola").warnings == ()
    (warning,) = export_plan(varied("phi3"), "mola").warnings
    assert "phi3" in warning


def test_top_k_above_the_experts_is_lowered_and_said():
    made = import_plan('--number_experts "1,3" --top_k "2,2" --lora_r "8,4"', "mola")
    assert [layer.top_k for layer in made.layers] == [1, 2]
    assert "top_k is above the experts at position 0: lowered" in made.warnings


def damaged(made, **changes):
    """A plan whose first module was changed by hand; its digest does not cover that."""
    first = made.layers[0]
    modules = (first.modules[0].model_copy(update=changes), *first.modules[1:])
    layers = (first.model_copy(update={"modules": modules}), *made.layers[1:])
    return made.model_copy(update={"layers": layers})


def test_plans_that_were_changed_by_hand():
    made = varied("llama", modules="q_proj")
    taken = trainers.mola_training(trainers.pasted(flags(damaged(made, top_k=9))))
    assert taken["top_k"] == [1, 2]
    for changes in ({"experts": 0}, {"rank": -1}, {"top_k": 0}, {"experts": 10**9}):
        with pytest.raises(UnreadablePlan, match="must be at least 1 and experts at most 100000"):
            export_plan(damaged(made, **changes), "mola")
    with pytest.raises(NotExpressible, match="lora_alpha 8, 16, but no form has more than one"):
        export_plan(damaged(made, lora_alpha=8), "mola")
    with pytest.raises(UnreadablePlan, match="has no layers"):
        export_plan(made.model_copy(update={"layers": ()}), "csv")


def test_what_is_too_long_for_a_script():
    with pytest.raises(UnreadablePlan, match="are no script"):
        import_plan("#" * 1_000_001, "mola")
    with pytest.raises(UnreadablePlan, match="above 10000"):
        import_plan("1," * 10_001, "list")
