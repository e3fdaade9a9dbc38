"""What a comparison of trainings is made of: figures over seeds, arms, and what may be said."""

import json
import math

import numpy as np
import pytest
from scipy import special, stats

from allocator.planner import plan
from analyzer.api import outline
from tests.trainer.runs import pairs, recipe_in
from trainer.compare.arms import comparison_of
from trainer.compare.document import Arm, Comparison
from trainer.compare.intervals import holm, paired, spread
from trainer.compare.results import Compared, ComparedRun
from trainer.compare.summary import summarise
from trainer.compare.table import rows_of, to_markdown
from trainer.errors import InvalidRecipe

NAMES = ("plan", "lora", "uniform")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    return recipe_in(tmp_path_factory.mktemp("recipe"), pairs(40), counts=(1, 3))


@pytest.fixture(scope="module")
def words(recipe):
    """What `comparison_of` needs besides plans."""
    base = recipe.base.model_dump(include={"path", "weights"})
    changes = {"schedule.batch": 8, "schedule.micro_batch": 4}
    return {"task": "language", "base": base, "data": {"train": recipe.data.train},
            "changes": changes}  # fmt: skip


def compared(recipe, figures, *, names=NAMES, accuracy=False, status="finished"):
    """An outcome from figures by arm and seed; None is a run that failed, ... one not made."""
    arms = tuple(Arm(name=name, recipe=recipe) for name in names)
    seeds = tuple(range(len(figures[0])))
    comparison = Comparison(arms=arms, reference="lora", seeds=seeds)
    runs = []
    for arm, seed in comparison.runs:
        value = figures[names.index(arm.name)][seed]
        made = {"loss": 1.0 if accuracy else value, "accuracy": value if accuracy else None}
        if value is None or value is ...:
            made = {"reason": "the loss is nan"} if value is None else {}
        state = {None: "failed", ...: "missing"}.get(value, "finished")
        runs.append(
            ComparedRun(arm=arm.name, seed=seed, status=state, plan_digest="p", recipe_digest="r",
                        trainable_parameters=100, **made)
        )  # fmt: skip
    return summarise(comparison, runs, status)


def test_an_interval_is_students():
    """2.7764451 is the quantile of Student's t with 4 degrees of freedom in every table."""
    found = spread([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764451 * math.sqrt(2.5) / math.sqrt(5)
    assert (found.mean, found.standard_deviation) == (3.0, pytest.approx(math.sqrt(2.5)))
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half), abs=1e-6)
    alone = spread([0.5])
    assert (alone.mean, alone.standard_deviation, alone.low, alone.high) == (0.5, None, None, None)


@pytest.mark.parametrize("seeds", [2, 3, 5, 20])
def test_differences_have_a_paired_t_test(seeds):
    draw = np.random.default_rng(seeds)
    theirs, ours = draw.normal(1.0, 0.2, seeds), draw.normal(1.1, 0.2, seeds)
    found = paired(theirs, ours)
    error = (theirs - ours).std(ddof=1) / math.sqrt(seeds)
    mean = (theirs - ours).mean()
    half = special.stdtrit(seeds - 1, 0.975) * error
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half))
    assert found.p == pytest.approx(2 * special.stdtr(seeds - 1, -abs(mean / error)))
    assert found.p == pytest.approx(stats.ttest_rel(theirs, ours).pvalue)


def test_differences_that_do_not_scatter():
    same = paired([0.3, 0.5, 0.7], [0.1 + 0.2, 0.5, 0.7])
    assert (same.mean, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)
    shifted = paired([0.55, 0.65, 0.85], [0.5, 0.6, 0.8])
    assert shifted.mean == pytest.approx(0.05)
    assert shifted.p is None, "no test is possible"
    assert paired([0.5], [0.4]).p is None


def test_holms_correction_by_hand():
    """In ascending order .005 × 4, .01 × 3, .03 × 2, and .04 × 1 is raised to the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.7, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_arms_that_are_alike_seldom_seem_to_differ(recipe):
    """Four arms against a reference, all from one distribution: at most 5 % of false findings.

    10 of 200 are expected at most; 23 are more than four standard deviations above.
    """
    draw, names = np.random.default_rng(0), ("lora", "a", "b", "c", "d")
    false, single = 0, 0
    for _ in range(200):
        found = compared(recipe, draw.normal(2.0, 0.1, (5, 4)).tolist(), names=names)
        false += any(each.finding in ("better", "worse") for each in found.differences)
        single += any(each.by_seed.p < 0.05 for each in found.differences)
    assert false < 23
    assert single > max(false, 20), "without the correction there are more"


@pytest.mark.parametrize(("accuracy", "word"), [(False, "worse"), (True, "better")])
def test_a_clear_difference_is_said_with_its_size(recipe, accuracy, word):
    """uniform − lora is .1, .11, .09: t² = 300, and with 2 degrees p = 1 − t / √(t² + 2)."""
    figures = [[0.5, 0.6, 0.8], [0.51, 0.58, 0.81], [0.61, 0.69, 0.9]]
    found = compared(recipe, figures, accuracy=accuracy)
    by_name = {each.arm: each for each in found.differences}
    assert by_name["uniform"].finding == word
    assert by_name["uniform"].corrected_p == pytest.approx(2 * (1 - math.sqrt(300 / 302)))
    assert by_name["plan"].finding == "no_difference"
    measure = "accuracy" if accuracy else "loss"
    assert f"uniform is {word} than lora by 0.1000 in {measure}" in found.verdict
    assert "(95 % interval 0.0752 to 0.1248, corrected p 0.0066, 3 seeds)" in found.verdict
    assert "no difference beyond seed noise between lora and plan" in found.verdict


def test_an_interval_without_0_is_not_enough_among_several_arms(recipe):
    """uniform − lora is .1, .2, .15: t = 5.2, p = .035, corrected .07."""
    figures = [[0.5, 0.6, 0.8], [0.51, 0.58, 0.81], [0.61, 0.78, 0.96]]
    found = compared(recipe, figures)
    assert found.verdict.startswith("no difference beyond seed noise over 3 seeds; one of up to ")
    assert found.differences[1].by_seed.low > 0
    assert found.notes == (
        "uniform: its interval alone excludes 0, and among 2 arms that happens by chance too often "
        "to count",
    )


def test_two_seeds_are_too_few(recipe):
    found = compared(recipe, [[0.1, 0.101], [0.5, 0.6], [0.9, 0.9]])
    assert "2 seeds are too few to tell" in found.verdict
    assert all(each.finding is None for each in found.differences)
    one = compared(recipe, [[0.1], [0.5], [0.9]])
    assert "1 seed is too few to tell" in one.verdict
    assert rows_of(one)[0][2:] == ["0.1000", "-0.4000", "–"]


def test_an_arm_with_a_failed_run_is_left_out(recipe):
    """And the others are corrected for one arm less."""
    figures = [[0.4, None, 0.1], [0.51, 0.58, 0.81], [0.61, 0.69, 0.9]]
    found = compared(recipe, figures)
    assert [each.arm for each in found.differences] == ["uniform"]
    only = found.differences[0]
    assert only.corrected_p == only.by_seed.p
    assert "left out, since a run failed: plan" in found.verdict
    assert "plan, seed 1 failed: the loss is nan" in found.notes
    text = to_markdown(found)
    assert "| plan | 100 | 0.2500 ± 1.9059 (2 of 3 seeds) | 1 failed | – |" in text
    assert text.rstrip().endswith(found.verdict)
    broken = compared(recipe, [[0.4, 0.2, 0.1], [0.5, None, 0.8], [0.6, 0.7, 0.9]])
    assert broken.verdict == "no verdict: a run of lora, the reference, failed"
    assert broken.differences == ()


def test_a_difference_that_does_not_scatter_is_no_finding(recipe):
    found = compared(recipe, [[0.5, 0.6, 0.8], [0.45, 0.55, 0.75], [0.41, 0.6, 0.7]], accuracy=True)
    assert found.differences[0].finding is None
    assert "plan differs from lora by +0.0500 with every seed alike" in found.verdict


def test_one_that_was_stopped_has_no_verdict(recipe):
    figures = [[0.5, ..., ...], [0.4, 0.3, ...], [0.3, ..., ...]]
    found = compared(recipe, figures, status="stopped")
    assert found.verdict.startswith("stopped after 4 of 9 runs: no verdict yet")
    assert [each.by_seed.runs for each in found.differences] == [1, 1], "pairs alone"
    assert Compared.model_validate_json(found.model_dump_json()) == found


def test_arms_of_one_plan(recipe, words):
    made = recipe.plan
    against = ["uniform", "permuted", "lora", "mola:31", "adamole"]
    found = comparison_of({"mine": made}, against=against, seeds=(4, 2), **words)
    arms = {arm.name: arm for arm in found.arms}
    assert list(arms) == ["mine", "uniform", "permuted", "lora", "mola-31", "adamole"]
    assert found.reference == "lora"
    seen = outline(recipe.base.path, hashes=True)
    for name, by_hand in {
        "uniform": plan(seen, method="uniform", budget=4),
        "mola-31": plan(seen, method="mola", shape="31"),
    }.items():
        assert arms[name].recipe.plan.digest == by_hand.digest
    assert arms["permuted"].recipe_of(4).plan.counts == (3, 1)
    assert arms["permuted"].recipe_of(4).seed == 4
    assert arms["lora"].recipe.mixture.kind == "lora"
    assert arms["adamole"].recipe.mixture.gate == "threshold"
    mine = arms["mine"].recipe
    for arm in found.arms:
        for part in ("data", "base", "optimiser", "schedule", "checkpoints"):
            assert getattr(arm.recipe, part) == getattr(mine, part)
    order = [(arm.name, seed) for arm, seed in found.runs]
    assert order[:7] == [*((name, 4) for name in arms), ("mine", 2)]
    assert Comparison.model_validate_json(found.to_json()) == found


def test_a_field_for_all_arms_and_for_one(recipe, words):
    words = {**words, "changes": {**words["changes"], "mixture.mask_rate": 0.2}}
    found = comparison_of(
        {"mine": recipe.plan}, against=["lora", "mola:31"], reference="mola:31", preset="adamole",
        own_changes={"mola:31": {"optimiser.learning_rate": 0.5}}, **words,
    )  # fmt: skip
    mine, lora, mola = (arm.recipe for arm in found.arms)
    assert (mine.preset, lora.preset, mola.preset) == ("adamole", "lora", "adamole")
    assert {each.mixture.mask_rate for each in (mine, lora, mola)} == {0.2}
    rates = [each.optimiser.learning_rate for each in (mine, lora, mola)]
    assert rates == [1e-4, 1e-4, 0.5]
    assert found.reference == "mola-31"


def test_what_says_nothing_of_a_plain_lora_is_left_out_of_it(recipe, words):
    """In its own changes it would be refused, as `make_recipe` does."""
    given = {"mixture.gate": "dense", "mixture.mask": "lora_dropout", "mixture.mask_rate": 0.3}
    more = {**words, "changes": {**words["changes"], **given}}
    found = comparison_of({"mine": recipe.plan}, against=["lora"], **more)
    mine, lora = (arm.recipe.mixture for arm in found.arms)
    assert (mine.gate, mine.mask, mine.mask_rate) == ("dense", "lora_dropout", 0.3)
    assert (lora.kind, lora.gate, lora.mask, lora.mask_rate) == ("lora", "topk", "dropout", 0.05)
    own = {"lora": {"mixture.gate": "dense"}}
    with pytest.raises(InvalidRecipe, match="gate does not apply to kind lora"):
        comparison_of({"mine": recipe.plan}, against=["lora"], own_changes=own, **words)


def test_soft_prompts_have_an_outcome_too(recipe, words):
    few = {"task": "language", "base": words["base"], "data": words["data"], "preset": "prompt"}
    found = comparison_of({"mine": recipe.plan}, against=["lora"], seeds=(0,), **few)
    prompt, lora = (arm.recipe for arm in found.arms)
    assert (prompt.schedule, prompt.optimiser) == (lora.schedule, lora.optimiser)
    runs = [
        ComparedRun(arm=arm.name, seed=seed, status="missing", plan_digest="p", recipe_digest="r")
        for arm, seed in found.runs
    ]
    assert [arm.kind for arm in summarise(found, runs, "stopped").arms] == ["prompt", "lora"]


def test_the_digest_is_that_of_what_decides(recipe, words):
    def digest(**more):
        return comparison_of({"a": recipe.plan}, **{"against": ["lora"], **words, **more}).digest

    base = {**words["base"], "path": "elsewhere"}
    assert digest() == digest(base=base) == digest(keep_adapters=False)
    others = [{"seeds": (0, 1)}, {"against": ["uniform"]}, {"reference": "a"}]
    others += [{"changes": {**words["changes"], "data.split_seed": 1}}]
    assert len({digest(), *(digest(**more) for more in others)}) == 5


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"against": []}, "there is one arm"),
        ({"against": ["best"]}, "'best' is no arm; give uniform"),
        ({"against": ["lora", "lora"]}, "two arms are called lora"),
        ({"reference": "best"}, "the reference best is none of the arms: mine, lora"),
        ({"seeds": (1, 1)}, "each of them once"),
        ({"own_changes": {"best": {"seed": 1}}}, "seed is no field to set"),
        ({"own_changes": {"best": {"data.length": 9}}}, "there is no arm best"),
        ({"own_changes": {"lora": {"data.length": 9}}}, "lora has another data than mine"),
    ],
)
def test_comparisons_that_cannot_be(recipe, words, more, message):
    with pytest.raises(InvalidRecipe, match=message):
        comparison_of({"mine": recipe.plan}, **{"against": ["lora"], **words, **more})


def test_plans_of_other_weights_are_not_compared(recipe, words):
    content = json.loads(recipe.plan.to_json()) | {"weights": ["0" * 64]}
    other = type(recipe.plan).model_validate(content)
    with pytest.raises(InvalidRecipe, match="yours was made from other weights"):
        comparison_of({"mine": recipe.plan, "yours": other}, **words)
