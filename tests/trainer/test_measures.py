"""Measures against plain loops, closed forms and scikit-learn."""

import math

import pytest
import torch
from sklearn.metrics import f1_score
from tokenizers import normalizers
from torch import nn
from torch.nn import functional

from tests.families import FAMILIES
from tests.trainer.test_dataset import BOS, tokenizer_of
from trainer.dataset.encode import IGNORED, Sample
from trainer.dataset.examples import Choice, Labelled
from trainer.dataset.questions import choice_questions, label_questions
from trainer.errors import InvalidData, NotMeasurable
from trainer.evaluate import evaluate, evaluate_labels
from trainer.measures.classes import judge, macro_f1
from trainer.measures.likelihood import log_likelihoods
from trainer.measures.passes import measuring, token_log_probabilities
from trainer.tuner.facts import masks_on, mixtures, statistics

PAD = 1
CHOICES = [
    Choice("w10 w11 w12", ("w20", "w21 w22 w23", "w24 w25"), 1),
    Choice("w13", ("w30 w31", "w32"), 0),
    Choice("w14 w15 w16 w17 w18 w19", ("w40", "w41", "w42 w43", "w44 w45 w46 w47"), 3),
    Choice("w15 w10", ("w50 w20 w21", "w22"), 1),
]
ROWS = [[5, 9, 11], [7, 7, 8, 20, 33, 41, 12], [50, 3], [6, 12, 44, 13, 60]]


@pytest.fixture(scope="module")
def llama():
    torch.manual_seed(3)
    model = FAMILIES["llama"]()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.3)
    return model.eval()


@torch.no_grad()
def plain(model, ids, given):
    """Sum of ln p of what follows the first `given` ids, one token a pass, no padding, no mask."""
    total = 0.0
    for at in range(given, len(ids)):
        logits = model(torch.tensor([ids[:at]])).logits[0, -1].double()
        total += float(torch.log_softmax(logits, dim=-1)[ids[at]])
    return total


@pytest.mark.parametrize("family", ["llama", "gpt2", "falcon"])
@pytest.mark.parametrize("batch", [1, 3])
def test_log_probabilities_are_those_of_a_loop_without_padding(family, batch):
    torch.manual_seed(0)
    model = FAMILIES[family]().eval()
    with measuring(model):
        found = token_log_probabilities(model, ROWS, PAD, batch)
    for row, each in zip(ROWS, found, strict=True):
        assert len(each) == len(row) - 1
        assert float(each.sum()) == pytest.approx(plain(model, row, 1), abs=1e-4)


def test_loss_lies_on_what_is_learnt(llama):
    samples = [Sample(row, [IGNORED] * 1 + row[1:]) for row in ROWS]
    samples[1] = Sample(ROWS[1], [IGNORED] * 5 + ROWS[1][5:])
    found = evaluate(llama, samples, PAD, batch=3)
    sums = [plain(llama, row, 5 if row is ROWS[1] else 1) for row in ROWS]
    assert found.tokens == 2 + 2 + 1 + 4
    assert found.loss == pytest.approx(-sum(sums) / 9, abs=1e-5)
    assert found.perplexity == pytest.approx(math.exp(found.loss), rel=1e-12)
    assert (found.accuracy, found.exact_match, found.draws) == (None, None, None)


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary():
    model = FAMILIES["llama"]()
    nn.init.zeros_(model.lm_head.weight)
    found = evaluate(model, [Sample(row, row) for row in ROWS], PAD)
    assert found.perplexity == pytest.approx(64, rel=1e-5)


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("batch", [1, 4])
def test_choices_by_likelihood(llama, bos, batch):
    """Prompt and answers are written out by hand, scored by the loop, and counted here."""
    tokenizer = tokenizer_of(bos=bos)
    questions = choice_questions(CHOICES, tokenizer, 64)
    sums, right = [], {"sum": 0, "character": 0, "token": 0}
    for choice in CHOICES:
        lines = [f"{'ABCD'[at]}. {text}" for at, text in enumerate(choice.choices)]
        prompt = "\n".join([choice.question, *lines, "Answer:"])
        ids = tokenizer(prompt).input_ids
        answers = [[int(word[1:]) for word in text.split()] for text in choice.choices]
        assert (ids[0] == BOS) is bos
        found = [plain(llama, ids + answer, len(ids)) for answer in answers]
        sums.append(found)
        sizes = {
            "sum": [1] * len(answers),
            "character": [len(text) for text in choice.choices],
            "token": [len(answer) for answer in answers],
        }
        for name, size in sizes.items():
            scores = [value / by for value, by in zip(found, size, strict=True)]
            right[name] += scores.index(max(scores)) == choice.answer
    with measuring(llama):
        likelihoods = log_likelihoods(llama, questions, PAD, batch)
    for each, wanted in zip(likelihoods, sums, strict=True):
        assert each.tolist() == pytest.approx(wanted, abs=1e-4)
    samples = [Sample(row, row) for row in ROWS]
    measured = evaluate(llama, samples, PAD, batch, questions=questions)
    assert measured.accuracy == right["sum"] / 4
    assert measured.accuracy_by_character == right["character"] / 4
    assert measured.accuracy_by_token == right["token"] / 4
    assert (measured.questions, measured.questions_cut) == (4, 0)
    assert len(set(right.values())) > 1, "or the three were not told apart"


def test_a_prompt_that_does_not_fit_loses_its_beginning():
    tokenizer = tokenizer_of()
    whole = choice_questions(CHOICES[2:3], tokenizer, 64)[0]
    cut = choice_questions(CHOICES[2:3], tokenizer, 12)[0]
    assert (whole.cut, cut.cut) == (False, True)
    for full, short in zip(whole.answers, cut.answers, strict=True):
        assert len(short.ids) == 12
        assert short.ids == [BOS, *full.ids[-11:]]
        assert full.ids[full.given :] == short.ids[short.given :]
    tiny = choice_questions(CHOICES[2:3], tokenizer, 3)[0]
    assert tiny.answers[3].ids == [BOS, 44, 45]
    assert tiny.answers[3].given == 1


def test_a_choice_without_tokens_is_refused():
    tokenizer = tokenizer_of()
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("w20", "")
    with pytest.raises(InvalidData, match="makes no token of the choice 'w20'"):
        choice_questions(CHOICES[:1], tokenizer, 64)


def test_classes_by_likelihood(llama):
    tokenizer = tokenizer_of()
    labels = ("w20 w21", "w22", "w23")
    texts = ["w10 w11", "w12\n", "w13 w14 w15", "w16", "w17"]
    examples = [Labelled(text, labels[at % 3]) for at, text in enumerate(texts)]
    questions = label_questions(examples, labels, tokenizer, 64)
    losses, predicted = [], []
    for text, question in zip(texts, questions, strict=True):
        ids = tokenizer(text).input_ids
        sums = torch.tensor(
            [
                plain(llama, ids + [int(word[1:]) for word in label.split()], len(ids))
                for label in labels
            ]
        )
        losses.append(-float(torch.log_softmax(sums, dim=0)[question.right]))
        predicted.append(int(sums.argmax()))
    found = evaluate_labels(llama, questions, PAD, 2)
    right = [at % 3 for at in range(5)]
    assert found.loss == pytest.approx(sum(losses) / 5, abs=1e-4)
    assert found.accuracy == sum(a == b for a, b in zip(predicted, right, strict=True)) / 5
    assert found.macro_f1 == pytest.approx(f1_score(right, predicted, average="macro"))
    assert (found.samples, found.questions, found.tokens) == (5, 5, None)


def test_macro_f1_is_that_of_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    for classes, count in ((2, 9), (3, 40), (7, 12)):
        right = torch.randint(classes, (count,), generator=generator).tolist()
        predicted = torch.randint(classes, (count,), generator=generator).tolist()
        wanted = f1_score(right, predicted, average="macro", zero_division=0)
        assert macro_f1(predicted, right) == pytest.approx(wanted)
    log_p = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]]))
    found = judge(log_p, [0, 2, 1])
    assert found.loss == pytest.approx(-math.log(0.5 * 0.7 * 0.3) / 3)
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.macro_f1 == pytest.approx((2 / 3 + 0 + 1) / 3)


def masked(adapted):
    return adapted("llama", (2, 3), mask="lora_dropout", mask_rate=0.4)


def test_draws_average_probabilities(adapted):
    """The same masks are drawn by hand: one pass a draw, all rows of one batch."""
    model = masked(adapted).eval()
    rows = [row for row in ROWS if len(row) > 2]
    with measuring(model, draws=3, seed=5):
        found = token_log_probabilities(model, rows, PAD, 8, draws=3)
    ordered = sorted(rows, key=len)
    longest = max(map(len, rows))
    ids = torch.tensor([row + [PAD] * (longest - len(row)) for row in ordered])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ordered])
    torch.manual_seed(5)
    with torch.no_grad(), masks_on(model):
        passes = [
            functional.softmax(model(input_ids=ids, attention_mask=mask).logits, dim=-1)
            for _ in range(3)
        ]
    assert not torch.allclose(passes[0], passes[1])
    mean = torch.stack(passes).mean(dim=0)
    for row, each in zip(rows, found, strict=True):
        of = mean[ordered.index(row)]
        wanted = [math.log(float(of[at - 1, row[at]])) for at in range(1, len(row))]
        assert each.tolist() == pytest.approx(wanted, abs=1e-5)


def test_everything_is_put_back(adapted):
    model = masked(adapted).train()
    for name, module in model.named_modules():
        if name.endswith("layers.1"):
            module.eval()
    modes = {name: module.training for name, module in model.named_modules()}
    assert set(modes.values()) == {True, False}
    ids = torch.tensor([ROWS[1]])
    model(input_ids=ids, attention_mask=torch.ones_like(ids))
    counted = statistics(model)
    torch.manual_seed(11)
    wanted = torch.rand(3)
    torch.manual_seed(11)
    samples = [Sample(row, row) for row in ROWS]
    once = evaluate(model, samples, PAD, draws=2)
    assert once == evaluate(model, samples, PAD, draws=2), "the masks are the same every time"
    assert once.draws == 2
    assert once.loss != evaluate(model, samples, PAD).loss
    assert torch.equal(torch.rand(3), wanted)
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert statistics(model) == counted
    assert not any(each.step.masked_always for each in mixtures(model).values())
    assert torch.is_grad_enabled()


def test_draws_need_masks(llama, adapted):
    for model in (llama, adapted("llama", mask="dropout", mask_rate=0.1)):
        with pytest.raises(NotMeasurable, match="has no LoRA Dropout to draw masks of"):
            evaluate(model, [Sample(ROWS[0], ROWS[0])], PAD, draws=2)


def test_what_is_no_number_is_refused():
    model = FAMILIES["llama"]()
    nn.init.constant_(model.lm_head.weight, math.nan)
    with pytest.raises(NotMeasurable, match="no finite number"):
        evaluate(model, [Sample(ROWS[0], ROWS[0])], PAD)
