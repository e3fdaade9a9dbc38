"""PEFT itself: get_peft_model on real architectures gives what the plan says, and only there."""

import json
import re

import peft
import pytest
import torch
import transformers as t
from peft.tuners.lora import LoraLayer

from allocator.errors import NotExpressible, PlanMismatch, UnreadablePlan
from allocator.exports import export_plan
from allocator.forms.live import check_lora_config, lora_config
from allocator.imports import import_plan
from allocator.live import match_plan
from allocator.planner import plan
from analyzer.api import outline
from tests.allocator.forms.plans import given, outline_of, varied
from tests.families import FAMILIES

# PEFT's own business; its warnings of names that match nothing stay errors.
pytestmark = [
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False"),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated"),
]
FAMILY = ["llama", "gpt2", "bert", "phi3", "t5"]


def adapted(config, model):
    """(rank, scale) of every module that PEFT wraps, by its name in the bare model."""
    wrapped = peft.get_peft_model(model, peft.LoraConfig(**config))
    return {
        name.removeprefix("base_model.model."): (module.r["default"], module.scaling["default"])
        for name, module in wrapped.named_modules() if isinstance(module, LoraLayer)
    }  # fmt: skip


def planned(made, model):
    return {
        name: (module.experts * module.rank, pytest.approx(module.lora_alpha / module.rank))
        for name, module in match_plan(made, model).modules.items()
    }


@pytest.mark.parametrize("per_module", [False, True])
@pytest.mark.parametrize("family", FAMILY)
def test_exactly_the_planned_ranks_on_exactly_the_planned_modules(family, per_module):
    model = FAMILIES[family]()
    made = varied(family, per_module=per_module, several_ranks=True, lora_alpha=12)
    expected = planned(made, model)
    (text,) = export_plan(made, "peft").files.values()
    check_lora_config(json.loads(text), model)
    assert adapted(json.loads(text), FAMILIES[family]()) == expected
    assert adapted(lora_config(made, model), model) == expected
    assert len({rank for rank, _ in expected.values()}) > 1


@pytest.mark.parametrize("family", ["llava", "vit", "qwen2_vl", "mixtral"])
def test_live_names_differ_from_those_in_files(family):
    model = FAMILIES[family]()
    made = varied(family)
    expected = planned(made, model)
    assert adapted(lora_config(made, model), model) == expected
    matched = match_plan(made, FAMILIES[family]()).plan
    (text,) = export_plan(matched, "peft").files.values()
    if family in ("qwen2_vl", "mixtral"):
        assert adapted(json.loads(text), FAMILIES[family]()) == expected
    else:  # the prefix in files (language_model.model, encoder.layer) is not the live one
        with pytest.raises(PlanMismatch, match="matches no module"):
            check_lora_config(json.loads(text), FAMILIES[family]())


def test_heads_put_a_prefix_before_the_names():
    config = t.BertConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        vocab_size=64,
    )  # fmt: skip
    made = varied("bert")
    (text,) = export_plan(made, "peft").files.values()
    model = t.BertForSequenceClassification(config)
    expected = planned(made, model)
    assert next(iter(expected)).startswith("bert.encoder.layer.0.")
    assert adapted(json.loads(text), model) == expected


def test_layer_1_never_catches_layers_10_to_19(tmp_path):
    config = t.LlamaConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=12, num_attention_heads=2,
        vocab_size=32,
    )  # fmt: skip
    t.LlamaForCausalLM(config).save_pretrained(tmp_path)
    made = plan(outline(tmp_path), method="custom", counts=list(range(1, 13)))
    (text,) = export_plan(made, "peft").files.values()
    found = adapted(json.loads(text), t.LlamaForCausalLM(config))
    assert {
        name: rank for name, (rank, _) in found.items() if name.endswith("q_proj")
    } == {f"model.layers.{at}.self_attn.q_proj": 8 * (at + 1) for at in range(12)}  # fmt: skip
    loose = {**json.loads(text), "rank_pattern": {r"layers.1.*self_attn.q_proj": 4}}
    with pytest.raises(PlanMismatch, match="matches 3 modules"):
        check_lora_config(loose, t.LlamaForCausalLM(config))


def test_a_config_like_those_that_peft_saves(tmp_path):
    made = varied("llama")
    (text,) = export_plan(made, "peft").files.values()
    (tmp_path / "adapter_config.json").write_text(text)
    read = peft.LoraConfig.from_pretrained(tmp_path)
    wrapped = peft.get_peft_model(FAMILIES["llama"](), read)
    wrapped.save_pretrained(tmp_path / "adapter")
    saved = (tmp_path / "adapter" / "adapter_config.json").read_text()
    back = import_plan(saved, model=outline_of("llama"))
    assert given(back) == given(made)


def test_names_that_peft_would_leave_out_in_silence():
    model = FAMILIES["llama"]()
    good = lora_config(varied("llama"), model)
    name = good["target_modules"][0]
    key = re.escape(name)
    for change, message in (
        ({"target_modules": [*good["target_modules"], "qq_proj"]}, "qq_proj in target_modules"),
        ({"target_modules": [*good["target_modules"][1:]]}, "in rank_pattern matches no module"),
        ({"target_modules": ["q_proj"]}, "q_proj in target_modules matches 2 modules"),
        ({"target_modules": "all-linear"}, "must list names"),
        ({"rank_pattern": {f"{key}x": 3}}, "in rank_pattern matches no module"),
        ({"alpha_pattern": {".*q_proj": 3}}, "in alpha_pattern matches 2 modules"),
        ({"alpha_pattern": {"(q_proj": 3}}, "no regular expression"),
    ):
        with pytest.raises(PlanMismatch, match=message):
            check_lora_config({**good, **change}, model)
    check_lora_config(good, model)


def test_a_plan_for_another_model():
    with pytest.raises(PlanMismatch, match="is not in the model"):
        lora_config(varied("llama"), FAMILIES["phi3"]())


def test_prefixes_that_no_end_tells_apart():
    made = varied("llama")
    twin = made.stacks[0].model_copy(update={"name": "vision", "prefix": "vision.model.layers"})
    with pytest.raises(NotExpressible, match="is the end of another name"):
        export_plan(made.model_copy(update={"stacks": (*made.stacks, twin)}), "peft")


NAME = "model.layers.{}.self_attn.q_proj"


def config(ranks, alphas=None, **changes):
    names = [NAME.format(at) for at in range(len(ranks))]
    found = {
        "peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": names,
        "rank_pattern": dict(zip(names, ranks, strict=True)), **changes,
    }  # fmt: skip
    if alphas:
        found["alpha_pattern"] = dict(zip(names, alphas, strict=True))
    return json.dumps(found)


def test_experts_are_multiples_of_one_rank():
    made = import_plan(config([8, 24], [16, 48]))
    assert made.counts == (1, 3)
    made = import_plan(config([8, 24], [16, 48]), rank=4, top_k=1)
    assert made.counts == (2, 6)
    assert {m.lora_alpha / m.rank for layer in made.layers for m in layer.modules} == {2.0}
    made = import_plan(config([12, 8], [48, 16]))
    assert [layer.modules[0].rank for layer in made.layers] == [4, 8]
    assert made.counts == (3, 1)


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        (config([8, 12], [16, 24]), {"rank": 8}, "no multiple of 8"),
        (config([8, 12], [16, 24], r=5), {"rank": 5}, "no multiple of 5"),
        (config([8, 16]), {}, "differs between modules"),
        (config([8, 16], [16, 17]), {}, "differs between modules"),
        (config([8], use_rslora=True), {}, "sets use_rslora"),
        (config([8], exclude_modules=["q"]), {}, "sets exclude_modules"),
        (config([8], peft_type="MOLA"), {}, "peft_type is MOLA"),
        (config([8], target_modules="all-linear"), {}, "no list of names"),
        (config([8], target_modules=["other.layers.0.q"]), {}, "would ignore it"),
        (config([8], rank_pattern={".*": 3}), {}, "no module's name"),
        (config([0]), {}, "whole number"),
        (config([8], rank_pattern={}, target_modules=["q_proj"]), {}, "give --model"),
    ],
)
def test_configs_that_no_plan_says(text, words, message):
    with pytest.raises(UnreadablePlan, match=message):
        import_plan(text, "peft", **words)


def test_a_plain_lora_config_needs_the_models_layers():
    plain = {"peft_type": "LORA", "r": 6, "lora_alpha": 12, "target_modules": ["q_proj", "wi"]}
    with pytest.raises(UnreadablePlan, match="wi is not the full name"):
        import_plan(json.dumps(plain), model=outline_of("llama"))
    plain["target_modules"] = ["q_proj"]
    made = import_plan(json.dumps(plain), model=outline_of("llama"))
    assert given(made) == {("text", layer, "self_attn.q_proj"): (1, 1, 6, 12.0) for layer in (0, 1)}
    assert made.trainable_parameters == 2 * 6 * (32 + 32)


def test_dots_in_keys_are_dots():
    (text,) = export_plan(varied("llama"), "peft").files.values()
    found = json.loads(text)
    for pattern in (found["rank_pattern"], found["alpha_pattern"]):
        for key, name in zip(pattern, found["target_modules"], strict=True):
            assert re.match(rf"(.*\.)?({key})$", f"model.{name}")
            assert not re.match(rf"(.*\.)?({key})$", "x".join(name.rsplit(".", 1)))


def test_a_name_that_is_the_end_of_another_live_one():
    made = varied("llama")
    root = torch.nn.Module()
    root.vision = torch.nn.Module()
    root.layers = FAMILIES["llama"]().model.layers
    assert len(lora_config(made, root)["target_modules"]) == 14
    root.vision.layers = FAMILIES["llama"]().model.layers
    with pytest.raises(PlanMismatch, match=r"layers.0.mlp.down_proj in \S+ matches 2 modules"):
        lora_config(made, root)


def test_live_names_are_written_where_they_are_known():
    made = varied("llama", modules="q_proj")
    renamed = match_plan(made, FAMILIES["llama"]()).plan
    layers = tuple(
        layer.model_copy(
            update={"modules": (layer.modules[0].model_copy(update={"live": "attention.q"}),)}
        )
        for layer in renamed.layers
    )
    (text,) = export_plan(renamed.model_copy(update={"layers": layers}), "peft").files.values()
    assert json.loads(text)["target_modules"] == ["layers.0.attention.q", "layers.1.attention.q"]


def test_of_several_keys_the_first_counts_as_in_peft():
    """Two keys fit layer 1; PEFT takes the one that comes first."""
    model = FAMILIES["llama"]()
    for order in (("self_attn.q_proj", "layers.1.self_attn.q_proj"),
                  ("layers.1.self_attn.q_proj", "self_attn.q_proj")):  # fmt: skip
        ranks = dict(zip(order, (8, 16), strict=True))
        text = config(
            [8, 8], rank_pattern=ranks, alpha_pattern={k: 2 * r for k, r in ranks.items()}
        )
        made = import_plan(text)
        live = adapted(json.loads(text), FAMILIES["llama"]())
        read = match_plan(made, model).modules
        ours = {name: module.experts * module.rank for name, module in read.items()}
        assert ours == {name: rank for name, (rank, _) in live.items()}
