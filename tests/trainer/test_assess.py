"""Saved adapters and runs, measured on files."""

import json
import shutil
from pathlib import Path
from random import Random

import pytest
import torch
import transformers

from tests.trainer.runs import pairs, recipe_in, topics, write_lines
from tests.trainer.saved import save
from trainer.assess import assess
from trainer.errors import BadAdapter, InvalidData, ModelMismatch, NotMeasurable
from trainer.finetune.run import finetune
from trainer.origin import read_origin
from trainer.tuner.facts import load_adapter

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

FAST = {"optimiser__learning_rate": 1e-2, "data__length": 48}


def choices(count, seed=0):
    """The right one is of the numbers above 60."""
    draw = Random(seed)
    rows = []
    for _ in range(count):
        low, high = f"w{draw.randint(10, 13)}", f"w{draw.randint(61, 63)}"
        options = [low, high] if draw.random() < 0.5 else [high, low]
        question = f"w{draw.randint(5, 9)} w{draw.randint(5, 9)}"
        rows.append({"question": question, "choices": options, "answer": options.index(high)})
    return rows


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A run on choices, and what it came to."""
    folder = tmp_path_factory.mktemp("asked")
    recipe = recipe_in(folder, choices(200), task="choice", schedule__steps=40, **FAST)
    return folder, finetune(recipe, folder / "run")


@pytest.fixture(scope="module")
def classified(tmp_path_factory):
    """The same on classes, whose names are not in the order of the alphabet."""
    folder = tmp_path_factory.mktemp("classified")
    recipe = recipe_in(
        folder, topics(200), task="classification", schedule__steps=60, preset="lora_dropout",
        data__labels=("low", "high"), **FAST,
    )  # fmt: skip
    return folder, finetune(recipe, folder / "run")


def test_a_run_on_choices_reports_accuracy_by_likelihood(asked):
    folder, trained = asked
    before, after = trained.before, trained.after
    assert before.questions == after.questions == 20
    assert after.accuracy > 0.9 > before.accuracy
    kept = json.loads((folder / "run" / "result.json").read_text())
    assert kept["after"]["accuracy"] == after.accuracy


def test_the_adapter_of_a_run_on_its_data(asked):
    """Both ways to name it; the loss is that of a plain loop over the loaded model."""
    folder, _ = asked
    data = write_lines(folder / "new.jsonl", choices(12, seed=5))
    found = assess(str(folder / "run"), data)
    named = assess(str(folder / "run" / "adapter"), data, base=str(folder / "base"), batch=3)
    assert found.evaluation.loss == pytest.approx(named.evaluation.loss, abs=1e-6)
    assert found.evaluation.accuracy == named.evaluation.accuracy > 0.9
    assert (found.form, found.length, found.warnings) == ("choice", 48, ())
    alone = assess(str(folder / "run"), data, base_only=True)
    assert alone.evaluation.loss > found.evaluation.loss + 0.3
    for adapter, measured in ((None, alone), (folder / "run" / "adapter", found)):
        model = transformers.LlamaForCausalLM.from_pretrained(folder / "base")
        model = (load_adapter(model, adapter) if adapter else model).eval()
        assert measured.evaluation.loss == pytest.approx(plain_loss(model, data), abs=1e-5)


@torch.no_grad()
def plain_loss(model, data):
    """By token, of the right answers with their end, written out by hand."""
    losses = []
    for line in Path(data).read_text().splitlines():
        row = json.loads(line)
        words = [*row["question"].split(), "A", ".", row["choices"][0], "B", "."]
        words += [row["choices"][1], "Answer", ":", row["choices"][row["answer"]]]
        ids = torch.tensor([[int(w[1:]) if w[0] == "w" else 3 for w in words] + [2]])
        log_p = model(ids).logits[0].double().log_softmax(-1)
        losses += [-float(log_p[at - 1, ids[0, at]]) for at in (-2, -1)]
    return sum(losses) / len(losses)


def test_classes_go_by_the_order_that_was_trained(classified):
    folder, trained = classified
    assert trained.after.accuracy > 0.9
    origin = read_origin(folder / "run" / "adapter")
    assert origin.labels == ("low", "high")
    rows = topics(30, seed=9)
    data = write_lines(folder / "new.jsonl", rows[::-1])
    found = assess(str(folder / "run"), data)
    assert found.evaluation.accuracy > 0.9
    assert (found.labels, found.classes_by) == (("low", "high"), "head")
    swapped = [{**row, "label": "low" if row["label"] == "high" else "high"} for row in rows]
    wrong = assess(str(folder / "run"), write_lines(folder / "swapped.jsonl", swapped))
    assert wrong.evaluation.accuracy == pytest.approx(1 - found.evaluation.accuracy)
    drawn = assess(str(folder / "run"), data, draws=3)
    assert drawn.evaluation.draws == 3
    assert drawn.evaluation.loss != found.evaluation.loss


def test_classes_of_a_causal_model_go_by_likelihood(asked):
    folder, _ = asked
    data = write_lines(folder / "topics.jsonl", [
        {"text": row["text"], "label": {"low": "w20", "high": "w50"}[row["label"]]}
        for row in topics(8)
    ])  # fmt: skip
    found = assess(str(folder / "run"), data)
    assert (found.labels, found.classes_by) == (("w20", "w50"), "likelihood")
    assert found.evaluation.questions == 8
    assert found.evaluation.macro_f1 is not None


def test_what_is_not_measured_says_why(asked, classified, tmp_path):
    def refused(kind, words, adapter, rows, **options):
        data = write_lines(tmp_path / "rows.jsonl", rows)
        with pytest.raises(kind, match=words):
            assess(str(adapter), data, **options)

    run, classes = asked[0] / "run", classified[0] / "run"
    refused(InvalidData, "has the columns frage; what can be trained on", run, [{"frage": "w5"}])
    refused(InvalidData, "has the columns text; .* classification", classes, [{"text": "w5"}])
    refused(
        InvalidData, "line 1 of .* has the label 'mid', and the adapter was trained for low, high",
        classes, [{"text": "w5", "label": "mid"}],
    )  # fmt: skip
    refused(InvalidData, "holds no rows", run, [])
    refused(InvalidData, "no sample with a prompt", run, [{"text": "w5 w6"}], exact_match=3)
    refused(NotMeasurable, "no LoRA Dropout", run, choices(2), draws=2)
    refused(NotMeasurable, "no trained score", classes, topics(4), base_only=True)
    refused(BadAdapter, "is no adapter and no run", asked[0], choices(2))
    shutil.copytree(run, tmp_path / "unfinished", ignore=shutil.ignore_patterns("adapter"))
    refused(BadAdapter, "without an adapter yet", tmp_path / "unfinished", choices(2))
    shutil.copytree(classes / "adapter", tmp_path / "nameless")
    (tmp_path / "nameless" / "origin.json").unlink()
    refused(BadAdapter, "does not say which they are", tmp_path / "nameless", topics(4))
    (tmp_path / "nameless" / "origin.json").write_text("{")
    refused(BadAdapter, "origin.json .* cannot be read", tmp_path / "nameless", topics(4))


def test_an_adapter_that_another_loop_saved(tmp_path):
    """No origin: the base is the one that is given, and it is told when the weights are others."""
    saved = save(tmp_path, counts=(2, 3))
    data = write_lines(tmp_path / "rows.jsonl", pairs(6))
    config = tmp_path / "adapter" / "adapter_config.json"
    words = json.loads(config.read_text())
    config.write_text(json.dumps({**words, "base_model_name_or_path": None}))
    with pytest.raises(BadAdapter, match="give --model"):
        assess(saved.adapter, data)
    found = assess(saved.adapter, data, base=saved.base, exact_match=4)
    assert found.length == 512
    assert found.evaluation.exact_match_samples == 4


def test_other_weights_are_a_warning_and_another_model_an_error(asked, tmp_path):
    folder, _ = asked
    data = write_lines(tmp_path / "rows.jsonl", choices(4))
    other = shutil.copytree(folder / "base", tmp_path / "base")
    model = transformers.LlamaForCausalLM.from_pretrained(other)
    model.lm_head.weight.data.mul_(1.5)
    model.save_pretrained(other)
    found = assess(str(folder / "run"), data, base=str(other))
    assert "are not those that the adapter was trained on" in found.warnings[0]
    wide = transformers.LlamaConfig.from_pretrained(other, vocab_size=40)
    transformers.LlamaForCausalLM(wide).save_pretrained(other)
    with pytest.raises(ModelMismatch, match="makes token .* and the model knows 40"):
        assess(str(folder / "run"), data, base=str(other))
