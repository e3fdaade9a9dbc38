"""Comparisons against published lists, hand-made shapes and a count of pairs."""

from itertools import combinations
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.compare import compare_plans
from allocator.comparison import Comparison
from allocator.errors import InvalidRequest, PlanMismatch
from allocator.planner import plan
from allocator.read import read_plan
from allocator.subject import Layer, Subject
from analyzer.api import outline as outline_of
from tests.families import save_family
from tests.golden import llama2_block_means, released_allocations

PUBLISHED = [
    1, 3, 5, 4, 4, 5, 4, 4, 3, 3, 2, 2, 2, 2, 3, 4, 9, 4, 8, 7, 8, 7, 8, 7, 9, 8, 6, 10, 6, 7, 3, 2,
]  # fmt: skip
"""AlphaLoRA's own list for Mistral-7B."""
RERUN = [
    1, 3, 5, 4, 5, 5, 4, 4, 3, 4, 3, 2, 2, 3, 3, 4, 9, 4, 7, 7, 7, 7, 7, 7, 9, 7, 6, 8, 6, 7, 4, 3,
]  # fmt: skip
"""The list that LayerIF's authors got with the same code."""
LARGEST_REMAINDER = [
    1, 3, 4, 4, 4, 4, 3, 3, 3, 3, 3, 2, 3, 3, 3, 4, 5, 5, 7, 6, 8, 8, 8, 7, 8, 7, 6, 8, 7, 7, 8, 5,
]  # fmt: skip
"""Of Llama-2-7B's shares."""


def listed(counts, **words):
    """A plan that is a bare list: no modules, no alphas."""
    layers = tuple(Layer("text", number, ()) for number in range(len(counts)))
    return plan(Subject(layers=layers, values="none"), method="custom", counts=counts, **words)


def tau_b(one, other):
    """Kendall's tau-b by counting pairs."""
    signs = [
        ((a > b) - (a < b), (c > d) - (c < d))
        for (a, c), (b, d) in combinations(zip(one, other, strict=True), 2)
    ]
    agree = sum(x * y for x, y in signs)
    return agree / sqrt(sum(x * x for x, _ in signs) * sum(y * y for _, y in signs))


def only(comparison):
    (difference,) = comparison.differences
    return difference


def test_published_list_against_its_rerun():
    found = compare_plans([listed(PUBLISHED), listed(RERUN)], ["published", "rerun"])
    difference = only(found)
    assert difference.rows - difference.same == 11
    assert difference.moved == 6  # up in layers 4 9 10 13 30 31, down in 18 20 22 25, twice in 27
    assert difference.l1 == 12
    assert difference.sum_difference == 0
    assert difference.kendall_tau == pytest.approx(tau_b(PUBLISHED, RERUN), abs=1e-9)
    assert (difference.largest.layer, difference.largest.reference) == (27, 10)
    assert difference.largest.other == 8
    assert [row.counts for row in found.rows] == list(zip(PUBLISHED, RERUN, strict=True))
    assert difference.reasons == (
        "Both plans state counts that were given; neither records where they come from.",
    )
    assert [each.name for each in found.plans] == ["published", "rerun"]
    assert difference.weights == "unknown"


def test_the_released_rule_against_largest_remainder():
    alphas = llama2_block_means()
    case = next(c for c in released_allocations() if c["name"] == "llama2-7b layer means")
    released = plan(alphas, budget=160, method="alphalora_as_released")
    made = plan(alphas, budget=160)
    assert list(released.counts) == case["allocation"]
    assert list(made.counts) == LARGEST_REMAINDER
    difference = only(compare_plans([released, made]))
    assert difference.moved == 2
    assert (difference.largest.reference, difference.largest.other) == (6, 8)
    assert difference.largest.layer == 20
    words = " ".join(difference.reasons)
    assert "layer 20 (share 8.31, 6 and 8 experts by the released rule's repair)" in words
    assert words.count("repair") == 1
    assert "only method differs: alphalora_as_released and alphalora" in words
    assert "The scores are the same in both." in words


def test_a_larger_budget_raises_every_share():
    alphas = llama2_block_means()
    difference = only(compare_plans([plan(alphas, budget=160), plan(alphas, budget=200)]))
    assert difference.moved is None
    assert difference.sum_difference == difference.l1 == 40
    words = " ".join(difference.reasons)
    assert "budget goes from 160 to 200, which raises every share by a factor of 1.25." in words
    assert "only budget differs" in words
    nearest = [a.share for a in plan(alphas, budget=160).layers if a.share < 2]
    assert len(nearest) == 1, "a quarter more is less than half an expert"
    assert words.count("(share") == 1
    assert f"layer 0 (share {nearest[0]:.2f} → {1.25 * nearest[0]:.2f}, 1 and 2 experts)" in words
    lowered = only(compare_plans([plan(alphas, budget=200), plan(alphas, budget=160)]))
    assert "lowers every share by a factor of 0.8." in " ".join(lowered.reasons)


def test_bounds_keep_a_budget_from_raising_every_share_alike():
    capped = {"max_experts": 7}
    pair = [plan([1.0, 2.0], budget=budget, **capped) for budget in (8, 10)]
    words = " ".join(only(compare_plans(pair)).reasons)
    assert "The budget goes from 8 to 10." in words
    assert "factor" not in words


def test_settings_that_differ_at_once_cannot_be_told_apart():
    alphas = llama2_block_means()
    difference = only(compare_plans([plan(alphas, budget=160), plan(alphas, budget=200, beta=3)]))
    assert difference.reasons[0] == (
        "Beta and budget differ at once: what each of them moved cannot be told apart."
    )
    assert {(s.name, s.reference, s.other) for s in difference.settings} == {
        ("beta", 2.5, 3.0), ("budget", 160, 200),
    }  # fmt: skip


def test_settings_without_an_effect_are_told_and_blamed_for_nothing():
    alphas = llama2_block_means()
    other = plan(alphas, budget=160, rank=4, lora_alpha=8, top_k=1)
    difference = only(compare_plans([plan(alphas, budget=160), other]))
    assert {setting.name for setting in difference.settings} == {"rank", "lora_alpha", "top_k"}
    assert difference.reasons == ("No count differs.",)
    assert difference.largest is None
    assert difference.kendall_tau == 1
    webster = plan(alphas, budget=160, rounding="webster")
    assert only(compare_plans([plan(alphas, budget=160), webster])).reasons == (
        "No count differs, although rounding differs.",
    )


def test_a_rounding_that_a_method_does_not_use_is_not_blamed():
    alphas = llama2_block_means()
    released = plan(alphas, budget=160, method="alphalora_as_released", rounding="webster")
    difference = only(compare_plans([plan(alphas, budget=160), released]))
    assert "rounding" in {setting.name for setting in difference.settings}
    assert "only method differs: alphalora and alphalora_as_released" in difference.reasons[0]


def test_scores_that_moved():
    before = plan([1.0, 2.0, 3.0], budget=12)
    after = plan([1.0, 2.0, 2.5], budget=12)
    difference = only(compare_plans([before, after]))
    words = " ".join(difference.reasons)
    assert "Score moved by up to 0.5 (layer 2: 3.000 → 2.500)" in words
    assert "nothing that they depend on; whether the weights are the same is not" in words


def test_a_share_that_hardly_moved():
    """Shares 2.5 and 2.5 against 2.499 and 2.501: an expert goes over."""
    pair = [plan([2.0, 1.0], budget=5, beta=0), plan([1.0, 1.001], budget=5, beta=1)]
    difference = only(compare_plans(pair))
    assert [p.counts for p in pair] == [(3, 2), (2, 3)]
    assert "less than half an expert, and rounding made it another count" in difference.reasons[-1]
    assert "layer 0 (share 2.50, 3 and 2 experts)" not in difference.reasons[-1]
    assert "layer 0 (share 2.50 → 2.50, 3 and 2 experts)" in difference.reasons[-1]


def test_another_estimator(analysis):
    pair = [plan(analysis, budget=30), plan(analysis, budget=30, estimator="ks")]
    difference = only(compare_plans(pair))
    assert difference.weights == "same"
    assert [s.name for s in difference.settings] == ["estimator"]
    assert difference.reasons[0] == (
        "Of all that the counts depend on, only estimator differs: hill and ks."
    )
    moves = {
        number: abs(one.alpha - other.alpha)
        for number, (one, other) in enumerate(zip(*(p.layers for p in pair), strict=True))
    }
    most = max(moves, key=moves.get)
    assert f"Alpha moved by up to {moves[most]:.2g} (layer {most}: " in difference.reasons[1]


def test_shapes_need_no_alphas(analysis):
    """8642 over six layers is 8 7 6 4 3 2 and 2468 the reverse: |6| |4| |2| twice."""
    pair = [plan(analysis, method="mola", shape=shape) for shape in ("8642", "2468")]
    difference = only(compare_plans(pair))
    assert difference.moved == 12
    assert difference.kendall_tau == -1
    assert difference.same == 0
    assert "only shape differs: 8642 and 2468" in difference.reasons[0]
    by_alpha = only(compare_plans([pair[0], plan(analysis, budget=30)]))
    assert "only method differs: mola and alphalora" in by_alpha.reasons[0]
    assert {"estimator", "beta", "shape"} <= {setting.name for setting in by_alpha.settings}
    uniform = only(compare_plans([plan(analysis, method="uniform", budget=30), pair[0]]))
    assert uniform.kendall_tau is None


def test_a_layer_plan_stands_for_each_of_its_modules(analysis):
    whole, fine = plan(analysis, budget=30), plan(analysis, budget=30, per_module=True)
    found = compare_plans([whole, fine])
    assert found.per_module
    assert len(found.rows) == 36
    expected = [layer.experts for layer in whole.layers for _ in layer.modules]
    assert [row.counts[0] for row in found.rows] == expected
    assert [row.counts[1] for row in found.rows] == list(fine.counts)
    moves = [abs(a - b) for a, b in zip(expected, fine.counts, strict=True)]
    assert only(found).l1 == sum(moves) == 2 * only(found).moved
    assert all(row.alphas[0] is None and row.alphas[1] is not None for row in found.rows)
    bare = compare_plans([listed(whole.counts), fine])
    assert [row.counts for row in bare.rows] == [row.counts for row in found.rows]


def test_modules_of_one_plan_only(analysis):
    some = plan(analysis, budget=30, per_module=True, modules="query,value")
    every = plan(analysis, budget=30, per_module=True)
    difference = only(compare_plans([some, every]))
    assert difference.rows == 12
    assert "24 modules are adapted by one plan only." in difference.reasons
    fine = iter(every.counts)
    by_name = [(m.name, next(fine)) for layer in every.layers for m in layer.modules]
    both = dict(zip(((layer.layer, m.name) for layer in some.layers for m in layer.modules),
                    some.counts, strict=True))  # fmt: skip
    expected = sum(
        abs(both.get((position // 6, name), 0) - count)
        for position, (name, count) in enumerate(by_name)
    )
    assert difference.l1 == expected


def test_modules_are_found_by_their_live_names(analysis):
    fine = plan(analysis, budget=30, per_module=True)

    def renamed(module):
        return module.model_copy(update={"live": module.name, "name": f"file.{module.name}"})

    layers = tuple(
        layer.model_copy(update={"modules": tuple(map(renamed, layer.modules))})
        for layer in fine.layers
    )
    difference = only(compare_plans([fine, fine.model_copy(update={"layers": layers})]))
    assert difference.rows == difference.same == 36


def test_plans_of_other_layers():
    with pytest.raises(PlanMismatch, match="2 layers of text, b for 3 layers of text"):
        compare_plans([listed([1, 2]), listed([1, 2, 3])], ["a", "b"])
    vision = Subject(layers=(Layer("vision", 0, ()), Layer("vision", 1, ())), values="none")
    other = plan(vision, method="uniform", budget=4)
    with pytest.raises(PlanMismatch, match="2 layers of text, plan 2 for 2 layers of vision"):
        compare_plans([listed([1, 2]), other])
    later = Subject(layers=(Layer("text", 0, ()), Layer("text", 2, ())), values="none")
    with pytest.raises(PlanMismatch, match="layer 1 of text, plan 2 for layer 2 of text"):
        compare_plans([listed([1, 2]), plan(later, method="uniform", budget=4)])


def test_other_models_are_compared_with_a_warning(analysis):
    one = plan(analysis, budget=30)
    other = one.model_copy(update={"model": "org/other", "weights": ("f" * 64,)})
    found = compare_plans([one, other, one.model_copy(update={"model": "a copy"})])
    assert len(found.warnings) == 1
    assert "for org/other: layers are compared by their number alone" in found.warnings[0]
    assert [difference.weights for difference in found.differences] == ["other", "same"]
    assert found.differences[0].reasons == ("No count differs.",)
    retrained = one.model_copy(update={"weights": ("f" * 64,)})
    assert compare_plans([one, retrained]).warnings == ()


def test_equal_settings_and_other_counts(analysis):
    one = plan(analysis, budget=30)
    first = one.layers[0].model_copy(update={"experts": 6})
    last = one.layers[5].model_copy(update={"experts": 5})
    other = one.model_copy(update={"layers": (first, *one.layers[1:5], last)})
    difference = only(compare_plans([one, other]))
    assert difference.settings == ()
    assert difference.reasons[0] == "2 counts differ, and nothing that they depend on."


def test_what_cannot_be_compared():
    with pytest.raises(InvalidRequest, match="1 plan to compare; give at least two"):
        compare_plans([listed([1, 2])])
    for names in (["a", "a"], ["a"]):
        with pytest.raises(InvalidRequest, match="a name of its own"):
            compare_plans([listed([1, 2]), listed([2, 1])], names)


def test_t5_places_name_their_stack(tmp_path):
    save_family("t5", tmp_path)
    found = outline_of(tmp_path)
    pair = [plan(found, method="mola", shape=shape, budget=12) for shape in ("24", "42")]
    assert only(compare_plans(pair)).largest.stack == "encoder"


def test_the_document_reads_back(analysis):
    found = compare_plans([plan(analysis, budget=30), plan(analysis, budget=31)])
    assert Comparison.model_validate_json(found.model_dump_json()) == found
    assert '"schema":"tailora.comparison/1"' in found.model_dump_json()


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=2, max_size=12))
def test_distances_are_those_of_the_definition(counts):
    one, other = zip(*counts, strict=True)
    difference = only(compare_plans([listed(one), listed(other)]))
    assert difference.l1 == sum(abs(a - b) for a, b in counts)
    assert difference.same == sum(a == b for a, b in counts)
    assert (difference.moved is None) == (sum(one) != sum(other))
    if difference.moved is not None:
        assert difference.moved == sum(max(a - b, 0) for a, b in counts)
    if len(set(one)) > 1 and len(set(other)) > 1:
        assert difference.kendall_tau == pytest.approx(tau_b(one, other), abs=1e-9)
    else:
        assert difference.kendall_tau is None
    largest = max(abs(a - b) for a, b in counts)
    assert (largest == 0) == (difference.largest is None)


def test_parameters_that_no_digest_can_hold_are_no_plan():
    from allocator.errors import UnreadablePlan

    text = plan([1.0, 2.0], budget=6).to_json()
    for value in ("NaN", "Infinity"):
        with pytest.raises(UnreadablePlan, match="digest does not fit"):
            read_plan(text.replace('"beta": 2.5', f'"beta": {value}'))
