"""Explanations of hand-made plans: every fact against a computation of its own."""

import re
from math import log

from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import kendalltau

from allocator.explain import explain_plan
from allocator.planner import plan
from allocator.subject import Layer, Subject, Target
from tests.golden import llama2_block_means

LLAMA = (
    ("self_attn.q_proj", (4096, 4096)), ("self_attn.k_proj", (1024, 4096)),
    ("mlp.up_proj", (11008, 4096)),
)  # fmt: skip


def measured(alphas, modules=LLAMA, **words):
    """A plan as if these alphas had been measured in a model of these modules."""
    targets = tuple(Target(name, shape) for name, shape in modules)
    layers = tuple(
        Layer("text", number, targets, alpha, error=alpha / 50)
        for number, alpha in enumerate(alphas)
    )
    subject = Subject(
        layers=layers, values="alpha", model="org/model", revision="c" * 40,
        model_type="llama", weights=("a" * 64, "b" * 64),
    )  # fmt: skip
    return plan(subject, **words)


def by_hand(counts, stack="text", **words):
    """Counts without modules, alphas or a model, as an imported list has them."""
    layers = tuple(Layer(stack, number, ()) for number in range(len(counts)))
    return plan(Subject(layers=layers, values="none"), method="custom", counts=counts, **words)


def words_of(made, topic=None):
    return " ".join(
        sentence.text
        for section in explain_plan(made).sections
        if topic in (None, section.topic)
        for sentence in section.sentences
    )


def commands_of(made):
    return [
        sentence.command
        for section in explain_plan(made).sections
        for sentence in section.sentences
        if sentence.command is not None
    ]


def random_hill(ratio):
    """Hill's alpha over the larger half of the Marchenko-Pastur law, by its density in λ."""
    y = 1 / ratio
    low, high = (1 - y**0.5) ** 2, (1 + y**0.5) ** 2

    def density(x):
        return ((high - x) * (x - low)) ** 0.5 / (2 * 3.141592653589793 * y * x)

    def above(x):
        return quad(density, x, high)[0]

    median = brentq(lambda x: above(x) - 0.5, low + 1e-6, high - 1e-6)
    return 1 + 0.5 / quad(lambda x: density(x) * log(x / median), median, high)[0]


def test_what_a_plan_is():
    made = measured([2.0, 3.0, 4.0], budget=15)
    words = words_of(made, "plan")
    assert "divides 15 LoRA experts over the 3 layers of org/model (llama)." in words
    assert "made for commit cccccccccccc." in words
    assert f"{min(made.counts)} to {max(made.counts)} experts, 5.00 on average" in words
    assert "of rank 8 (lora_alpha 16) beside every adapted module of its layer" in words
    assert "self_attn.q_proj, self_attn.k_proj and mlp.up_proj" in words
    assert "a router picks 2 of them" in words
    per_expert = sum(8 * (out + into) + into for _, (out, into) in LLAMA)
    single = sum(into for _, (_, into) in LLAMA) * made.counts.count(1)
    assert f"makes {15 * per_expert - single:,} trainable parameters" in words
    assert "beta 2.5, estimator hill, aspect none" in words


def test_how_a_budget_was_asked_for():
    assert "as a mean of 5 a layer" in words_of(measured([2, 3], budget=5, budget_kind="mean"))
    asked = measured([2, 3], budget=20e6, budget_kind="parameters")
    assert "asked for as at most 20,000,000 trainable parameters" in words_of(asked)
    assert "the budget came with the method" in words_of(by_hand([1, 2])).lower()
    assert "asked for" not in words_of(measured([2, 3], budget=10))


def test_where_the_weights_are_not_named():
    made = measured([2, 3], budget=10)
    local = made.model_copy(update={"revision": None})
    assert "names no commit, but the sha256 of 2 weight files" in words_of(local, "plan")
    bare = local.model_copy(update={"weights": ()})
    assert "neither a commit nor the sha256" in words_of(bare, "plan")
    assert "of a model that it does not name" in words_of(by_hand([1, 2]), "plan")


def test_a_plan_that_rises():
    alphas = [2.0, 2.5, 3.0, 4.0]
    made = measured(alphas, budget=20)
    words = words_of(made, "reasons")
    shares = [20 * alpha**2.5 / sum(a**2.5 for a in alphas) for alpha in alphas]
    assert (
        f"most experts are in layer 3: {made.counts[3]} (alpha 4.000, share {shares[3]:.2f})"
        in (words)
    )
    assert (
        f"fewest experts are in layer 0: {made.counts[0]} (alpha 2.000, share {shares[0]:.2f})"
        in (words)
    )
    ratio = (4.0 / 2.0) ** 2.5
    assert (
        f"2.00 times the smallest; to the power of 2.5 this makes the largest share {ratio:.2f}"
        in (words)
    )
    assert "counts only rise or stay" in words
    assert "bound" not in words
    falling = words_of(measured(alphas[::-1], budget=20), "reasons")
    assert "counts only fall or stay" in falling


def test_a_plan_that_wavers_has_a_rank_correlation():
    alphas = llama2_block_means()
    made = measured(alphas, budget=160)
    tau = kendalltau(range(32), made.counts).statistic
    assert f"counts rise on the whole (rank correlation with depth {tau:.2f})" in words_of(made)
    falling = measured(alphas[::-1], budget=160)
    assert f"counts fall on the whole (rank correlation with depth {-tau:.2f})" in words_of(falling)
    up_and_down = words_of(measured([2.0, 4.0, 4.0, 2.0], budget=20))
    assert "counts neither rise nor fall on the whole (rank correlation with depth 0.00)" in (
        up_and_down
    )


def test_bounds_that_hold_shares():
    words = words_of(measured([1.0, 2.0, 6.0], budget=30), "reasons")
    free = [30 * a**2.5 / sum(b**2.5 for b in (1.0, 2.0, 6.0)) for a in (1.0, 2.0, 6.0)]
    assert free[0] < 1 < free[1]
    assert "The share is held at a bound, 1, in layer 0." in words
    assert f"largest share {6.0**2.5:.2f} times the smallest, before bounds" in words
    cut = words_of(measured([2.0, 3.0, 6.0], budget=30, max_experts=20))
    assert "The share is held at a bound, 20, in layer 2." in cut
    assert "At the bound of 20 experts: layer 2." in cut
    both = words_of(measured([2.0, 3.0, 6.0], budget=30, max_experts=12))
    assert "The shares are held at a bound, 12, in layers 1-2." in both, "13.2 once 2 is cut"
    assert "held" not in words_of(measured([2.0, 3.0, 6.0], budget=30, max_experts=30))
    two = words_of(measured([1.0, 1.0, 9.0], budget=30), "reasons")
    assert "The shares are held at a bound, 1, in layers 0-1." in two


def test_a_flat_plan():
    made = measured([3.0, 3.0, 3.0], budget=15)
    words = words_of(made)
    assert "Each layer gets 5 experts." in words
    assert "Every layer gets the same, 5 experts." in words
    assert "Every layer has the same alpha." in words
    assert "Alphas lie at 3.000." in words
    assert "most experts" not in words
    assert "This plan is uniform; one by the depth alone" in words


def test_one_layer():
    words = words_of(measured([3.0], budget=1))
    assert "divides 1 LoRA expert over the 1 layer of" in words
    assert "Each layer gets 1 expert." in words
    assert "Every layer has one expert, so there is no router: this is plain LoRA." in words
    assert "a router picks" not in words
    assert "depth" not in words_of(measured([3.0], budget=3), "reasons")


def test_beta_0_and_scores():
    assert "beta is 0, so every share is the same" in words_of(
        measured([2.0, 3.0], budget=5, beta=0)
    ).replace("Beta", "beta")
    words = words_of(plan([1.0, 2.0], budget=6))
    assert "Each layer was given a score; what it measures is not recorded." in words
    assert "proportional to score to the power of beta, which is 2.5" in words
    assert "Scores run from 1.000 to 2.000" in words
    assert "alphalora, with given scores in the place of alphas" in words
    assert "alpha, is read from each weight matrix" not in words
    assert "results with alphas do not carry over" in words
    assert "on a par" not in words
    assert "The scores in the plan play no part." in words_of(
        plan([1.0, 2.0], method="uniform", budget=6)
    )


def test_methods_that_measure_nothing(analysis):
    shaped = plan(analysis, method="mola", shape="triangle")
    words = words_of(shaped)
    assert "shape triangle (8 6 4 2) are spread over the depth" in words
    assert "Nothing was measured for these counts" in words
    assert "MoLA's best shape differs by model" in words
    assert "looks less trained, and" not in words
    assert "standard error" not in words
    assert "--stability" not in " ".join(commands_of(shaped))
    uneven = words_of(plan(analysis, method="uniform", budget=20))
    assert "20 experts do not divide evenly by 6 layers" in uneven
    assert "The most experts are in layers 0-1: 4 each." in uneven
    assert "This plan is uniform; one by alpha, with the same budget of 20 experts" in uneven
    assert "baseline to beat:" not in uneven
    assert "divide evenly" not in words_of(plan(analysis, method="uniform", budget=18))


def test_an_imported_list():
    words = words_of(by_hand([1, 2, 3]))
    assert "The counts were given one by one; the plan does not say why." in words
    assert "not known, since the plan has no module shapes" in words
    assert "no result speaks for them" in words
    assert "(MODEL stands for your model)" in words
    assert "One expert, hence no router but plain LoRA: layer 0." in words


def test_the_released_rule_and_its_repair():
    made = plan(llama2_block_means(), budget=160, method="alphalora_as_released")
    words = words_of(made)
    assert words.count("the whole rounding difference on one place") == 1
    assert "one place: layer 20 has 6 experts for a share of 8.31." in words
    assert "one place" not in words_of(plan(llama2_block_means(), budget=160))


def test_per_module(analysis):
    made = plan(analysis, budget=30, per_module=True)
    words = words_of(made)
    assert "divides 180 LoRA experts over 36 adapted modules in 6 layers" in words
    assert (
        "The budget counts experts by layer, 30 in all; over the modules that makes 180." in words
    )
    assert all("--per-module" in each for each in commands_of(made) if "compare" not in each)
    by_name = {}
    for layer in made.layers:
        for module in layer.modules:
            by_name.setdefault(module.name, []).append(module.experts)
    means = sorted(((sum(c) / 6, name) for name, c in by_name.items()), reverse=True)
    told = re.search(r"from most to fewest: (.*?)\. [A-Z]|from most to fewest: (.*)\.$", words)
    assert told is not None
    for mean, name in means:
        assert f"{name} {mean:.2f}" in words
    assert words.index(f"{means[0][1]} {means[0][0]:.2f}") < words.index(
        f"{means[-1][1]} {means[-1][0]:.2f}"
    )
    assert "between kinds of modules may be shape, not training" in words
    most = max(
        (module.experts, layer.layer, module.name) for layer in made.layers
        for module in layer.modules
    )  # fmt: skip
    assert f"in layer {most[1]}: {most[0]}" in words or f": {most[0]} each" in words


def test_shapes_and_what_random_matrices_read():
    made = measured([2.7, 2.9], budget=10)
    words = words_of(made)
    low, high = random_hill(1.0001), random_hill(4)
    assert f"{low:.2f} against {high:.2f} if random" in words
    assert "(long side over short side: 1 to 4)" in words
    assert "All layers have the same shapes" in words
    expected = (random_hill(1.0001) + random_hill(4) + random_hill(11008 / 4096)) / 3
    assert f"of these shapes would give a layer an alpha of {expected:.2f};" in words
    assert "close to that, as some are here" in words
    far = words_of(measured([1.7, 1.9], budget=10))
    assert f"an alpha of {expected:.2f}. " in far
    weighted = measured([1.7, 1.9], budget=10, weighting="parameters")
    sizes = [out * into for _, (out, into) in LLAMA]
    mean = sum(
        size * random_hill(ratio)
        for size, ratio in zip(sizes, (1.0001, 4, 11008 / 4096), strict=True)
    ) / sum(sizes)
    assert f"an alpha of {mean:.2f}." in words_of(weighted)
    assert not any("--aspect marchenko_pastur" in command for command in commands_of(made))
    odd = tuple(
        layer.model_copy(update={"modules": layer.modules[: 2 + layer.layer]})
        for layer in made.layers
    )
    unlike = made.model_copy(update={"layers": odd})
    assert "do not all have the same shapes" in words_of(unlike)
    assert any("--aspect marchenko_pastur" in command for command in commands_of(unlike))


def test_shapes_are_no_matter_where_they_are_equal_corrected_or_not_known():
    square = measured([2.0, 3.0], [("q", (64, 64)), ("o", (64, 64))], budget=10)
    assert "differ in shape" not in words_of(square)
    assert "an alpha of 2.12" in words_of(square)
    corrected = measured([0.8, 0.9], budget=10, aspect="marchenko_pastur")
    assert "differ in shape" not in words_of(corrected)
    assert "so 1 is what no training at all would give" in words_of(corrected)
    scanned = measured([2.0, 3.0], budget=10, estimator="ks")
    assert "differ in shape" not in words_of(scanned)
    fused = [("attn.c_attn", (192, 64)), ("attn.c_proj", (64, 64))]
    words = words_of(measured([2.0, 3.0], fused, budget=10))
    assert "differ in shape" not in words, "c_attn stands for three square matrices"
    assert "random matrices" not in words.lower()
    for odd in ((0, 64), (1, 10**9), (-4, 4)):
        explain_plan(measured([2.0, 3.0], [("q", odd), ("o", (64, 64))], budget=10))
