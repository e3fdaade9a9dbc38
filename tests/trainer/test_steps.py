"""A whole step through a model: gradients with micro-batches and checkpointing, and counts."""

from collections import Counter

import pytest
import torch
from peft import get_peft_model

from allocator.planner import plan
from analyzer.api import outline
from tests.families import save_family
from tests.trainer.plain import Plain
from tests.trainer.small import micro_batches, planned, small_model, starve
from trainer.balance import Balance, Pool
from trainer.gates import TopK
from trainer.routed import Rule, of_scores
from trainer.tuner import MixtureConfig
from trainer.tuner.facts import mixtures, reset_statistics, statistics, step_of

pytestmark = pytest.mark.filterwarnings(
    "ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning"
)

TOLERANCE = 1e-5
CASES = {
    "topk": {},
    "grouped": {"form": "grouped"},
    "threshold": {"gate": "threshold"},
    "adamole": {"gate": "threshold", "balance": "adamole"},
    "dense": {"gate": "dense"},
    "mola": {"balance": "mola"},
}
CHECKPOINTING = pytest.mark.parametrize(
    "reentrant", [None, False, True], ids=["kept", "recomputed", "reentrant"]
)


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """Modules of a layer differ in size, but for mola's loss, which pools them."""
    each = planned(tmp_path_factory.mktemp("each"))
    even = planned(tmp_path_factory.mktemp("even"), counts=(3, 4), top_ks=(2, 1))
    return {**dict.fromkeys(CASES, each), "mola": even}


def checkpointed(model, reentrant):
    if reentrant is not None:
        model.enable_input_require_grads()
        words = {"use_reentrant": reentrant}
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=words)
    return model


def one_step(model, batches, loss_scale=1.0):
    """As a training loop does it: a backward pass after each micro-batch."""
    step_of(model).begin(micro_batches=len(batches), loss_scale=loss_scale)
    for batch in batches:
        (model(**batch).loss * loss_scale / len(batches)).backward()


def gradients_are(model, wanted):
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, atol=TOLERANCE, rtol=0)


@CHECKPOINTING
@pytest.mark.parametrize("number", [1, 4])
def test_gradients_are_those_of_plain_autograd(plans, reentrant, number):
    model, batches = small_model(plans["topk"]), micro_batches()[:number]
    starve(model)
    wanted = Plain(model).gradients(batches)
    one_step(checkpointed(model, reentrant), batches)
    gradients_are(model, wanted)


@CHECKPOINTING
@pytest.mark.parametrize("case", [case for case in CASES if case != "topk"])
def test_so_they_are_with_every_gate_and_loss(plans, case, reentrant):
    model, batches = small_model(plans[case], **CASES[case]), micro_batches()
    wanted = Plain(model).gradients(batches)
    one_step(checkpointed(model, reentrant), batches)
    gradients_are(model, wanted)


@pytest.mark.parametrize("case", ["topk", "threshold", "adamole", "mola"])
def test_a_lost_balance_loss_would_be_seen_at_every_router(plans, case):
    model, batches = small_model(plans[case], **CASES[case]), micro_batches()
    wanted = Plain(model).gradients(batches)
    without = Plain(model, coefficient=0.0).gradients(batches)
    routers = [name for name in wanted if "router" in name]
    assert len(routers) == sum(each.shape.experts > 1 for each in mixtures(model).values())
    for name in routers:
        assert (wanted[name] - without[name]).abs().max() > 100 * TOLERANCE


@pytest.mark.parametrize("case", ["topk", "grouped", "adamole", "mola"])
def test_a_scaled_loss_has_scaled_gradients(plans, case):
    model, batches = small_model(plans[case], **CASES[case]), micro_batches()[:2]
    wanted = Plain(model).gradients(batches)
    one_step(model, batches, loss_scale=8.0)
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad /= 8.0
    gradients_are(model, wanted)


@CHECKPOINTING
@pytest.mark.parametrize("case", ["topk", "grouped", "threshold"])
def test_each_token_is_counted_once_and_padding_never(plans, case, reentrant):
    model, batches = small_model(plans[case], **CASES[case]), micro_batches()
    plain, passes = Plain(model), Counter()
    plain.gradients(batches)
    for name, mixture in mixtures(model).items():
        mixture.register_forward_pre_hook(lambda *_, name=name: passes.update([name]))
    one_step(checkpointed(model, reentrant), batches)
    each = len(batches) * (1 if reentrant is None else 2)
    assert passes == dict.fromkeys(mixtures(model), each)
    found = statistics(model)
    assert found.keys() == plain.picks.keys()
    number = sum(int(batch["attention_mask"].sum()) for batch in batches)
    assert number < sum(batch["input_ids"].numel() for batch in batches)
    for name, picks in plain.picks.items():
        assert found[name].tokens == number
        assert found[name].load_share == pytest.approx((picks / picks.sum()).tolist())
        assert found[name].active == pytest.approx(float(picks.sum()) / number)


@pytest.fixture
def t5(tmp_path):
    model = save_family("t5", tmp_path)
    made = plan(outline(tmp_path), method="uniform", budget=3, budget_kind="mean")
    return get_peft_model(model, MixtureConfig.from_plan(made)).train()


def pair_of_sides():
    """22 of 27 tokens for the encoder, 9 of 15 for the decoder."""
    mask, decoder = torch.ones(3, 9, dtype=torch.long), torch.ones(3, 5, dtype=torch.long)
    mask[1, 4:], decoder[0, 2:], decoder[2, 2:] = 0, 0, 0
    words = {"input_ids": torch.randint(3, 64, mask.shape), "attention_mask": mask}
    given = {"decoder_input_ids": torch.randint(3, 64, decoder.shape)}
    return {**words, **given, "decoder_attention_mask": decoder}


def counts_by_side(model):
    """Token counts of what reads the encoder's states, and of what reads the decoder's."""
    encoder, decoder = set(), set()
    for name, found in statistics(model).items():
        of_keys = name.endswith(("EncDecAttention.k", "EncDecAttention.v"))
        side = encoder if of_keys or name.startswith("encoder.") else decoder
        side.add(found.tokens)
    return encoder, decoder


def test_encoder_and_decoder_go_by_their_own_masks(t5):
    names = list(statistics(t5))
    assert sum("EncDecAttention" in name for name in names) == 8
    words = pair_of_sides()
    t5(**words)
    assert counts_by_side(t5) == ({22}, {9})
    t5(**words)
    assert counts_by_side(t5) == ({44}, {18})


def test_a_decoder_without_a_mask_counts_all_its_tokens(t5):
    words = pair_of_sides()
    del words["decoder_attention_mask"]
    t5(**words)
    assert counts_by_side(t5) == ({22}, {15})
    reset_statistics(t5)
    t5(**{**words, "attention_mask": None})
    assert counts_by_side(t5) == ({27}, {15})


def test_masks_are_those_of_one_forward_pass(plans):
    model, (first, second, *_) = small_model(plans["topk"]), micro_batches()
    loss = model(**first).loss
    evaluate(model, second)
    loss.backward()
    number = int(first["attention_mask"].sum()) + second["input_ids"].numel()
    assert {found.tokens for found in statistics(model).values()} == {number}
    model(**first)
    number += int(first["attention_mask"].sum())
    assert {found.tokens for found in statistics(model).values()} == {number}


@CHECKPOINTING
@pytest.mark.parametrize("case", ["topk", "mola"])
def test_an_evaluation_before_the_backward_pass_changes_no_gradient(plans, case, reentrant):
    model, (first, second, *_) = small_model(plans[case], **CASES[case]), micro_batches()
    wanted = Plain(model).gradients([first])
    step_of(checkpointed(model, reentrant)).begin(micro_batches=1)
    loss = model(**first).loss
    evaluate(model, second)
    loss.backward()
    gradients_are(model, wanted)


@pytest.mark.parametrize("case", ["topk", "mola"])
def test_several_passes_before_one_backward_pass_keep_apart(plans, case):
    model, batches = small_model(plans[case], **CASES[case]), micro_batches()
    wanted = Plain(model).gradients(batches)
    step_of(model).begin(micro_batches=len(batches))
    (sum(model(**batch).loss for batch in batches) / len(batches)).backward()
    gradients_are(model, wanted)


def test_the_mola_loss_counts_the_picks_of_modules_with_other_k():
    """Twenty tokens at one module of k = 1 and ten of k = 2: shares are of forty picks."""
    balance, pool = Balance("mola", 1.0, "layer"), Pool()
    rule = Rule(TopK(1), balance, 1.0, 1.0, pool, counted_before=False)
    pool.add(torch.tensor([12.0, 8.0, 0.0]), 20.0)
    pool.add(torch.tensor([10.0, 5.0, 5.0]), 10.0)
    found = of_scores(rule, None, None)
    torch.testing.assert_close(found, 3 * torch.tensor([22.0, 13.0, 5.0]) / 40 / 30)


def test_generation_counts_by_its_own_mask(t5):
    """`generate` runs the encoder alone, with the mask that it was given."""
    words = pair_of_sides()
    t5(**words)
    reset_statistics(t5)
    ids, mask = words["input_ids"], torch.ones_like(words["input_ids"])
    mask[0, 1:] = 0
    settings = {"decoder_start_token_id": 0, "max_new_tokens": 1, "do_sample": False}
    t5.generate(input_ids=ids, attention_mask=mask, **settings)
    assert counts_by_side(t5) == ({int(mask.sum())}, {len(ids)})


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_the_whole_model_is_one_graph_under_torch_compile(plans):
    model, (batch, *_) = small_model(plans["topk"]), micro_batches()
    one_step(model, [batch])
    wanted = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    counted = {found.tokens for found in statistics(model).values()}
    model.zero_grad()
    reset_statistics(model)
    torch.compile(model, backend="aot_eager", fullgraph=True)(**batch).loss.backward()
    gradients_are(model, wanted)
    assert {found.tokens for found in statistics(model).values()} == counted


def evaluate(model, batch):
    """Without a mask."""
    with torch.no_grad():
        model.eval()(input_ids=batch["input_ids"])
    model.train()
