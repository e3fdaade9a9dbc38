"""The PEFT method: any family, adapters on and off, saved and loaded, refused where it must be."""

import json
import subprocess
import sys

import pytest
import torch
import transformers
from peft import PeftConfig, PeftModel, get_peft_model

from allocator.live import match_plan
from tests.families import FAMILIES
from tests.trainer.conftest import randomise
from trainer.errors import BadAdapter, InvalidMixture, ModelMismatch
from trainer.tuner import MixtureConfig
from trainer.tuner.facts import ensemble, load_adapter, masks_on, mixtures, statistics, step_of

IDS = torch.tensor([[5, 9, 33, 7, 12, 40], [8, 3, 21, 60, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
CAUSAL = [
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma2",
    "phi3",
    "gpt2",
    "opt",
    "gpt_neox",
    "bloom",
]


def logits(model, **words):
    with torch.no_grad():
        return model(input_ids=IDS, **words)[0]


def inputs_for(name):
    if name == "t5":
        return {"input_ids": IDS, "attention_mask": MASK, "decoder_input_ids": IDS}
    return {"input_ids": IDS, "attention_mask": MASK}


@pytest.mark.parametrize("name", [*CAUSAL, "bert", "roberta", "t5", "mixtral", "qwen3_moe"])
def test_every_family(family, name):
    """Unchanged at the start; what the plan says at each module; all of it is trained."""
    model, made = family(name, (1, 5, 2, 3) if name == "t5" else (1, 5))
    words = inputs_for(name)
    with torch.no_grad():
        before = model(**words)[0]
    expected = match_plan(made, model).modules
    adapted = get_peft_model(model, MixtureConfig.from_plan(made))
    with torch.no_grad():
        assert torch.equal(adapted(**words)[0], before)
    found = mixtures(adapted)
    assert {key: each.shape.experts for key, each in found.items()} == {
        key: each.experts for key, each in expected.items()
    }
    for key, each in found.items():
        assert (each.out_features, each.in_features) == expected[key].shape
    trained = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert trained == made.trainable_parameters
    randomise(adapted)
    adapted(**words)[0].square().mean().backward()
    for key, parameter in adapted.named_parameters():
        assert parameter.requires_grad == ("tailora_mixture" in key)
        assert (parameter.grad is not None) == parameter.requires_grad, key
    assert not torch.equal(adapted(**words)[0], before)


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert", "t5"])
def test_saved_and_loaded_in_a_fresh_interpreter(family, tmp_path, name):
    model, made = family(name, (1, 5, 2, 3) if name == "t5" else (1, 5))
    adapted = randomise(get_peft_model(model, MixtureConfig.from_plan(made, gate="threshold")))
    adapted.eval().save_pretrained(tmp_path / "adapter")
    with torch.no_grad():
        torch.save([inputs_for(name), adapted(**inputs_for(name))[0]], tmp_path / "seen.pt")
    code = (
        "import sys, torch, transformers, tailora\n"
        f"base = transformers.{type(model).__name__}.from_pretrained(sys.argv[1]).eval()\n"
        "model = tailora.load_adapter(base, sys.argv[2])\n"
        "words, seen = torch.load(sys.argv[3])\n"
        "with torch.no_grad(): assert torch.equal(model(**words)[0], seen)\n"
    )
    places = [str(tmp_path / name), str(tmp_path / "adapter"), str(tmp_path / "seen.pt")]
    ended = subprocess.run([sys.executable, "-c", code, *places], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("low", [False, True])
def test_loaded_by_peft_itself(adapted, tmp_path, low):
    model = adapted()
    model.save_pretrained(tmp_path / "adapter")
    config = PeftConfig.from_pretrained(tmp_path / "adapter")
    assert isinstance(config, MixtureConfig)
    assert config.plan_digest
    base = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "llama")
    again = PeftModel.from_pretrained(base, tmp_path / "adapter", low_cpu_mem_usage=low)
    assert torch.equal(logits(again), logits(model))
    assert not any(parameter.requires_grad for parameter in again.parameters())
    trainable = load_adapter(
        transformers.LlamaForCausalLM.from_pretrained(tmp_path / "llama"),
        tmp_path / "adapter",
        is_trainable=True,
    )
    assert sum(p.requires_grad for p in trainable.parameters()) == len(
        [name for name, _ in trainable.named_parameters() if "tailora_mixture" in name]
    )


def test_transformers_own_way_to_load(adapted, tmp_path):
    model = adapted()
    model.save_pretrained(tmp_path / "adapter")
    base = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "llama")
    base.load_adapter(tmp_path / "adapter")
    assert torch.equal(logits(base), logits(model))


def test_adapters_on_off_added_switched_and_deleted(family, tmp_path):
    model, made = family("llama")
    plain = logits(model)
    adapted = randomise(get_peft_model(model, MixtureConfig.from_plan(made)))
    first = logits(adapted)
    with adapted.disable_adapter():
        assert torch.equal(logits(adapted), plain)
    assert torch.equal(logits(adapted), first)
    adapted.add_adapter("second", MixtureConfig.from_plan(made, gate="dense"))
    randomise(adapted, "second", seed=1)
    assert torch.equal(logits(adapted), first), "the first one stays active"
    adapted.set_adapter("second")
    second = logits(adapted)
    assert not torch.equal(second, first)
    trained = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert trained
    assert all(".second." in name for name in trained)
    adapted.set_adapter("default")
    adapted.delete_adapter("second")
    assert torch.equal(logits(adapted), first)
    assert torch.equal(logits(adapted.unload()), plain)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_generation_with_a_cache_equals_without(adapted, name):
    model = adapted(name).eval()
    words = {"input_ids": IDS[:1], "max_new_tokens": 12, "do_sample": False, "eos_token_id": None}
    words |= {"attention_mask": torch.ones_like(IDS[:1]), "pad_token_id": 0}
    cached = model.generate(**words, use_cache=True)
    assert cached.shape[1] == 18
    assert torch.equal(cached, model.generate(**words, use_cache=False))


def test_parameters_of_llama_2_7b_are_those_of_mola():
    """MoLA (arXiv 2402.08562) with seven modules and rank 8, on the meta device."""
    words = {"hidden_size": 4096, "intermediate_size": 11008, "vocab_size": 32000}
    config = transformers.LlamaConfig(
        **words, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=32
    )
    sizes = {"down_proj": (4096, 11008), "gate_proj": (11008, 4096), "up_proj": (11008, 4096)}
    attention, mlp = ("q_proj", "k_proj", "v_proj", "o_proj"), tuple(sizes)
    for shape, expected in (("5555", 105_635_840), ("8888", 169_017_344), ("4444", 84_508_672)):
        modules = {
            f"model.layers.{layer}.{part}.{name}": {
                "experts": int(shape[layer // 8]), "top_k": 2, "rank": 8, "lora_alpha": 16,
                "shape": sizes.get(name, (4096, 4096)),
            }
            for layer in range(32)
            for part, names in (("self_attn", attention), ("mlp", mlp))
            for name in names
        }  # fmt: skip
        with torch.device("meta"):
            model = transformers.LlamaForCausalLM(config)
        adapted = get_peft_model(model, MixtureConfig(modules=modules), low_cpu_mem_usage=True)
        assert adapted.get_nb_trainable_parameters()[0] == expected


def test_a_half_precision_base_keeps_float32_experts(family):
    model, made = family("llama")
    adapted = randomise(get_peft_model(model.bfloat16(), MixtureConfig.from_plan(made)))
    output = adapted(input_ids=IDS)[0]
    assert output.dtype == torch.bfloat16
    assert {p.dtype for p in adapted.parameters() if p.requires_grad} == {torch.float32}
    output.float().square().mean().backward()


def test_singular_start(family):
    """Rows of A span the weight's leading right singular vectors; the model is unchanged."""
    for name in ("llama", "gpt2"):
        model, made = family(name, (1, 2))
        before = logits(model)
        adapted = get_peft_model(model, MixtureConfig.from_plan(made, init="singular"))
        assert torch.equal(logits(adapted), before)
        for key, mixture in mixtures(adapted).items():
            weight = model.get_submodule(key).base_layer.weight.detach()
            weight = weight.T if name == "gpt2" else weight
            ranks = mixture.experts_A.flatten(0, 1).detach()
            _, _, right = torch.linalg.svd(weight, full_matrices=False)
            leading = right[: len(ranks)]
            cosines = torch.linalg.svdvals((ranks * 3**0.5) @ leading.T)
            assert cosines.min() > 0.9, key
            assert torch.allclose(ranks @ ranks.T, torch.eye(len(ranks)) / 3, atol=1e-4)


def test_lora_dropout_at_test_time_is_a_mean_over_draws(adapted):
    model = adapted(mask="lora_dropout", mask_rate=0.3).eval()
    calm = logits(model)
    assert torch.equal(logits(model), calm)
    torch.manual_seed(4)
    with masks_on(model):
        draws = [logits(model) for _ in range(3)]
    assert not torch.equal(draws[0], draws[1])
    torch.manual_seed(4)
    mean = ensemble(model, 3, input_ids=IDS)
    torch.testing.assert_close(mean, (draws[0] + draws[1] + draws[2]) / 3)
    assert torch.equal(logits(model), calm)


def test_statistics_leave_out_padding_and_what_has_no_router(adapted):
    model = adapted()
    logits(model, attention_mask=MASK)
    found = statistics(model)
    assert len(found) == 7
    assert {each.tokens for each in found.values()} == {10}
    assert all(name.startswith("model.layers.1.") for name in found)
    with pytest.raises(ValueError, match="carries no mixture"):
        step_of(torch.nn.Linear(2, 2))


def saved(model, folder):
    """A saved adapter; its config as a dictionary."""
    model.save_pretrained(folder)
    return json.loads((folder / "adapter_config.json").read_text())


def load_changed(folder, config, base):
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return load_adapter(base, folder)


@pytest.mark.parametrize(
    ("field", "value"), [("top_k", 1), ("experts", 4), ("rank", 4), ("lora_alpha", 32)]
)
def test_a_config_that_was_changed_is_refused(adapted, family, tmp_path, field, value):
    config = saved(adapted(), tmp_path / "adapter")
    config["modules"]["model.layers.1.self_attn.q_proj"][field] = value
    with pytest.raises(BadAdapter, match="was changed after it was written"):
        load_changed(tmp_path / "adapter", config, FAMILIES["llama"]())


def test_an_adapter_of_a_newer_format_is_refused(adapted, tmp_path):
    config = saved(adapted(), tmp_path / "adapter")
    config["format"] = 2
    with pytest.raises(BadAdapter, match=r"of format 2.*upgrade tailora"):
        load_changed(tmp_path / "adapter", config, FAMILIES["llama"]())


def test_a_file_without_a_router_is_refused(adapted, tmp_path):
    from safetensors.torch import load_file, save_file

    model = adapted()
    model.save_pretrained(tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    tensors = load_file(file)
    name = "base_model.model.model.layers.1.mlp.up_proj.tailora_mixture.router"
    left = {key: value for key, value in tensors.items() if key != name}
    assert len(left) == len(tensors) - 1
    save_file(left, file)
    with pytest.raises(BadAdapter, match=r"lacks .*layers\.1\.mlp\.up_proj.*router"):
        load_adapter(FAMILIES["llama"](), tmp_path / "adapter")
    save_file({**left, name: tensors[name][:3].contiguous()}, file)
    with pytest.raises(BadAdapter, match=r"is \(3, 32\) in the adapter file, and \(5, 32\)"):
        load_adapter(FAMILIES["llama"](), tmp_path / "adapter")


def test_damaged_and_missing_files_are_refused(adapted, tmp_path):
    adapted().save_pretrained(tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BadAdapter, match=r"is damaged: .*fetch it anew"):
        load_adapter(FAMILIES["llama"](), tmp_path / "adapter")
    file.rename(file.with_suffix(".bin"))
    with pytest.raises(BadAdapter, match=r"has no adapter_model\.safetensors"):
        load_adapter(FAMILIES["llama"](), tmp_path / "adapter")


def test_another_model_is_refused_and_left_alone(family, adapted, tmp_path):
    _, made = family("llama")
    other = FAMILIES["phi3"]()
    with pytest.raises(ModelMismatch, match="of the plan is not in the model"):
        get_peft_model(other, MixtureConfig.from_plan(made))
    assert not any("tailora" in name for name, _ in other.named_modules())
    adapted().save_pretrained(tmp_path / "adapter")
    with pytest.raises(ModelMismatch, match="which this model lacks"):
        load_adapter(FAMILIES["phi3"](), tmp_path / "adapter")
    wider = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, vocab_size=64,
        )
    )  # fmt: skip
    with pytest.raises(ModelMismatch, match=r"is \(32, 64\) in this model, and .* \(32, 48\)"):
        load_adapter(wider, tmp_path / "adapter")


def test_fused_experts_of_a_base_are_refused_by_name():
    modules = {"model.layers.0.mlp.experts": {"experts": 2, "top_k": 1, "rank": 4, "lora_alpha": 8}}
    with pytest.raises(ModelMismatch, match=r"layers\.0\.mlp\.experts is a \w+, not a linear"):
        get_peft_model(FAMILIES["mixtral"](), MixtureConfig(modules=modules))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gate": "softest"}, "gate is 'softest'; give one of topk, threshold, dense"),
        ({"balance": "adamole"}, "needs gate='threshold'"),
        ({"balance_coefficient": -1.0}, "give 0 or more"),
        ({"mask": "dropout", "mask_rate": 1.5}, "0 ≤ rate < 1"),
        ({"gate": "threshold", "threshold_max": 0.0}, "0 < value ≤ 1"),
        ({"init": "zeros"}, "give one of standard, singular"),
        ({"form": "sparse"}, "give one of dense, grouped, auto"),
    ],
)
def test_options_that_cannot_be(family, options, message):
    _, made = family("llama")
    with pytest.raises(InvalidMixture, match=message):
        MixtureConfig.from_plan(made, **options)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"experts": 2, "top_k": 3}, "q: top_k is 3, but there are 2 experts"),
        ({"experts": 0, "top_k": 1}, "q: experts is 0"),
    ],
)
def test_counts_that_cannot_be(entry, message):
    with pytest.raises(InvalidMixture, match=message):
        MixtureConfig(modules={"q": {"rank": 4, "lora_alpha": 8, **entry}})


def test_the_mola_loss_needs_equal_counts_in_a_layer(family):
    _, made = family("llama", tuple(range(1, 15)), per_module=True)
    with pytest.raises(InvalidMixture, match="use balance='sound'"):
        get_peft_model(FAMILIES["llama"](), MixtureConfig.from_plan(made, balance="mola"))


def test_a_config_without_a_plan_is_refused():
    with pytest.raises(InvalidMixture, match="MixtureConfig.from_plan"):
        get_peft_model(FAMILIES["llama"](), MixtureConfig())
