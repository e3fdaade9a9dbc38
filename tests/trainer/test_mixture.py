"""Outputs and gradients of a mixture, against the loop over its experts."""

import random

import pytest
import torch
from torch import nn

from tests.trainer.naive import naive
from trainer.balance import Balance
from trainer.errors import InvalidMixture
from trainer.masks import Mask
from trainer.mixture import Mixture, MixtureLinear
from trainer.shape import MixtureShape

LOSSES = {"topk": ("sound", "none"), "threshold": ("sound", "adamole"), "dense": ("sound",)}
CASES = [(gate, loss) for gate, losses in LOSSES.items() for loss in losses]


def make(seed, gate="topk", loss="none", **words):
    """A mixture of random sizes, with B that is not zero."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    experts = draw.randint(1, 7)
    shape = MixtureShape(experts, draw.randint(1, experts), draw.randint(1, 9), draw.uniform(1, 32))
    sizes = draw.randint(experts, 40), draw.randint(1, 40)
    mixture = Mixture(*sizes, shape, gate=gate, balance=Balance(loss, 0.3), **words)
    nn.init.normal_(mixture.experts_B)
    return mixture


def gradients_agree(mixture, x, base, gate, tokens=None, tolerance=1e-5):
    """Of the sum of outputs with random weights, and the balance loss."""
    output = mixture(x, base)
    weights = torch.randn_like(output)
    (output * weights).sum().backward()
    leaves = [x, base, *mixture.parameters()]
    found = [leaf.grad for leaf in leaves]
    expected = naive(mixture, x, base, gate=gate, tokens=tokens)
    torch.testing.assert_close(output, expected.output, atol=tolerance, rtol=tolerance)
    total = (expected.output * weights).sum() + expected.loss
    wanted = torch.autograd.grad(total, leaves, allow_unused=True)
    for leaf, got, want in zip(leaves, found, wanted, strict=True):
        want = torch.zeros_like(leaf) if want is None else want
        got = torch.zeros_like(leaf) if got is None else got
        torch.testing.assert_close(got, want, atol=tolerance * 10, rtol=tolerance)


def inputs(mixture, *shape):
    x = torch.randn(*shape, mixture.in_features, requires_grad=True)
    return x, torch.randn(*shape, mixture.out_features, requires_grad=True)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("gate", "loss"), CASES)
def test_outputs_and_gradients_are_those_of_the_loop(gate, loss, seed):
    mixture = make(seed, gate, loss)
    gradients_agree(mixture, *inputs(mixture, 3, 11), gate)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("gate", "loss"), CASES)
def test_padding_counts_for_nothing_in_the_loss(gate, loss, seed):
    mixture = make(seed, gate, loss)
    tokens = torch.ones(4, 9, dtype=torch.long)
    tokens[0, 5:], tokens[1, 2:], tokens[2, :3], tokens[3, :] = 0, 0, 0, 0
    mixture.step.see({"main": tokens})
    gradients_agree(mixture, *inputs(mixture, 4, 9), gate, tokens)


@pytest.mark.parametrize("seed", range(6))
def test_the_grouped_form_is_the_same(seed):
    torch.manual_seed(seed)
    shape = MixtureShape(2 + seed, 1 + seed // 2, 8 * (1 + seed % 2), 16)
    mixture = Mixture(24, 40, shape, balance=Balance("sound", 0.3), form="grouped")
    nn.init.normal_(mixture.experts_B)
    assert mixture.grouped
    gradients_agree(mixture, *inputs(mixture, 3, 11), "topk", tolerance=2e-5)


@pytest.mark.parametrize("form", ["dense", "grouped"])
def test_an_expert_that_nobody_picks_has_zero_gradients(form):
    """Zero, not None: distributed training waits for every parameter."""
    torch.manual_seed(0)
    mixture = Mixture(8, 8, MixtureShape(4, 1, 8, 16), form=form)
    nn.init.normal_(mixture.experts_B)
    with torch.no_grad():
        mixture.router.zero_()
        mixture.router[2] += 5.0
    x = torch.rand(6, 8, requires_grad=True)
    gradients_agree(mixture, x, torch.zeros(6, 8, requires_grad=True), "topk")
    assert mixture.experts_A.grad[2].abs().sum() > 0
    assert mixture.experts_A.grad[[0, 1, 3]].abs().sum() == 0
    assert mixture.counter.read().load_share == (0, 0, 1, 0)


@pytest.mark.parametrize("gate", ["topk", "threshold", "dense"])
def test_gradients_in_double_precision_by_finite_differences(gate):
    """Without the loop: autograd's own numerical check of the layer's closed forms."""
    torch.manual_seed(3)
    mixture = Mixture(5, 4, MixtureShape(3, 2, 2, 4), gate=gate, dtype=torch.float64)
    nn.init.normal_(mixture.experts_B)
    names = [name for name, _ in mixture.named_parameters()]

    def call(x, base, *values):
        parameters = dict(zip(names, values, strict=True))
        return torch.func.functional_call(mixture, parameters, (x, base))

    values = [value.detach().clone().requires_grad_() for value in mixture.parameters()]
    x = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    base = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(call, (x, base, *values))


def test_a_threshold_that_nothing_exceeds_adds_nothing():
    mixture = Mixture(6, 6, MixtureShape(3, 1, 2, 4), gate="threshold", threshold_max=1.0)
    nn.init.normal_(mixture.experts_B)
    with torch.no_grad():
        mixture.threshold_bias.fill_(50.0)
    x, base = inputs(mixture, 5)
    output = mixture(x, base)
    assert torch.equal(output, base)
    output.sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in mixture.parameters())
    assert mixture.counter.read().active == 0


@pytest.mark.parametrize("experts", [1, 4])
def test_element_wise_dropout(experts):
    """The experts see what functional.dropout leaves; the router sees everything."""
    mask = Mask("dropout", 0.4)
    mixture = Mixture(10, 6, MixtureShape(experts, 1, 3, 6), mask=mask)
    nn.init.normal_(mixture.experts_B)
    x, base = inputs(mixture, 20)
    torch.manual_seed(5)
    output = mixture(x, base)
    torch.manual_seed(5)
    kept = nn.functional.dropout(x, 0.4)
    plain = Mixture(10, 6, MixtureShape(experts, 1, 3, 6))
    plain.load_state_dict(mixture.state_dict())
    if experts == 1:
        torch.testing.assert_close(output, plain(kept, base))
    else:
        gates, _, _ = route_of(plain, x)
        each = [2 * kept @ plain.experts_A[e].T @ plain.experts_B[e] for e in range(experts)]
        mixed = sum(gates[:, e : e + 1] * each[e] for e in range(experts))
        torch.testing.assert_close(output, base + mixed)
    wanted = torch.autograd.grad(output.sum(), [x, *mixture.parameters()])
    assert all(torch.isfinite(each).all() for each in wanted)
    mixture.eval()
    assert torch.equal(mixture(x, base), plain(x, base))


def route_of(mixture, x):
    from tests.trainer.naive import route

    return route(mixture, x, "topk")


@pytest.mark.parametrize("experts", [1, 4])
@pytest.mark.parametrize("rescale", [False, True])
def test_lora_dropout(experts, rescale):
    """Columns of A and rows of B vanish, the same for all experts and tokens."""
    mask = Mask("lora_dropout", 0.5, rescale)
    mixture = Mixture(16, 12, MixtureShape(experts, 1, 3, 3), mask=mask)
    nn.init.normal_(mixture.experts_B)
    x, base = torch.randn(30, 16), torch.zeros(30, 12)
    torch.manual_seed(9)
    output = mixture(x, base)
    torch.manual_seed(9)
    columns, rows = torch.rand(16) < 0.5, torch.rand(12) < 0.5
    factor = 4.0 if rescale else 1.0
    plain = Mixture(16, 12, MixtureShape(experts, 1, 3, 3))
    plain.load_state_dict(mixture.state_dict())
    with torch.no_grad():
        plain.experts_A *= columns * factor
        plain.experts_B *= rows
    torch.testing.assert_close(output, plain(x, base))
    assert 0 < columns.sum() < 16
    assert output[:, ~rows].abs().sum() == 0


def test_a_half_precision_base_with_float32_experts():
    torch.manual_seed(0)
    mixture = Mixture(16, 12, MixtureShape(4, 2, 4, 8))
    nn.init.normal_(mixture.experts_B)
    x, base = torch.randn(9, 16).bfloat16(), torch.randn(9, 12).bfloat16()
    output = mixture(x, base)
    assert output.dtype == torch.bfloat16
    exact = naive(mixture, x.float(), base.float(), gate="topk").output
    torch.testing.assert_close(output, exact.bfloat16())


def test_under_autocast_it_computes_in_half_precision():
    torch.manual_seed(0)
    mixture = Mixture(16, 12, MixtureShape(4, 2, 4, 8), balance=Balance("sound", 0.1))
    nn.init.normal_(mixture.experts_B)
    x, base = torch.randn(9, 16, requires_grad=True), torch.randn(9, 12).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        output = mixture(x, base)
    assert output.dtype == torch.bfloat16
    output.float().sum().backward()
    half = Mixture(16, 12, MixtureShape(4, 2, 4, 8), dtype=torch.bfloat16)
    half.load_state_dict(mixture.state_dict())
    assert torch.equal(output, half(x.bfloat16(), base))
    assert mixture.experts_A.grad.dtype == torch.float32


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize(("gate", "loss"), CASES)
def test_one_graph_under_torch_compile(gate, loss):
    torch.manual_seed(0)
    mixture = Mixture(16, 12, MixtureShape(4, 2, 4, 8), gate=gate, balance=Balance(loss, 0.3))
    nn.init.normal_(mixture.experts_B)
    x, base = inputs(mixture, 9)
    expected = mixture(x, base)
    wanted = torch.autograd.grad(expected.square().sum(), [x, *mixture.parameters()])
    before = mixture.counter.read()
    compiled = torch.compile(mixture, fullgraph=True, backend="aot_eager")
    found = compiled(x, base)
    torch.testing.assert_close(found, expected)
    got = torch.autograd.grad(found.square().sum(), [x, *mixture.parameters()])
    torch.testing.assert_close(got, wanted)
    assert mixture.counter.read().tokens == 2 * before.tokens


def test_statistics_are_what_the_router_did():
    torch.manual_seed(0)
    mixture = Mixture(16, 12, MixtureShape(5, 2, 4, 8))
    batches = [torch.randn(3, 7, 16), torch.randn(2, 4, 16)]
    for batch in batches:
        mixture(batch, torch.zeros(*batch.shape[:-1], 12))
    tokens = torch.cat([batch.flatten(0, 1) for batch in batches])
    gates, active, probabilities = route_of(mixture, tokens)
    found = mixture.counter.read()
    assert found.tokens == 29
    assert found.active == pytest.approx(2)
    assert found.load_share == pytest.approx((active.sum(0) / active.sum()).tolist())
    assert found.mean_gate == pytest.approx(gates.mean(0).tolist())
    assert found.mean_probability == pytest.approx(probabilities.mean(0).tolist())
    shares = active.sum(0) / active.sum() * probabilities.mean(0).detach()
    assert found.imbalance == pytest.approx(5 * float(shares.sum()))
    entropy = torch.distributions.Categorical(probabilities.detach()).entropy().mean()
    assert found.entropy == pytest.approx(float(entropy))
    mixture.counter.reset()
    assert mixture.counter.read().tokens == 0


def test_a_pick_whose_share_vanishes_still_counts():
    mixture = Mixture(2, 2, MixtureShape(3, 2, 8, 8))
    with torch.no_grad():
        mixture.router.copy_(torch.tensor([[200.0, 0.0], [0.0, 0.0], [-200.0, 0.0]]))
    mixture(torch.tensor([[1.0, 0.0]]).repeat(10, 1), torch.zeros(10, 2))
    found = mixture.counter.read()
    assert (found.tokens, found.mean_gate, found.load_share) == (10, (1, 0, 0), (0.5, 0.5, 0))


def test_a_pass_in_inference_mode_leaves_it_trainable():
    mixture = Mixture(4, 4, MixtureShape(3, 2, 8, 8))
    with torch.inference_mode():
        mixture(torch.randn(5, 4), torch.zeros(5, 4))
    mixture(torch.randn(5, 4), torch.zeros(5, 4)).sum().backward()
    assert mixture.counter.read().tokens == 10
    mixture.counter.reset()
    assert mixture.counter.read().tokens == 0


def test_a_mask_of_other_sizes_says_nothing():
    """Tokens without padding, run together: their number may divide by the batch by chance."""
    mixture = Mixture(4, 4, MixtureShape(3, 2, 8, 8))
    mixture.step.see({"main": torch.tensor([[1] * 6, [1, 1, 1, 1, 0, 0]])})
    mixture(torch.randn(10, 4), torch.zeros(10, 4))
    assert mixture.counter.read().tokens == 10
    mixture.counter.reset()
    mixture(torch.randn(2, 3, 4), torch.zeros(2, 3, 4))
    assert mixture.counter.read().tokens == 4, "the last three positions"


def test_a_mixture_beside_a_plain_linear_layer():
    base = nn.Linear(8, 6)
    layer = MixtureLinear(base, Mixture(8, 6, MixtureShape(3, 2, 2, 4)))
    x = torch.randn(4, 8)
    assert torch.equal(layer(x), base(x)), "B begins as zeros"
    assert not base.weight.requires_grad
    assert len([p for p in layer.parameters() if p.requires_grad]) == 3


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((0, 1, 4, 8), "experts is 0"),
        ((2, 3, 4, 8), "top_k is 3, but there are 2 experts"),
        ((2, 1, 0, 8), "rank is 0"),
        ((2, 1, 4, 0), "lora_alpha is 0"),
        ((2.5, 1, 4, 8), "experts is 2.5"),
    ],
)
def test_shapes_that_cannot_be(shape, message):
    with pytest.raises(InvalidMixture, match=message):
        MixtureShape(*shape)


def test_a_grouped_form_that_cannot_be():
    with pytest.raises(InvalidMixture, match="use form='dense'"):
        Mixture(8, 8, MixtureShape(4, 2, 3, 8), form="grouped")
    with pytest.raises(InvalidMixture, match="use form='dense'"):
        Mixture(8, 8, MixtureShape(4, 2, 8, 8), form="grouped", gate="dense")
    with pytest.raises(InvalidMixture, match="0 ≤ rate < 1"):
        Mask("dropout", 1.0)
