"""Plans under draws of their alphas, against probabilities that are known otherwise."""

import math

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from scipy.stats import norm

from allocator.errors import InvalidRequest
from allocator.evidence import Evidence, Questions, evidence
from allocator.planner import plan
from allocator.scatter import NOTES
from allocator.subject import Layer, Subject, Target
from analyzer.api import analyze
from analyzer.aspect import marchenko_pastur_hill
from analyzer.report import MatrixResult
from analyzer.resample import Resampled, Resampling
from analyzer.sampling import Halves, Windows
from analyzer.tails import Fit
from tests.families import save_family

NOMINAL = Evidence(nominal_draws=4000)


@pytest.fixture(scope="module")
def analysis(minilm, tmp_path_factory):
    return analyze(minilm, cache=tmp_path_factory.mktemp("cache"), scope="adaptable")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Two layers of seven matrices."""
    folder = tmp_path_factory.mktemp("llama")
    save_family("llama", folder)
    return folder, analyze(folder, scope="adaptable")


def resampling(analysis, alphas, draws=3, **words) -> Resampling:
    """Alphas by hand: a function of the matrix."""
    matrices = tuple(
        Resampled(name=matrix.name, shape=matrix.shape, alphas=tuple(alphas(matrix)))
        for matrix in analysis.matrices
    )
    given = {
        "weights": analysis.weights, "estimator": "hill", "rounded": False,
        "halves": Halves(draws=draws), **words,
    }  # fmt: skip
    return Resampling(matrices=matrices, **given)


def test_two_layers_have_the_probabilities_of_the_normal_law(small):
    """Under β = 1 layer 0 has k of 12 experts where a₀ / (a₀ + a₁) lies in [k ± ½] / 12."""
    made = plan(small[1], budget=12, beta=1, evidence=NOMINAL)
    (scatter,) = made.scatter
    first, second = made.layers
    spread = scatter.spreads[0]
    for count in range(1, 12):
        edges = []
        for edge in (count - 0.5, count + 0.5):
            # a₀ (12 − edge) − a₁ edge is normal
            mean = first.alpha * (12 - edge) - second.alpha * edge
            width = math.hypot(
                first.nominal_standard_error * (12 - edge), second.nominal_standard_error * edge
            )
            edges.append(norm.cdf(0.0, mean, width))
        expected = edges[1] - edges[0]
        error = math.sqrt(max(expected * (1 - expected), 1e-6) / scatter.draws)
        assert spread.counts.get(count, 0) / scatter.draws == pytest.approx(expected, abs=5 * error)
    assert len(spread.counts) > 1
    assert spread.standard_error == pytest.approx(first.nominal_standard_error, rel=0.05)
    assert spread.kept == scatter.kept == spread.counts[made.counts[0]] / scatter.draws
    assert sum(spread.counts.values()) == scatter.draws == 4000


def test_draws_are_seeded(small):
    found = [
        plan(small[1], budget=12, evidence=Evidence(nominal_draws=50, seed=seed)).scatter
        for seed in (0, 0, 1)
    ]
    assert found[0] == found[1] != found[2]
    assert found[0][0].note == NOTES["nominal"]
    assert plan(small[1], budget=12).scatter == ()


def test_resampling_moves_each_layer_by_the_mean_of_its_matrices(small):
    """All matrices of layer 1 move by −d, 0, +d about any centre; layer 0 stays."""
    analysis = small[1]
    shift = 0.9

    def alphas(matrix):
        return (7.0 - shift, 7.0, 7.0 + shift) if matrix.layer == 1 else (1.5, 1.5, 1.5)

    drawn = Evidence(resampling=resampling(analysis, alphas))
    (scatter,) = plan(analysis, budget=12, evidence=drawn).scatter
    low, high = (layer.alpha for layer in analysis.layers)
    expected = {}
    for move in (-shift, 0.0, shift):
        share = 12 * low**2.5 / (low**2.5 + (high + move) ** 2.5)
        expected[round(share)] = expected.get(round(share), 0) + 1
    assert scatter.spreads[0].counts == expected
    assert len(expected) == 3
    assert scatter.spreads[0].standard_error == 0.0
    assert scatter.spreads[1].standard_error == pytest.approx(shift)
    assert scatter.kept == pytest.approx(1 / 3)
    assert (scatter.draws, scatter.seed) == (3, 0)


def test_resampling_follows_weighting_and_aspect(small):
    """One matrix moves by ±0.1: its layer by its weight in the mean, over its reference value."""
    analysis = small[1]
    moved = next(m for m in analysis.matrices if m.layer == 0 and m.module == "mlp.up_proj")

    def alphas(matrix):
        return (2.0, 2.1, 2.2) if matrix.name == moved.name else (2.0, 2.0, 2.0)

    drawn = Evidence(resampling=resampling(analysis, alphas))
    sizes = {m.name: math.prod(m.shape) for m in analysis.matrices if m.layer == 0}
    weight = sizes[moved.name] / sum(sizes.values())
    reference = marchenko_pastur_hill(48 / 32)
    for words, expected in (
        ({}, 0.1 / 7), ({"weighting": "parameters"}, 0.1 * weight),
        ({"aspect": "marchenko_pastur"}, 0.1 / 7 / reference),
    ):  # fmt: skip
        (scatter,) = plan(analysis, budget=12, evidence=drawn, **words).scatter
        assert scatter.spreads[0].standard_error == pytest.approx(expected)
    (scatter,) = plan(analysis, budget=12, evidence=drawn, per_module=True).scatter
    errors = [spread.standard_error for spread in scatter.spreads]
    assert errors[[m.name for m in analysis.matrices].index(moved.name)] == pytest.approx(0.1)
    assert sorted(errors)[-2] == pytest.approx(0.0, abs=1e-9)


def test_draws_without_a_fit_are_left_out(small):
    analysis = small[1]
    one = analysis.matrices[3].name

    def failing(*draws):
        return lambda m: [None if m.name == one and i in draws else 2.0 + i for i in range(4)]

    for failed, kept in (((2,), 3), ((0, 2), 2)):
        drawn = Evidence(resampling=resampling(analysis, failing(*failed), draws=4))
        (scatter,) = plan(analysis, budget=12, evidence=drawn).scatter
        assert (scatter.status, scatter.draws, scatter.note) == ("ok", kept, NOTES["resampling"])
    drawn = Evidence(resampling=resampling(analysis, failing(0, 1, 2), draws=4))
    (scatter,) = plan(analysis, budget=12, evidence=drawn).scatter
    assert (scatter.status, scatter.draws) == ("ok", 4)
    assert f"held still, since their halves are too small: {one}" in scatter.note
    step = np.std([0, 1, 2, 3], ddof=1)
    errors = [spread.standard_error for spread in scatter.spreads]
    assert errors == pytest.approx([step * 6 / 7, step])
    half = resampling(analysis, lambda m: [None, None, None, 2.0], draws=4)
    (scatter,) = plan(analysis, budget=12, evidence=Evidence(resampling=half)).scatter
    assert (scatter.status, scatter.kept, scatter.spreads) == ("no_fit", None, ())
    assert scatter.draws == 4
    few = resampling(analysis, lambda m: [2.0, None], draws=2)
    (scatter,) = plan(analysis, budget=12, evidence=Evidence(resampling=few)).scatter
    assert scatter.status == "no_fit", "one draw has no scatter"


def test_a_resampling_of_something_else_is_refused(small, analysis):
    def still(**words):
        return Evidence(resampling=resampling(small[1], lambda m: (2.0, 2.0, 2.0), **words))

    cases = [
        (analysis, still(), {}), (small[1], still(), {"estimator": "ks"}),
        (small[1], still(weights=("0" * 64,)), {}), (small[1], still(rounded=True), {}),
        (small[1].model_copy(update={"weights": ("0" * 64,)}), still(), {}),
    ]  # fmt: skip
    for given, drawn, words in cases:
        with pytest.raises(InvalidRequest, match="make it of this model by"):
            plan(given, budget=30, evidence=drawn, **words)
    assert plan(small[1], budget=30, evidence=still()).scatter[0].status == "ok"


def test_plans_whose_alphas_have_no_error(small, analysis):
    still = resampling(analysis, lambda m: (2.0, 2.0, 2.0))
    drawn = Evidence(nominal_draws=10, resampling=still)
    scores = plan([1.0, 2.0, 3.0], budget=12, evidence=drawn).scatter
    assert [(s.source, s.status) for s in scores] == [
        ("nominal", "not_applicable"), ("resampling", "not_applicable"),
    ]  # fmt: skip
    assert plan(analysis, method="uniform", budget=30, evidence=drawn).scatter == ()
    windows = Windows(rows=16, starts=3)
    pooled = analyze(small[0], aspect="subsample", windows=windows, scope="adaptable")
    made = plan(pooled, budget=12, aspect="subsample", evidence=Evidence(nominal_draws=10))
    assert [s.status for s in made.scatter] == ["not_applicable"]
    assert made.parameters["windows"] == {"rows": 16, "ratio": 1.0, "starts": 3}
    assert made.layers[0].nominal_standard_error is None
    assert made.stability[0].status == "ok"


def test_the_released_rule_has_draws_without_a_plan(small):
    """Some draws give a layer no experts, so there is no distribution to show."""
    words = {"method": "alphalora_as_released", "beta": 10, "budget": 6}
    assert min(plan(small[1], **words).counts) >= 1
    made = plan(small[1], evidence=NOMINAL, **words)
    assert made.scatter[0].status == "no_plan"
    assert made.scatter[0].kept is None


def test_pooled_and_whole_matrices_are_not_mixed(small):
    pooled = analyze(small[0], aspect="subsample", windows=Windows(rows=16))
    with pytest.raises(InvalidRequest, match="analyse again with --aspect none"):
        plan(pooled, budget=12)
    with pytest.raises(InvalidRequest, match="analyse again with --aspect subsample"):
        plan(small[1], budget=12, aspect="subsample")
    assert plan(pooled, method="uniform", budget=12).counts == (6, 6)


def test_rounding_is_judged_by_an_analysis_of_rounded_weights(small, analysis):
    rounded = analyze(small[0], rounded=True, scope="adaptable")
    made = plan(small[1], budget=40, evidence=Evidence(rounded=rounded))
    found = made.stability[-1]
    assert (found.estimator, found.weights, found.status) == ("hill", "bfloat16", "ok")
    expected = plan(rounded, budget=40)
    assert found.counts == expected.counts
    assert made.digest == plan(small[1], budget=40).digest
    with pytest.raises(InvalidRequest, match="rounded=True"):
        Evidence(rounded=small[1])
    fewer = analyze(small[0], rounded=True, scope="adaptable", modules="q_proj")
    cut = analyze(small[0], rounded=True, aspect="subsample", windows=Windows(rows=16))
    for given, other in ((analysis, rounded), (small[1], fewer), (small[1], cut)):
        with pytest.raises(InvalidRequest, match="other weights, windows or modules"):
            plan(given, budget=30, evidence=Evidence(rounded=other))
    made = plan(rounded, budget=40)
    assert made.parameters["rounded"] is True
    assert made.digest != plan(small[1], budget=40).digest
    assert "alphas are of weights rounded to bfloat16" in made.warnings


def test_a_matrix_that_rounding_takes_away_is_no_fit(small):
    lost = [
        matrix.model_copy(update={"fits": {"hill": Fit(status="not_finite")}})
        if matrix.layer == 0 and matrix.module == "mlp.up_proj"
        else matrix
        for matrix in analyze(small[0], rounded=True, scope="adaptable").matrices
    ]
    rounded = analyze(small[0], rounded=True, scope="adaptable").model_copy(
        update={"matrices": tuple(lost)}
    )
    found = plan(small[1], budget=12, evidence=Evidence(rounded=rounded)).stability[-1]
    assert (found.weights, found.status, found.counts) == ("bfloat16", "no_fit", None)


def test_what_was_not_checked_is_said_in_the_plan(small):
    unchecked = resampling(small[1], lambda m: (2.0, 2.0, 2.0), warnings=("3 were not checked",))
    made = plan(small[1], budget=12, evidence=Evidence(resampling=unchecked))
    assert made.warnings == ("3 were not checked",)


def test_a_matrix_without_a_fit_moves_nothing(tmp_path):
    """It is left out of its layer's mean, and so of the draws of it."""
    save_family("llama", tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["model.layers.1.self_attn.q_proj.weight"].zero_()
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    analysis = analyze(tmp_path, scope="adaptable")

    def alphas(matrix):
        gone = matrix.layer == 1 and matrix.module == "self_attn.q_proj"
        return (None, None, None) if gone else (2.0, 2.1, 2.2)

    drawn = Evidence(resampling=resampling(analysis, alphas))
    (scatter,) = plan(analysis, budget=12, evidence=drawn).scatter
    assert [spread.standard_error for spread in scatter.spreads] == pytest.approx([0.1, 0.1])
    assert scatter.note == NOTES["resampling"]


def test_alphas_are_never_drawn_below_what_a_method_takes():
    """A nominal error as large as alpha itself; analytic, since no real spectrum has one."""
    layers = tuple(Layer("text", n, (Target("q", (8, 8), (f"w{n}",)),), 2.0, 2.0) for n in (0, 1))
    matrices = tuple(wide_matrix(f"w{n}", n) for n in (0, 1))
    subject = Subject(layers=layers, values="alpha", matrices=matrices)
    (scatter,) = plan(subject, budget=4, evidence=NOMINAL).scatter
    assert scatter.status == "ok"
    assert scatter.spreads[0].standard_error == pytest.approx(2.0, rel=0.1)
    assert set(scatter.spreads[0].counts) == {1, 2, 3}


def wide_matrix(name, layer) -> MatrixResult:
    fit = Fit(status="ok", alpha=2.0, nominal_standard_error=2.0, xmin=1.0, tail=4, ks_distance=0)
    return MatrixResult(
        name=name, tensor=name, file="f", dtype="F32", shape=(8, 8), role="adaptable",
        stack="text", layer=layer, module="q", bytes=256, precision="float32",
        tensor_sha256="0" * 64, fits={"hill": fit}, measures=None,
    )  # fmt: skip


def test_minilm_distributions_of_at_least_200_resamples(minilm, analysis, capsys):
    """Printed for the record; hill's neighbours of a rounding border waver, the others do not."""
    found = evidence(minilm, "resampling,nominal,bf16")
    made = plan(analysis, budget=30, evidence=found)
    assert made.counts == made.stability[-1].counts == (5, 5, 5, 4, 5, 6)
    nominal, resampled = made.scatter
    assert resampled.draws == 200
    assert nominal.draws == 1000
    with capsys.disabled():
        print()
        for scatter in made.scatter:
            print(scatter.source, [spread.counts for spread in scatter.spreads], scatter.kept)
    for layer, wide, narrow in zip(made.layers, nominal.spreads, resampled.spreads, strict=True):
        assert wide.standard_error == pytest.approx(layer.nominal_standard_error, rel=0.1)
        assert 2 < wide.standard_error / narrow.standard_error < 4.5
    close = [abs(layer.share % 1 - 0.5) < 0.2 for layer in made.layers]
    assert [spread.kept < 0.9 for spread in resampled.spreads] == close
    assert 0.4 < resampled.kept < 0.7
    assert nominal.kept < resampled.kept


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Questions("nominal,bootstrap"), "stability bootstrap is unknown"),
        (lambda: Questions(","), "stability names no kind"),
        (lambda: Questions(draws=5.5), "draws is 5.5; use a whole number"),
        (lambda: Questions(seed="1"), "seed is '1'"),
        (lambda: Evidence(nominal_draws=1), "1 draws; use 2 to"),
        (lambda: Evidence(nominal_draws=10**9), "draws; use 2 to 100000"),
        (lambda: Evidence(nominal_draws=2.5), "2.5 draws"),
        (lambda: Evidence(seed=-1), "the seed is -1"),
    ],
)
def test_what_cannot_be_asked(make, message):
    with pytest.raises(InvalidRequest, match=message):
        make()


def test_kinds():
    assert Questions("all").kinds == ("estimators", "nominal", "resampling", "bf16")
    assert Questions(" nominal , bf16 ").kinds == ("nominal", "bf16")
    assert Questions(["nominal"]).kinds == ("nominal",)
