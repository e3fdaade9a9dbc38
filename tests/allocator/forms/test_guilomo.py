"""Gui-LoMo's files as its training script looks things up in them."""

import json

import pytest

from allocator.errors import NotExpressible, UnreadablePlan
from allocator.exports import export_plan
from allocator.imports import import_plan
from tests.allocator.forms import trainers
from tests.allocator.forms.plans import given, outline_of, varied
from tests.families import FAMILIES


def written(made, folder, **words):
    found = export_plan(made, "guilomo", **words)
    for name, text in found.files.items():
        (folder / name).write_text(text)
    return found


@pytest.mark.parametrize("words", [{}, {"modules": "q_proj"}, {"modules": "q_proj,up_proj"}])
def test_every_module_that_is_wrapped_finds_its_numbers(tmp_path, words):
    made = varied("llama", per_module=True, several_ranks=True, top_k=1, lora_alpha=32, **words)
    found = written(made, tmp_path)
    taken = trainers.mola_training(trainers.pasted(found.files["flags.txt"]), tmp_path)
    names = [name for name, _ in FAMILIES["llama"]().named_modules()]
    wrapped = trainers.adapted_by_mola(names, taken["lora_target_modules"])
    looked_up = {}
    for name in wrapped:
        experts = taken["number_experts"][name]
        (rank,) = {
            taken["lora_r"][f"{name}.expertlora_E_vector_{expert}"] for expert in range(experts)
        }
        top_k = taken["top_k"][int(name.split(".")[2])]
        looked_up[name] = (experts, top_k, rank, taken["lora_alpha"])
    assert looked_up == {
        f"model.layers.{layer}.{name}": mixture for (_, layer, name), mixture in given(made).items()
    }
    assert len(taken["lora_r"]) == sum(experts for experts, *_ in looked_up.values())


def test_one_top_k_a_layer(tmp_path):
    made = varied("llama", per_module=True, top_k=3)
    with pytest.raises(NotExpressible, match=r"same top_k.*the nearest is top_k 1,1: .*--nearest"):
        export_plan(made, "guilomo")
    found = written(made, tmp_path, nearest=True)
    taken = trainers.mola_training(trainers.pasted(found.files["flags.txt"]), tmp_path)
    assert taken["top_k"] == [1, 1]
    assert sum(taken["number_experts"].values()) == sum(made.counts)


@pytest.mark.parametrize(
    ("family", "words", "message"),
    [
        ("llava", {"modules": "q_proj"}, "third part"),
        ("t5", {}, "one stack"),
        ("bert", {}, "would adapt pooler.dense too"),
    ],
)
def test_names_that_the_script_cannot_look_up(family, words, message):
    with pytest.raises(NotExpressible, match=message):
        export_plan(varied(family, **words), "guilomo")


def test_a_plan_without_names():
    with pytest.raises(NotExpressible, match="import it with --model"):
        export_plan(import_plan("1,3"), "guilomo")
    named = import_plan("1,3", model=outline_of("llama"))
    assert json.loads(export_plan(named, "guilomo").files["expert.json"])[
        "model.layers.1.mlp.up_proj"
    ] == 3  # fmt: skip


def files(experts, ranks):
    return {"e.json": json.dumps(experts), "r.json": json.dumps(ranks)}


def test_ranks_of_single_experts():
    name = "model.layers.0.self_attn.q_proj"
    ranks = {f"{name}.expertlora_E_vector_{at}": rank for at, rank in enumerate((2, 4, 9, 7))}
    own = files({name: 3}, ranks)
    with pytest.raises(NotExpressible, match="ranks 2, 4, 9, and a plan.*their mean, 5"):
        import_plan(own)
    made = import_plan(own, nearest=True)
    module = made.layers[0].modules[0]
    assert (module.experts, module.rank) == (3, 5)
    assert "their mean, 5" in made.warnings[0]
    assert "top_k was not given: 2, at most the experts" in made.warnings


@pytest.mark.parametrize(
    ("experts", "ranks", "message"),
    [
        ({"model.layers.0.q": 2}, {"model.layers.0.q.expertlora_E_vector_0": 4}, "1 ranks for"),
        ({"model.layers.0.q": 1}, {"model.layers.0.k.expertlora_E_vector_0": 4}, "no expert of"),
        ({"model.layers.0.q": 0}, {"model.layers.0.q.expertlora_E_vector_0": 4}, "whole number"),
        ({"q": 1}, {"q.expertlora_E_vector_0": 4}, "not the full name"),
        ({"model.layers.0.q": 1}, {}, "two files"),
    ],
)
def test_files_that_do_not_fit_together(experts, ranks, message):
    with pytest.raises(UnreadablePlan, match=message):
        import_plan(files(experts, ranks), "guilomo")
