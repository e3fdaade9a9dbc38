"""Explanations of hand-made plans: every fact against a computation of its own."""

import json
import re
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import kendalltau

from allocator.compare import compare_plans
from allocator.errors import AllocatorError, InvalidRequest
from allocator.explain import explain_plan
from allocator.explanation import Explanation
from allocator.plan import Alternative, Scatter, Spread
from allocator.planner import plan
from allocator.subject import Layer, Subject, Target
from analyzer.api import analyze
from analyzer.outline import Skipped
from tests.golden import llama2_block_means

LLAMA = (
    ("self_attn.q_proj", (4096, 4096)), ("self_attn.k_proj", (1024, 4096)),
    ("mlp.up_proj", (11008, 4096)),
)  # fmt: skip


@pytest.fixture(scope="module")
def analysis(minilm, tmp_path_factory):
    return analyze(minilm, cache=tmp_path_factory.mktemp("cache"))


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


def test_layers_of_different_shapes():
    layers = tuple(
        Layer("text", number, (Target("q", shape), Target("o", (64, 64))), 2.0 + number)
        for number, shape in enumerate([(64, 64), (256, 64)])
    )
    words = words_of(plan(Subject(layers=layers, values="alpha", model="m"), budget=10))
    assert "part of their difference may be shape" in words
    assert f"an alpha of 2.12 to {(random_hill(4) + random_hill(1.0001)) / 2:.2f}" in words


def test_other_estimators():
    made = measured([2.0, 3.0, 4.0], budget=15)
    one, two, three = made.counts
    made = made.model_copy(
        update={
            "stability": (
                Alternative(estimator="ks", status="ok", counts=(one, three, two), changed=2),
                Alternative(
                    estimator="hill", weights="bfloat16", status="ok", counts=made.counts, changed=0
                ),
                Alternative(estimator="peak", status="needs_float64"),
                Alternative(estimator="peak_as_released", status="no_fit"),
            )
        }
    )
    words = words_of(made, "certainty")
    assert (
        f"With alpha by ks instead, 2 of 3 layers would get another count: {one} {three} {two}."
        in (words)
    )
    assert "With the weights rounded to bfloat16 (alpha by hill), no count would change." in words
    assert "By all of these, layer 0 has the same count." in words
    assert "Not known: the counts by peak, since that takes spectra in float64." in words
    assert "Not known: the counts by peak_as_released, since a layer has no fit there." in words
    assert any("--precision float64" in command for command in commands_of(made))


def scattered(source, spreads, **words):
    made = measured([2.0, 3.0, 4.0], budget=15)
    scatter = Scatter(
        source=source, note="", draws=100, seed=0,
        spreads=tuple(Spread(standard_error=0.1, counts=c, kept=k) for c, k in spreads), **words,
    )  # fmt: skip
    return made.model_copy(update={"scatter": (scatter,)})


def test_draws():
    counts = measured([2.0, 3.0, 4.0], budget=15).counts
    spreads = [
        ({counts[0]: 95, counts[0] + 1: 5}, 0.95),
        ({counts[1]: 60, counts[1] + 1: 38, 99: 2}, 0.6),
        ({counts[2] - 1: 70, counts[2]: 30}, 0.3),
    ]
    words = words_of(scattered("nominal", spreads, kept=0.25), "certainty")
    assert "In 100 draws with every alpha drawn within its nominal standard error" in words
    assert "(it takes eigenvalues for independent draws, and since they repel each other" in words
    assert "25 % give this very plan" in words
    assert "In at least 90 % of them, layer 0 keeps its count." in words
    assert (
        f"layer 2 ({counts[2] - 1} in 70 % and {counts[2]} in 30 %) and "
        f"layer 1 ({counts[1]} in 60 % and {counts[1] + 1} in 38 %)."
    ) in words
    assert "99" not in words
    assert "--stability" not in words_of(scattered("nominal", spreads, kept=0.25))
    resampled = words_of(scattered("resampling", spreads, kept=0.001), "certainty")
    assert "random sub-matrices with half of the rows and columns, less than 1 % give" in resampled
    assert "repel" not in resampled.split("sub-matrices")[1]
    sure = [({count: 100}, 1.0) for count in counts]
    words = words_of(scattered("resampling", sure, kept=1.0), "certainty")
    assert "In at least 90 % of them, every layer keeps its count." in words
    assert "less sure" not in words.lower()
    failed = scattered("resampling", [], status="no_fit")
    assert "There are no resampling draws: a layer has no fit there." in words_of(failed)


def test_without_draws_the_command_that_makes_them_is_told():
    made = measured([2.0, 3.0], budget=10, beta=3, rank=4)
    assert (
        f"tailora plan org/model@{'c' * 40} -b 10 --rank 4 --beta 3.0 --stability all"
        in commands_of(made)
    )


def test_what_stands_out():
    made = measured([2.0, 3.0], budget=10)
    skipped = [
        Skipped(tensor=f"t{n}", dtype="F32", shape=(2, 2), code=code, reason="")
        for n, code in enumerate(["bias", "expert", "expert", "router", "quantised", "outside"])
    ]
    words = words_of(
        made.model_copy(
            update={
                "skipped": tuple(skipped),
                "warnings": tuple(f"q_proj {n} failed" for n in range(7)),
                "provenance": made.provenance.model_copy(update={"verified": False}),
            }
        ),
        "unusual",
    )
    assert "The plan carries 7 warnings: Warning: q_proj 0 failed." in words
    assert "There are 2 more in the document." in words
    assert "2 tensors of the model's own experts" in words
    assert "1 tensor of the model's own routers" in words
    assert "1 tensor whose format cannot be dequantised" in words
    assert "bias" not in words
    assert "without a check of their sha256" in words
    square = measured([2.0, 3.0], [("q", (64, 64))], budget=10)
    assert words_of(square, "unusual") == "Nothing in this plan stands out."


def test_places_name_their_stack():
    layers = tuple(
        Layer(stack, number, (Target("q", (64, 64)),), alpha)
        for stack, number, alpha in [("encoder", 0, 2.0), ("encoder", 1, 2.5), ("decoder", 0, 4.0)]
    )
    words = words_of(plan(Subject(layers=layers, values="alpha", model="m"), budget=12))
    assert "most experts are in layer 0 of decoder:" in words


def test_evidence_names_its_sources():
    words = words_of(measured([2.0, 3.0], budget=10), "evidence")
    for fact in ("2410.10054", "2505.23811", "2402.08562", "80.51", "80.45", "80.97", "74.77",
                 "81.76 to 82.27", "0.4 to 2.5 points"):  # fmt: skip
        assert fact in words
    assert "takes alpha by peak_as_released where this plan takes hill" in words
    released = measured(
        [2.0, 3.0], budget=10, method="alphalora_as_released", estimator="peak_as_released"
    )
    assert "so its counts need not be these" not in words_of(released, "evidence")


def test_a_method_that_is_not_known():
    made = measured([2.0, 3.0], budget=10).model_copy(update={"method": "tomorrow"})
    words = words_of(made)
    assert "tomorrow, is not one that this version knows" in words
    assert "Nothing is known here of method tomorrow." in words
    assert "looks less trained" not in words


def test_a_plan_without_layers():
    made = measured([2.0, 3.0], budget=10).model_copy(update={"layers": ()})
    with pytest.raises(InvalidRequest, match="no layers to explain"):
        explain_plan(made)


def test_in_short():
    """The draws over halves decide, where there are both; uniform plans need no warning."""
    made = measured([2.0, 3.0, 4.0], budget=15)
    assert "is not in this plan yet" in words_of(made, "short")
    assert "train both before you trust this one" in words_of(made, "short")
    counts = made.counts
    sure = [({count: 100}, 1.0) for count in counts]
    open_one = [*sure[:2], ({counts[2]: 60, counts[2] + 1: 40}, 0.6)]
    firm = scattered("resampling", open_one, kept=0.6)
    nominal = scattered("nominal", sure, kept=1.0)
    both = made.model_copy(update={"scatter": (*nominal.scatter, *firm.scatter)})
    assert "2 of 3 counts hold in at least 90 % of the resampling draws." in words_of(both, "short")
    assert "3 of 3 counts" in words_of(nominal, "short")
    uniform = by_hand([3, 3, 3])
    assert words_of(uniform, "short") == "By custom, each layer gets 3 experts."


def test_the_document_reads_back():
    found = explain_plan(measured([2.0, 3.0], budget=10))
    assert Explanation.model_validate_json(found.model_dump_json()) == found
    assert json.loads(found.model_dump_json())["schema"] == "tailora.explanation/1"
    assert [section.topic for section in found.sections] == [
        "short", "plan", "reasons", "certainty", "evidence", "unusual", "next",
    ]  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(
    alphas=st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=9),
    mean=st.integers(1, 9),
    method=st.sampled_from(["alphalora", "alphalora_as_released", "uniform", "mola", "custom"]),
    estimator=st.sampled_from(["hill", "ks", "peak"]),
    beta=st.sampled_from([0, 0.5, 2.5, 40]),
    kind=st.sampled_from(["model", "scores", "list"]),
    kept=st.none() | st.floats(0, 1),
)
def test_no_sentence_says_nothing(alphas, mean, method, estimator, beta, kind, kept):
    budget = mean * len(alphas)
    own = {"beta": beta} if method.startswith("alphalora") else {}
    if method == "custom":
        own = {"counts": [mean] * len(alphas)}
    options = {"method": method, "budget": budget, **own}
    try:
        if kind == "model":
            made = measured(alphas, estimator=estimator, **options)
        elif kind == "scores":
            made = plan(alphas, **options)
        else:
            made = by_hand([mean] * len(alphas), budget=budget)
    except AllocatorError:
        return
    if kept is not None:
        spread = Spread(standard_error=0, counts={mean: 3, mean + 1: 2}, kept=0.6)
        scatter = Scatter(source="nominal", note="", draws=5, seed=1, kept=kept,
                          spreads=(spread,) * len(alphas))  # fmt: skip
        made = made.model_copy(update={"scatter": (scatter,)})
    for section in explain_plan(made).sections:
        assert section.sentences
        for sentence in section.sentences:
            for told in (sentence.text, sentence.command or ""):
                assert not re.search(r"None|\bnan\b|\binf\b|\[\]|\(\)|  |: \.|, ,|–", told), told
            assert re.match(r"[A-Z0-9].*[.:]$", sentence.text), sentence.text
            assert not re.search(r"\b1 (experts|layers|modules|tensors|draws)\b", sentence.text)


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from(["beta", "shape", "estimator", "aspect", "weighting", "min_experts",
                          "max_experts", "rank", "ranks", "modules", "lora_alpha", "stack"]),
    value=st.sampled_from([None, 0, -1, "", "x\n[b]", [], {}, [None], {"a": 1}, True, 1e308]),
    large=st.booleans(),
)  # fmt: skip
def test_documents_from_strangers_are_explained_and_compared(name, value, large):
    """Parameters of any type fit the schema; none makes a sentence fail."""
    made = measured([1.0, 2.0, 6.0], budget=30)
    layers = made.layers
    if large:
        layers = (layers[0].model_copy(update={"experts": 10**30}), *layers[1:])
    parameters = {**made.parameters, name: value}
    strange = made.model_copy(update={"parameters": parameters, "layers": layers})
    assert len(explain_plan(strange).sections) == 7
    assert len(compare_plans([made, strange]).differences) == 1
    assert "\n" not in words_of(strange)


def test_windows_are_explained_and_proposed_again():
    windows = {"rows": 64, "ratio": 2.0, "starts": 5}
    plain = measured([2.0, 3.0], budget=10)
    made = plain.model_copy(
        update={"parameters": {**plain.parameters, "aspect": "subsample", "windows": windows}}
    )
    assert "windows of one shape" in words_of(made)
    assert "windows of one shape" not in words_of(plain)
    words = "--aspect subsample --sample-rows 64 --sample-ratio 2.0 --sample-starts 5"
    assert any(words in command and "--estimator ks" in command for command in commands_of(made))


def test_the_nominal_error_is_judged_by_estimator():
    """Measured: too wide by hill, too narrow by ks (docs/estimators.md)."""
    hill = measured([2.0, 3.0], budget=10)
    ks = measured([2.0, 3.0], budget=10, estimator="ks")
    assert "the true one is smaller" in words_of(hill)
    assert "the true one can be larger" in words_of(ks)
    assert "the true one is smaller" not in words_of(ks)
