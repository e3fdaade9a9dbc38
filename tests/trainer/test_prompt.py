"""Decomposed prompt tuning: what it computes and trains, what is saved, and who can load it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file
from torch.nn import functional

from tests.trainer.runs import lively, pairs, recipe_in, topics, two_classes
from tests.trainer.test_oldest_peft import FOLDER
from trainer.dataset.collate import Collate
from trainer.dataset.encode import Sample
from trainer.dataset.prompts import Prompt
from trainer.errors import InvalidRecipe, ModelMismatch, TrainingStopped
from trainer.evaluate import evaluate
from trainer.exports.base import load_tokenizer
from trainer.exports.places import find
from trainer.finetune import loop, sharded
from trainer.finetune.adapt import adapt
from trainer.finetune.base import load
from trainer.finetune.run import _place, finetune
from trainer.measures.exact import exact_matches
from trainer.measures.passes import measuring

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
TOKENS, RANK = 6, 2
SMALL = {"preset": "prompt", "prompt__tokens": TOKENS, "prompt__rank": RANK, "data__length": 20}
NO = -100
SAMPLES = [Sample([5, 9, 33, 7, 2], [NO, NO, 33, 7, 2]), Sample([8, 3, 2], [NO, NO, 2])]


def prompted(folder, **words):
    recipe = recipe_in(folder, pairs(8), **{**SMALL, **words})
    torch.manual_seed(0)
    return adapt(load(_place(recipe), recipe.base, "language", None), recipe)


def factors(model):
    found = {name: p for name, p in model.named_parameters() if p.requires_grad}
    left, right = found.values()
    return left, right


def losses_by_hand(model, sample):
    """Of each learnt token of one sample alone, from the base and the factors."""
    left, right = factors(model)
    base = model.get_base_model()
    tokens = base.get_input_embeddings()(torch.tensor([sample.input_ids]))
    logits = base(inputs_embeds=torch.cat([(left @ right)[None], tokens], dim=1)).logits[0]
    places = [place for place, label in enumerate(sample.labels) if label != NO]
    rows = torch.stack([logits[TOKENS + place - 1] for place in places])
    wanted = torch.tensor([sample.labels[place] for place in places])
    return functional.cross_entropy(rows, wanted, reduction="none")


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_loss_and_evaluation_are_those_made_by_hand(tmp_path, family):
    model = prompted(tmp_path, family=family).eval()
    each = torch.cat([losses_by_hand(model, sample) for sample in SAMPLES])
    assert len(each) == 4
    batch = Collate(0)(SAMPLES)
    torch.testing.assert_close(model(**batch).loss, each.mean(), atol=1e-5, rtol=0)
    count = (batch["labels"] != NO).sum()
    summed = model(**batch, num_items_in_batch=2 * count).loss
    torch.testing.assert_close(summed, each.sum() / 8, atol=1e-5, rtol=0)
    found = evaluate(model, SAMPLES, 0)
    assert found.tokens == 4
    assert found.loss == pytest.approx(each.mean().item(), abs=1e-5)


def answers_by_hand(model, texts, number):
    """Greedy, one text at a time and without a cache, as the tokenizer of numbered words says."""
    base, (left, right) = model.get_base_model(), factors(model)
    answers = []
    for text in texts:
        ids = list(text)
        for _ in range(number):
            tokens = base.get_input_embeddings()(torch.tensor([ids]))
            logits = base(inputs_embeds=torch.cat([(left @ right)[None], tokens], dim=1)).logits
            ids.append(int(logits[0, -1, 3:].argmax()) + 3)
        answers.append(" ".join(f"w{token}" for token in ids[len(text) :]))
    return answers


@pytest.mark.filterwarnings("ignore:Position ids are not supported:UserWarning")
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_answers_are_generated_behind_the_prompt(tmp_path, family):
    """Texts of different lengths in one batch; without the prompt the answers are others."""
    lively(tmp_path, family)
    model = prompted(tmp_path, family=family).eval()
    with torch.no_grad():
        model.get_output_embeddings().weight[:3] = 0  # no end of a text, and no unknown token
        texts = [[5, 9, 33], [7, 12, 40, 8, 3, 11], [40, 6, 8], [22, 4]]
        answers = answers_by_hand(model, texts, 5)
    tokenizer = load_tokenizer(find(str(tmp_path / "base")))
    tokenizer.pad_token = tokenizer.eos_token
    wanted = [Prompt(ids, answer, None) for ids, answer in zip(texts, answers, strict=True)]
    with measuring(model):
        assert exact_matches(model, wanted, tokenizer, 4, 5) == [True] * 4
        alone = exact_matches(model.get_base_model(), wanted, tokenizer, 4, 5)
    assert not any(alone)


def test_the_first_token_of_a_text_is_learnt_by_no_kind(tmp_path):
    """The prompt could predict it, and no other kind could: losses would not be of one thing."""
    model = prompted(tmp_path).eval()
    whole = [Sample(sample.input_ids, list(sample.input_ids)) for sample in SAMPLES]
    rest = [Sample(sample.input_ids, [NO, *sample.input_ids[1:]]) for sample in SAMPLES]
    each = torch.cat([losses_by_hand(model, sample) for sample in rest])
    torch.testing.assert_close(model(**Collate(0)(whole)).loss, each.mean(), atol=1e-5, rtol=0)
    assert evaluate(model, whole, 0).tokens == len(each) == 6


def test_only_the_factors_are_trained_and_begin_as_published(tmp_path):
    model = prompted(tmp_path, prompt__tokens=20, prompt__rank=10, data__length=8)
    left, right = factors(model)
    assert (left.shape, right.shape) == ((20, 10), (10, 32))
    for factor in (left, right):
        assert 0.45 < factor.abs().max() <= 0.5
        assert abs(factor.mean().item()) < 0.1
    prompt = model.get_prompt_embedding_to_save("default")
    assert torch.equal(prompt, (left @ right).detach())
    assert torch.linalg.matrix_rank(prompt) == 10


PLAIN = """
import sys
for name in ("tailora", "trainer", "allocator", "analyzer"):
    sys.modules[name] = None
import peft, torch, transformers
classes = transformers.{auto}.from_pretrained({base!r}{words})
model = peft.PeftModel.from_pretrained(classes, {adapter!r}).eval()
with torch.no_grad():
    logits = model(input_ids=torch.tensor({ids!r})).logits
torch.save(logits, {out!r})
print(peft.__version__, model.peft_config["default"].peft_type.value)
"""
IDS = [[5, 9, 33, 7, 12], [40, 8, 3, 6, 11]]


def loaded_by_peft_alone(tmp_path, auto, words="", older=False):
    out = str(tmp_path / "logits.pt")
    code = PLAIN.format(
        auto=auto, base=str(tmp_path / "base"), words=words, ids=IDS, out=out,
        adapter=str(tmp_path / "run" / "adapter"),
    )  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if older:
        environment["PYTHONPATH"] = str(FOLDER)
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True, text=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    return ended.stdout.strip(), torch.load(out)


@pytest.mark.slow
def test_it_learns_and_every_peft_can_load_what_it_learnt(tmp_path):
    lively(tmp_path, "llama")
    recipe = recipe_in(
        tmp_path, pairs(300), **SMALL, schedule__steps=60, checkpoints__every=60,
        optimiser__learning_rate=0.1,
    )  # fmt: skip
    trained = finetune(recipe, tmp_path / "run")
    assert trained.after.loss < trained.before.loss - 0.2
    saved = load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")
    assert {name: value.shape for name, value in saved.items()} == {
        "prompt_embeddings": (TOKENS, 32)
    }
    held = load_file(tmp_path / "run" / "checkpoint-60" / "trained.safetensors")
    left, right = (held[name] for name in sorted(held))
    assert torch.equal(saved["prompt_embeddings"], left @ right)
    base = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "base").eval()
    with torch.no_grad():
        tokens = base.get_input_embeddings()(torch.tensor(IDS))
        prompt = (left @ right).expand(2, -1, -1)
        wanted = base(inputs_embeds=torch.cat([prompt, tokens], dim=1)).logits
    for older in (False, True):
        said, logits = loaded_by_peft_alone(tmp_path, "AutoModelForCausalLM", older=older)
        assert said.startswith("0.18" if older else "0.2")
        assert said.endswith("PROMPT_TUNING")
        torch.testing.assert_close(logits, wanted, atol=1e-6, rtol=0)


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_with_the_same_factors(tmp_path, monkeypatch):
    recipe = recipe_in(tmp_path, pairs(64), **SMALL, schedule__steps=8, checkpoints__every=8)
    whole = finetune(recipe, tmp_path / "whole")
    ended = loop.Stopping.on_step_end

    def told(self, args, state, control, **words):
        if state.global_step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        ended(self, args, state, control, **words)

    monkeypatch.setattr(loop.Stopping, "on_step_end", told)
    assert finetune(recipe, tmp_path / "run").status == "stopped"
    monkeypatch.undo()
    said = []
    assert finetune(recipe, tmp_path / "run", said.append) == whole
    assert "going on from checkpoint-3" in said
    files = ("checkpoint-8/trained.safetensors", "adapter/adapter_model.safetensors")
    for file in files:
        found, wanted = (load_file(tmp_path / name / file) for name in ("run", "whole"))
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    first = load_file(tmp_path / "run" / "checkpoint-3" / "trained.safetensors")
    last = load_file(tmp_path / "run" / files[0])
    assert not any(torch.equal(first[name], last[name]) for name in last)


@pytest.mark.slow
def test_a_classifier_on_an_encoder(tmp_path):
    lively(tmp_path, "bert")
    recipe = recipe_in(
        tmp_path, two_classes(300), **SMALL, task="classification", family="bert",
        schedule__steps=80, optimiser__learning_rate=3e-2, checkpoints__every=80,
    )  # fmt: skip
    trained = finetune(recipe, tmp_path / "run")
    assert trained.after.accuracy > 0.9
    base = transformers.BertForSequenceClassification.from_pretrained(tmp_path / "base")
    model = PeftModel.from_pretrained(base, tmp_path / "run" / "adapter").eval()
    with torch.no_grad():
        wanted = model(input_ids=torch.tensor(IDS)).logits
    words = ", num_labels=2"
    _, logits = loaded_by_peft_alone(tmp_path, "AutoModelForSequenceClassification", words)
    torch.testing.assert_close(logits, wanted, atol=1e-6, rtol=0)


@pytest.mark.slow
def test_a_classifier_that_would_read_padding_is_refused(tmp_path):
    recipe = recipe_in(tmp_path, topics(20), **SMALL, task="classification")
    with pytest.raises(ModelMismatch, match="at the last place, which is padding"):
        finetune(recipe, tmp_path / "run")


def test_a_prompt_beyond_the_places_of_the_model_is_refused(tmp_path):
    with pytest.raises(ModelMismatch, match="27 virtual tokens and samples of 20 are more than"):
        prompted(tmp_path, family="gpt2", prompt__tokens=27)


def test_a_base_behind_a_prompt_is_not_sharded():
    with pytest.raises(TrainingStopped, match="that a prompt stands before cannot be sharded"):
        sharded.check(2, "none", "prompt")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "prompt", "mixture__gate": "topk"}, "mixture.gate does not apply to kind pro"),
        ({"preset": "prompt", "mixture__mask_rate": 0.1}, "mask_rate does not apply to kind pro"),
        ({"mixture__kind": "prompt"}, "mask does not apply to kind prompt"),
        ({"preset": "lora", "mixture__gate": "topk"}, "mixture.gate does not apply to kind lora"),
        ({"preset": "adamole", "mixture__kind": "lora"}, "gate does not apply to kind lora: leave"),
        ({"preset": "lora_dropout", "mixture__kind": "lora"}, "lora_dropout does not apply to kin"),
        ({"preset": "lora", "prompt__tokens": 100}, "prompt.tokens does not apply to kind lora"),
        ({"prompt__rank": 3}, "section prompt does not apply to kind mixture"),
        ({"preset": "prompt", "prompt__rank": 101}, "a rank of 101 is more than a prompt of 100"),
        ({"preset": "prompt", "data__packing": True}, "data.packing does not apply to kind prompt"),
        (
            {"schedule__warmup_steps": 3, "schedule__warmup_share": 0.1},
            "both warmup_steps and warmup_share",
        ),
    ],
)
def test_options_of_another_kind_are_refused_by_name(tmp_path, changes, message):
    with pytest.raises(InvalidRecipe, match=message):
        recipe_in(tmp_path, pairs(4), **changes)


def test_the_preset_has_the_values_of_the_paper(tmp_path):
    from trainer.presets import make_recipe

    small = recipe_in(tmp_path, pairs(4))
    words = {"task": "language", "base": small.base.model_dump()}
    data = {"train": small.data.train}
    recipe = make_recipe(small.plan, **words, data=data, preset="prompt")
    assert (recipe.prompt.tokens, recipe.prompt.rank) == (100, 10)
    assert (recipe.optimiser.learning_rate, recipe.optimiser.weight_decay) == (0.3, 1e-5)
    assert 16 <= recipe.schedule.batch <= 32
    arguments = loop.arguments_of(recipe, Path(tmp_path), processes=1, samples=1600)
    assert (arguments.max_steps, arguments.warmup_steps) == (100, 10)
    changes = {"schedule.warmup_steps": 7}
    other = make_recipe(small.plan, **words, data=data, preset="prompt", changes=changes)
    assert loop.arguments_of(other, tmp_path, processes=1, samples=1600).warmup_steps == 7
    again = type(recipe).model_validate_json(recipe.to_json())
    assert (again, again.digest) == (recipe, recipe.digest)
