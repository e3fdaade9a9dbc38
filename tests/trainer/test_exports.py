"""Exports against the adapter that they stand for; losses and gates against one text at a time."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file
from torch import nn

from tests.trainer.saved import Saved, drawn, ids_of, save, save_adapter, save_tokenizer
from trainer.errors import InvalidTexts, ModelMismatch, NotExportable
from trainer.exports.base import load_base
from trainer.exports.merge import merge
from trainer.exports.places import find
from trainer.exports.to_lora import to_lora
from trainer.tuner import MixtureConfig
from trainer.tuner.facts import load_adapter, mixtures

TEXTS = drawn(11)


def base_of(saved: Saved):
    return load_base(find(saved.base))


def adapted(saved: Saved):
    return load_adapter(base_of(saved), saved.adapter)


def exported(saved: Saved, texts=TEXTS, **options):
    return to_lora(
        saved.adapter, saved.base, saved.texts(texts), saved.out, device="cpu", **options
    )


@torch.no_grad()
def logits(model, text=TEXTS[0]):
    return model(input_ids=ids_of(text)).logits


@torch.no_grad()
def loss_of(model, texts=TEXTS):
    """Mean over predicted tokens, by transformers' own loss, one text after the other."""
    total, count = 0.0, 0
    for text in texts:
        ids = ids_of(text)
        total += float(model(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
        count += ids.shape[1] - 1
    return total / count


def nothing_left(saved: Saved, *more: str):
    names = {"base", "adapter", "texts.txt", *more}
    assert {path.name for path in saved.root.iterdir()} <= names


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_merged_model_is_the_adapted_one(family, tmp_path):
    saved = save(tmp_path, family)
    found = merge(saved.adapter, saved.base, saved.out)
    merged = load_base(find(str(saved.out)))
    expected = logits(adapted(saved))
    torch.testing.assert_close(logits(merged), expected, atol=1e-5, rtol=0)
    assert (logits(base_of(saved)) - expected).abs().max() > 0.01
    assert type(merged) is type(base_of(saved))
    assert found.modules == len(mixtures(adapted(saved)))
    for name in found.tokenizer:
        assert (saved.out / name).read_bytes() == Path(saved.base, name).read_bytes()
    assert "tokenizer.json" in found.tokenizer


def test_a_merge_keeps_the_dtype(tmp_path):
    saved = save(tmp_path)
    before = base_of(saved).to(torch.bfloat16)
    before.save_pretrained(saved.base)
    found = merge(saved.adapter, saved.base, saved.out)
    assert found.dtype == "bfloat16"
    name = "model.layers.0.self_attn.q_proj"
    mixture = mixtures(adapted(saved))[name]
    delta = (mixture.experts_A[0].T @ mixture.experts_B[0]).T * 2
    weight = load_file(saved.out / "model.safetensors")[f"{name}.weight"]
    assert weight.dtype == torch.bfloat16
    expected = before.get_submodule(name).weight.float() + delta
    torch.testing.assert_close(
        weight.float(), expected, atol=float(delta.abs().max()) / 256, rtol=0
    )


def test_several_experts_are_not_merged(tmp_path):
    saved = save(tmp_path, counts=(1, 3))
    message = r"7 of 14 modules .* model\.layers\.1\.\S+ \(3\) .*`tailora to-lora`"
    with pytest.raises(NotExportable, match=message):
        merge(saved.adapter, saved.base, saved.out)
    nothing_left(saved)


def test_a_quantised_base_is_refused(tmp_path):
    saved = save(tmp_path)
    path = Path(saved.base, "config.json")
    quantised = {"quantization_config": {"quant_method": "fp8"}}
    path.write_text(json.dumps(json.loads(path.read_text()) | quantised))
    with pytest.raises(NotExportable, match=r"is quantised \(fp8\)"):
        merge(saved.adapter, saved.base, saved.out)
    nothing_left(saved)


def test_where_to_write(tmp_path):
    saved = save(tmp_path)
    saved.out.mkdir()
    merge(saved.adapter, saved.base, saved.out)
    before = sorted(saved.out.iterdir())
    for use in (lambda: merge(saved.adapter, saved.base, saved.out), lambda: exported(saved)):
        with pytest.raises(NotExportable, match="is not empty; choose another --out"):
            use()
    with pytest.raises(NotExportable, match="is a file"):
        merge(saved.adapter, saved.base, before[0])
    with pytest.raises(NotExportable, match="is no folder"):
        merge(saved.adapter, saved.base, saved.out / "a" / "b")
    assert sorted(saved.out.iterdir()) == before
    nothing_left(saved, "out")


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_one_expert_is_a_lora_exactly(family, tmp_path):
    saved = save(tmp_path, family)
    found = exported(saved)
    lora = PeftModel.from_pretrained(base_of(saved), saved.out)
    torch.testing.assert_close(logits(lora), logits(adapted(saved)), atol=1e-5, rtol=0)
    assert abs(found.gap) < 1e-6
    assert found.largest_rank == 8
    nothing_left(saved, "out")


def test_equal_gates_are_a_lora_exactly(tmp_path):
    """A dense gate whose router is zero: every gate is 1/E for every token."""
    saved = save(tmp_path, counts=(2, 5), gate="dense")
    model = adapted(saved)
    for mixture in mixtures(model).values():
        nn.init.zeros_(mixture.router)
    model.save_pretrained(saved.adapter)
    found = exported(saved, batch_size=4)
    lora = PeftModel.from_pretrained(base_of(saved), saved.out)
    torch.testing.assert_close(logits(lora), logits(model), atol=1e-5, rtol=0)
    assert (logits(base_of(saved)) - logits(model)).abs().max() > 0.01
    assert abs(found.gap) < 1e-6
    assert found.largest_rank == 40


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_losses_and_gates_are_those_of_one_text_at_a_time(family, tmp_path):
    """Texts of different lengths, so that batches are padded."""
    saved = save(tmp_path, family, counts=(1, 3))
    found = exported(saved, batch_size=4)
    model, lora = adapted(saved), PeftModel.from_pretrained(base_of(saved), saved.out)
    assert found.base_loss == pytest.approx(loss_of(base_of(saved)), abs=1e-5)
    assert found.mixture_loss == pytest.approx(loss_of(model), abs=1e-5)
    assert found.lora_loss == pytest.approx(loss_of(lora), abs=1e-5)
    assert found.gap == found.lora_loss - found.mixture_loss
    assert abs(found.gap) > 1e-4
    assert found.texts == len(TEXTS)
    assert found.tokens == sum(ids_of(text).shape[1] - 1 for text in TEXTS)
    gates = gates_of(model)
    weights = load_file(saved.out / "adapter_model.safetensors")
    assert len(weights) == 2 * len(mixtures(model))
    for name, mixture in mixtures(model).items():
        share = gates.get(name, torch.ones(1))
        down = weights[f"base_model.model.{name}.lora_A.weight"]
        up = weights[f"base_model.model.{name}.lora_B.weight"]
        torch.testing.assert_close(down, torch.cat(list(mixture.experts_A)))
        expected = [b.T * g for b, g in zip(mixture.experts_B, share, strict=True)]
        torch.testing.assert_close(up, torch.cat(expected, dim=1), atol=1e-6, rtol=1e-5)


@torch.no_grad()
def gates_of(model):
    """Mean gates of a top-2 gate by hand, over all tokens of all texts."""
    seen = {name: [] for name, mixture in mixtures(model).items() if mixture.router is not None}
    hooks = [
        model.get_submodule(f"base_model.model.{name}").register_forward_pre_hook(
            lambda _, inputs, into=into: into.append(inputs[0][0])
        )
        for name, into in seen.items()
    ]
    for text in TEXTS:
        logits(model, text)
    for hook in hooks:
        hook.remove()
    found = {}
    for name, inputs in seen.items():
        scores = torch.cat(inputs) @ mixtures(model)[name].router.T
        second = scores.topk(2).values[:, 1:]
        found[name] = scores.masked_fill(scores < second, -torch.inf).softmax(-1).mean(0)
    return found


@pytest.mark.parametrize("alpha", [8.0, 32.0])
def test_ranks_and_scales_of_their_own(alpha, tmp_path):
    """Modules that differ in rank and scale are still exact; vLLM, which reads one, is minded."""
    saved = save(tmp_path)
    entry = {"experts": 1, "top_k": 1}
    modules = {
        "model.layers.0.self_attn.q_proj": {**entry, "rank": 8, "lora_alpha": 16.0},
        "model.layers.1.self_attn.q_proj": {**entry, "rank": 4, "lora_alpha": alpha},
    }
    save_adapter(get_peft_model(base_of(saved), MixtureConfig(modules=modules)), saved)
    found = exported(saved)
    lora = PeftModel.from_pretrained(base_of(saved), saved.out)
    torch.testing.assert_close(logits(lora), logits(adapted(saved)), atol=1e-5, rtol=0)
    assert found.largest_rank == 8
    if alpha == 32.0:
        assert "differ in scale" in found.warnings[0]
    else:
        config = lora.peft_config["default"]
        assert config.lora_alpha / config.r == 2.0
        assert found.warnings == ()


def test_modules_that_were_trained_whole_come_along(tmp_path):
    saved = save(tmp_path, modules_to_save=["lm_head"])
    expected = logits(adapted(saved))
    head = base_of(saved).lm_head.weight
    assert not torch.equal(adapted(saved).base_model.model.lm_head.weight, head)
    found = exported(saved)
    lora = PeftModel.from_pretrained(base_of(saved), saved.out)
    torch.testing.assert_close(logits(lora), expected, atol=1e-5, rtol=0)
    assert found.warnings == ("vLLM takes no adapter with modules_to_save",)
    merge(saved.adapter, saved.base, tmp_path / "merged")
    merged = load_base(find(str(tmp_path / "merged")))
    torch.testing.assert_close(logits(merged), expected, atol=1e-5, rtol=0)


def test_a_head_that_the_base_lacks_is_not_dropped(tmp_path):
    from transformers import LlamaForSequenceClassification

    saved = save(tmp_path)
    config = load_adapter(base_of(saved), saved.adapter).peft_config["default"]
    model = LlamaForSequenceClassification(base_of(saved).config)
    made = MixtureConfig(modules=config.modules, modules_to_save=["score"], task_type="SEQ_CLS")
    save_adapter(get_peft_model(model, made), saved)
    with pytest.raises(ModelMismatch, match="the adapter holds score, trained whole"):
        merge(saved.adapter, saved.base, saved.out)
    nothing_left(saved)


def test_a_lora_that_peft_puts_elsewhere_is_refused(tmp_path):
    """PEFT 0.21 moves a LoRA of layer 0's down_proj to the fused experts of layer 1, in silence."""
    saved = save(tmp_path, "deepseek_v3")
    if "0.18" <= version("peft") < "0.19":
        assert abs(exported(saved).gap) < 1e-6
        shutil.rmtree(saved.out)
    else:
        with pytest.raises(NotExportable, match=r"model\.layers\.0\.mlp\.down_proj.* and 4 more"):
            exported(saved)
    nothing_left(saved)
    merge(saved.adapter, saved.base, saved.out)
    merged = load_base(find(str(saved.out)))
    torch.testing.assert_close(logits(merged), logits(adapted(saved)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["bert", "roberta", "t5"])
def test_only_causal_language_models_have_a_loss(family, tmp_path):
    saved = save(tmp_path, family, counts=(2,) * (4 if family == "t5" else 2))
    with pytest.raises(NotExportable, match="does not predict the next token"):
        exported(saved)
    nothing_left(saved)


def test_tokenizers_that_do_not_serve(tmp_path):
    saved = save(tmp_path)
    save_tokenizer(Path(saved.base), words=70)
    with pytest.raises(NotExportable, match="makes token 69, and the model knows 64"):
        exported(saved, texts=["w3 w69"])
    for path in Path(saved.base).glob("tokenizer*"):
        path.unlink()
    with pytest.raises(NotExportable, match="has no tokenizer"):
        exported(saved)
    assert merge(saved.adapter, saved.base, saved.out).tokenizer == ()


def test_long_and_short_texts(tmp_path):
    saved = save(tmp_path, "gpt2")
    text = " ".join(drawn(3))
    found = exported(saved, texts=[text, "w5", ""], max_length=7)
    assert (found.texts, found.tokens) == (1, 6)
    assert found.base_loss == pytest.approx(
        loss_of(base_of(saved), [" ".join(text.split()[:7])]), abs=1e-5
    )
    shutil.rmtree(saved.out)
    assert exported(saved, texts=[" ".join(drawn(9))]).tokens == 31, "as many as it has positions"
    shutil.rmtree(saved.out)
    with pytest.raises(InvalidTexts, match="no text has two tokens"):
        exported(saved, texts=["w5", "w6"])


def test_columns(tmp_path):
    """Prompt and completion are joined as they are; the same texts, the same losses."""
    saved = save(tmp_path)
    rows = [{"text": text, "more": 1} for text in TEXTS[:5]]
    halves = [(text[: len(text) // 2], text[len(text) // 2 :]) for text in TEXTS[5:]]
    rows += [{"prompt": first, "completion": second} for first, second in halves]
    path = saved.texts([*map(json.dumps, rows), ""], "rows.jsonl")
    found = to_lora(saved.adapter, saved.base, path, tmp_path / "rows", device="cpu")
    assert found == exported(saved)
