"""Other plans made from a plan alone, against those that the planner makes from the model."""

from collections import Counter

import pytest

from allocator.errors import InvalidRequest
from allocator.planner import plan
from allocator.read import read_plan
from allocator.variants import permuted, replan
from analyzer.api import outline
from tests.families import save_family

COUNTS = (3, 1, 4, 2, 5, 1, 3, 2, 4, 1, 3, 2, 6, 4)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The outline of a Llama of two layers with seven modules each."""
    folder = tmp_path_factory.mktemp("llama")
    save_family("llama", folder)
    return outline(folder, hashes=True, cache=folder / "cache")


@pytest.fixture(scope="module")
def encoder_decoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("t5")
    save_family("t5", folder)
    return outline(folder, cache=folder / "cache")


@pytest.mark.parametrize(
    ("method", "parameters"), [("uniform", {}), ("mola", {"shape": "28"}), ("mola", {"shape": "5"})]
)
def test_it_is_the_plan_that_the_model_gives(found, method, parameters):
    words = {"rank": 4, "lora_alpha": 12.0, "top_k": 3, "modules": "q_proj,up_proj"}
    own = plan(found, method="custom", counts=(2, 7), **words)
    made = replan(own, method, **parameters)
    wanted = plan(found, method=method, budget=9, parameters=parameters, **words)
    assert made.digest == wanted.digest
    assert made.layers == wanted.layers
    assert made.trainable_parameters == wanted.trainable_parameters
    assert read_plan(made.to_json()) == made


def test_modules_keep_the_sum_of_their_counts(found):
    """41 over 14 modules is 20.5 a layer, which no uniform plan of the planner's has."""
    own = plan(found, method="custom", counts=COUNTS, per_module=True)
    made = replan(own, "uniform")
    assert sorted(made.counts) == [2] + [3] * 13 == sorted([41 // 14] + [3] * 13)
    assert made.per_module
    even = plan(found, method="custom", counts=(*COUNTS[:-1], 5), per_module=True)
    assert replan(even, "uniform").digest == plan(found, budget=6, method="uniform",
                                                  per_module=True).digest  # fmt: skip


@pytest.mark.parametrize("per_module", [False, True])
def test_a_permutation_keeps_all_but_the_order(found, per_module):
    counts = COUNTS if per_module else (2, 7)
    own = plan(found, method="custom", counts=counts, per_module=per_module)
    made = permuted(own, 0)
    middle = len(counts) // 2
    assert made.counts == counts[middle:] + counts[:middle], "two layers have one other order"
    assert made.trainable_parameters == own.trainable_parameters
    assert made.digest == permuted(own, 0).digest


def test_seeds_draw_different_orders(tmp_path):
    import transformers

    config = transformers.LlamaConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=6, num_attention_heads=4,
        vocab_size=64,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "model")
    counts = (1, 2, 3, 4, 5, 6)
    own = plan(outline(tmp_path / "model"), method="custom", counts=counts)
    orders = Counter(permuted(own, seed).counts for seed in range(40))
    assert all(sorted(order) == list(counts) for order in orders)
    assert len(orders) > 30
    assert counts not in orders
    firsts = Counter(permuted(own, seed).counts[0] for seed in range(300))
    assert min(firsts.values()) > 25, "50 each, less than the 5 standard deviations of chance"


def test_ranks_and_top_k_go_with_their_counts(found):
    words = {"ranks": (8, 2), "top_ks": (1, 3)}
    own = plan(found, method="custom", counts=(2, 7), **words)
    made = permuted(own, 5)
    assert [(each.experts, each.rank, each.top_k) for each in made.modules[::7]] == [
        (7, 2, 3), (2, 8, 1),
    ]  # fmt: skip
    assert read_plan(made.to_json()) == made
    with pytest.raises(InvalidRequest, match="ranks of its own"):
        replan(own, "uniform")


def test_counts_stay_in_their_stack(encoder_decoder):
    """Decoder layers have more modules, so a count there is more parameters."""
    layers = [layer.stack for layer in plan(encoder_decoder, method="uniform", budget=40,
                                            stack="all").layers]  # fmt: skip
    counts = [10 * (stack == "decoder") + number + 1 for number, stack in enumerate(layers)]
    own = plan(encoder_decoder, method="custom", counts=counts, stack="all")
    made = permuted(own, 1)
    assert made.counts != own.counts
    assert made.trainable_parameters == own.trainable_parameters
    for stack in ("encoder", "decoder"):
        pairs = zip(made.layers, own.layers, strict=True)
        mine = [(a.experts, b.experts) for a, b in pairs if a.stack == stack]
        assert sorted(a for a, _ in mine) == sorted(b for _, b in mine)


def test_what_no_plan_can_be(found):
    own = plan(found, method="custom", counts=(3, 3))
    with pytest.raises(InvalidRequest, match="no other order"):
        permuted(own, 0)
    with pytest.raises(InvalidRequest, match="alphalora needs alphas"):
        replan(own, "alphalora")
    with pytest.raises(InvalidRequest, match="shape 'x9' is unknown"):
        replan(own, "mola", shape="x9")
    bare = plan([2.0, 3.0], budget=6)
    with pytest.raises(InvalidRequest, match="names no modules"):
        permuted(bare, 0)
