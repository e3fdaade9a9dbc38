"""Several samples in a sequence: none sees another, and nothing of what is learnt changes."""

import json
from math import ceil
from random import Random

import pytest
import torch
from peft import get_peft_model

from tests.trainer.conftest import randomise
from tests.trainer.runs import pairs, recipe_in, topics
from trainer.dataset.collate import Collate, CollatePacked
from trainer.dataset.encode import Sample
from trainer.dataset.pack import Packed, pack
from trainer.dataset.prepare import prepare
from trainer.errors import InvalidRecipe, ModelMismatch
from trainer.exports.base import load_tokenizer
from trainer.finetune.packed import keep_apart
from trainer.finetune.run import _place, finetune
from trainer.tuner import MixtureConfig
from trainer.tuner.facts import reset_statistics, statistics

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
NO, PAD, TOLERANCE = -100, 0, 1e-5


def drawn(lengths, seed=0):
    """Samples of these lengths, of which the end is learnt."""
    draw, samples = Random(seed), []
    for length in lengths:
        ids = [draw.randint(3, 63) for _ in range(length)]
        given = draw.randint(1, length - 1)
        samples.append(Sample(ids, [NO] * given + ids[given:]))
    return samples


def test_a_batch_of_packed_samples():
    first, second = Sample([7, 8, 2], [7, 8, 2]), Sample([9, 2], [NO, 2])
    packed = pack([second, Sample([5, 6, 7, 2], [NO, NO, 7, 2]), first], 5)
    assert packed == [
        Packed([5, 6, 7, 2], [NO, NO, 7, 2], [0, 1, 2, 3]),
        Packed([9, 2, 7, 8, 2], [NO, 2, NO, 8, 2], [0, 1, 0, 1, 2]),
    ]
    found = {name: value.tolist() for name, value in CollatePacked(PAD)(packed).items()}
    assert found == {
        "input_ids": [[5, 6, 7, 2, PAD], [9, 2, 7, 8, 2]],
        "attention_mask": [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]],
        "labels": [[NO, NO, 7, 2, NO], [NO, 2, NO, 8, 2]],
        "position_ids": [[0, 1, 2, 3, 0], [0, 1, 0, 1, 2]],
    }


def test_every_sample_is_in_one_sequence_and_few_are_needed():
    draw = Random(1)
    for length in (16, 50):
        samples = drawn([draw.randint(2, length) for _ in range(300)], seed=length)
        packed = pack(samples, length)
        found = []
        for sequence in packed:
            assert len(sequence.input_ids) <= length
            starts = [at for at, place in enumerate(sequence.position_ids) if place == 0]
            for start, end in zip(starts, [*starts[1:], len(sequence.input_ids)], strict=True):
                found.append(tuple(sequence.input_ids[start:end]))
                assert sequence.position_ids[start:end] == list(range(end - start))
        assert sorted(found) == sorted(tuple(sample.input_ids) for sample in samples)
        least = ceil(sum(len(sample.input_ids) for sample in samples) / length)
        assert least <= len(packed) <= least * 11 / 9 + 1
        assert pack(samples, length) == packed


def test_best_fit_fills_what_can_be_filled():
    """In the order given these fill three sequences of ten; an eleventh of them would not fit."""
    lengths = [2, 3, 5, 4, 6, 8, 2]
    packed = pack(drawn(lengths), 10)
    assert [len(sequence.input_ids) for sequence in packed] == [10, 10, 10]


def packed_and_not(lengths, room):
    """The same samples as a packed batch, and as one of a row each."""
    samples = drawn(lengths)
    packed = pack(samples, room)
    assert 1 < len(packed) < len(samples)
    return CollatePacked(PAD)(packed), Collate(PAD)(samples)


def of_pass(model, batch):
    model.zero_grad()
    loss = model(**batch).loss
    loss.backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return loss.detach(), {name: gradient.clone() for name, gradient in found.items()}


FAMILIES = ["llama", "gpt2", "gemma2", "mistral"]


@pytest.fixture
def large(family):
    """A trained-looking mixture whose weights are large enough for attention to matter."""

    def make(name, **options):
        model, made = family(name, (2, 3))
        config = MixtureConfig.from_plan(made, balance_coefficient=0.5, **options)
        model = randomise(get_peft_model(model, config))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.mul_(6)
        return model.eval()

    return make


@pytest.mark.parametrize("name", FAMILIES)
def test_loss_and_gradients_are_those_of_the_samples_by_themselves(large, name):
    model = large(name)
    if name == "mistral":
        model.config.sliding_window = 4
    packed, plain = packed_and_not((9, 4, 7, 3, 12, 5), 16)
    wanted_loss, wanted = of_pass(model, plain)
    loss_before, _ = of_pass(model, packed)
    keep_apart(model)
    loss, gradients = of_pass(model, packed)
    torch.testing.assert_close(loss, wanted_loss, atol=TOLERANCE, rtol=0)
    assert (loss_before - wanted_loss).abs() > 100 * TOLERANCE, "with attention across samples"
    assert gradients.keys() == wanted.keys()
    for key, gradient in wanted.items():
        torch.testing.assert_close(gradients[key], gradient, atol=TOLERANCE, rtol=0)
    routers = [key for key in wanted if "router" in key]
    assert max(wanted[key].abs().max() for key in routers) > 100 * TOLERANCE


def test_routers_count_the_tokens_of_samples_alone(large):
    model = large("llama")
    keep_apart(model)
    reset_statistics(model)
    packed, _ = packed_and_not((9, 4, 7, 3, 12, 5), 16)
    assert packed["input_ids"].numel() > 40
    model(**packed)
    assert {found.tokens for found in statistics(model).values()} == {40}


@pytest.mark.parametrize("name", ["bloom", "opt", "falcon"])
def test_models_that_do_not_keep_samples_apart_are_refused(large, name):
    model = large(name)
    with pytest.raises(ModelMismatch, match="does not keep the samples of a packed sequence apart"):
        keep_apart(model)


def test_classes_cannot_be_packed(tmp_path):
    with pytest.raises(InvalidRecipe, match=r"data\.packing does not apply to classification"):
        recipe_in(tmp_path, topics(8), task="classification", data__packing=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["alphalora", "lora"])
def test_a_step_on_packed_data_is_that_on_the_same_data_unpacked(tmp_path, kind):
    words = {"schedule__steps": 1, "mixture__mask": "none", "mixture__mask_rate": 0.0}
    words |= {"mixture__balance": "none"} if kind == "alphalora" else {}
    plain = recipe_in(tmp_path, pairs(60), preset=kind, **words)
    found = prepare(
        plain.data.model_copy(update={"packing": True}), load_tokenizer(_place(plain)),
        task=None,
    )  # fmt: skip
    assert found.report.sequences == len(found.packed) < len(found.train) / 3
    lines = []
    for packing, rows in ((False, found.train), (True, found.packed)):
        number = len(rows)
        recipe = recipe_in(
            tmp_path, pairs(60), preset=kind, **words, data__packing=packing,
            schedule__batch=number, schedule__micro_batch=number,
        )  # fmt: skip
        said, out = [], tmp_path / f"run {packing}"
        trained = finetune(recipe, out, said.append)
        lines.append(json.loads((out / "metrics.jsonl").read_text()))
        told = f"  packed: {len(found.packed)} sequences of {len(found.train)} samples"
        assert (told in said) == packing
        report = json.loads((out / "report.json").read_text())["train"]
        assert report["sequences"] == (number if packing else None)
        lines[-1]["after"] = trained.after.loss
    for key in ("loss", "gradient_norm", "after"):
        assert lines[0][key] == pytest.approx(lines[1][key], abs=1e-5)
