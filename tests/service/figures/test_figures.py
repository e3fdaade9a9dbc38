"""The numbers of every figure against the documents, numpy, scipy and pandas."""

import csv
import io
import math

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from safetensors.torch import load_file
from scipy.integrate import quad

from allocator.mola import SHAPES
from allocator.planner import plan
from analyzer.report import Analysis
from analyzer.series import series_of
from analyzer.tails import Fit
from service.figures.alphas import alphas
from service.figures.budgets import budgets
from service.figures.catalogue import check_name, source_of
from service.figures.checkpoints import checkpoints
from service.figures.comparison import comparison
from service.figures.errors import NothingToDraw, UnknownFigure
from service.figures.esd import esd
from service.figures.experts import experts
from service.figures.figure import Figure, Series
from service.figures.load import load
from service.figures.marchenko_pastur import law
from service.figures.places import short_name
from service.figures.plans import plans, stability
from service.figures.training import smoothed, training
from tests.service.figures.conftest import LAYERS, MATRIX
from tests.service.figures.documents import LOSSES, compared, metrics_lines


@pytest.fixture(scope="module")
def eigenvalues(model) -> np.ndarray:
    """By numpy in float64, from the file."""
    (file,) = [path for path in model.glob("*.safetensors") if MATRIX in load_file(path)]
    weight = load_file(file)[MATRIX].double().numpy()
    return np.sort(np.linalg.svd(weight, compute_uv=False) ** 2)


def without_fit(analysis: Analysis, name: str) -> Analysis:
    """The analysis as it is where one matrix has no fit."""
    matrices = tuple(
        each.model_copy(update={"fits": {"hill": Fit(status="rank_deficient")}})
        if each.name == name else each
        for each in analysis.matrices
    )  # fmt: skip
    return analysis.model_copy(update={"matrices": matrices})


def test_a_histogram_is_numpys(figures, eigenvalues):
    step = figures["esd"].panels[0].series[0]
    assert (step.kind, len(step.y)) == ("step", 100)
    real = eigenvalues[eigenvalues > eigenvalues.size * 2**-23 * eigenvalues[-1]]
    assert real.size == eigenvalues.size - 1, "one lies at float32's rounding level"
    assert figures["esd"].notes == ("1 eigenvalues at rounding level are in no bin",)
    edges = np.geomspace(real[0], real[-1], 101)
    assert np.allclose(step.x, edges, rtol=1e-3)
    inner = np.array(step.x)
    inner[0], inner[-1] = 0, np.inf  # float32 rounds the smallest and the largest
    counts, _ = np.histogram(real, inner)
    heights = counts / (eigenvalues.size * np.diff(step.x))
    assert [y is None for y in step.y] == (counts == 0).tolist()
    assert np.allclose([y or 0.0 for y in step.y], heights, rtol=1e-9)


def test_a_tail_is_hills(figures, eigenvalues, matrix):
    """By the formula alone: the larger half, threshold counted."""
    *_, xmin, line = figures["esd"].panels[0].series
    tail = eigenvalues[eigenvalues.size // 2 - 1 :]
    tail = tail[-matrix.fits["hill"].tail :]
    alpha = 1 + tail.size / np.log(tail / tail[0]).sum()
    assert line.name == f"λ^−{alpha:.2f}"
    assert xmin.x == pytest.approx([tail[0]], rel=1e-5)
    assert line.x == pytest.approx([tail[0], tail[-1]], rel=1e-5)
    slope = np.diff(np.log(line.y)) / np.diff(np.log(line.x))
    assert slope == pytest.approx([-alpha], rel=1e-5)
    area, _ = quad(lambda x: line.y[0] * (x / line.x[0]) ** slope[0], line.x[0], np.inf)
    assert area == pytest.approx(tail.size / eigenvalues.size, rel=1e-4)
    assert figures["esd"].subtitle.startswith(f"alpha {alpha:.3f} ± ")
    assert "ks_distance" in figures["esd"].subtitle


def test_the_law_of_a_random_matrix():
    """Mass and mean by quadrature in λ itself, and the spectrum of a random matrix."""
    shape, variance = (300, 900), 0.04
    x, y = law(shape, variance)
    edge = [900 * variance * (1 + sign * math.sqrt(1 / 3)) ** 2 for sign in (-1, 1)]
    assert edge[0] < x[0] < x[-1] < edge[1]

    def density(value: float) -> float:
        root = math.sqrt(max((edge[1] - value) * (value - edge[0]), 0.0))
        return root / (2 * math.pi * 300 * variance * value)

    assert y == pytest.approx([density(each) for each in x], rel=1e-9)
    assert quad(density, *edge)[0] == pytest.approx(1, abs=1e-6)
    drawn = np.random.default_rng(1).normal(0, math.sqrt(variance), shape)
    values = np.linalg.svd(drawn, compute_uv=False) ** 2
    shares, edges = np.histogram(values, 8, density=True)
    middles = (edges[:-1] + edges[1:]) / 2
    assert shares == pytest.approx([density(each) for each in middles], rel=0.15)


def test_a_failed_fit_is_labelled(analysis, spectrum):
    broken = without_fit(analysis, MATRIX)
    matrix = next(each for each in broken.matrices if each.name == MATRIX)
    made = esd(broken, matrix, spectrum)
    assert made.subtitle == "no fit by hill: rank_deficient"
    assert made.notes[0] == "no fit: rank_deficient"
    assert [series.kind for series in made.panels[0].series] == ["step"]
    hollow = next(s for s in alphas(broken).panels[0].series if s.hollow)
    assert hollow.labels == (f"{MATRIX}: rank_deficient",)
    assert hollow.x == (3.0,)
    assert "1 of 24 matrices have no fit" in alphas(broken).notes


def test_alphas_are_the_analysis(analysis, figures):
    axis = figures["alphas"].panels[0].x
    assert axis.categories == tuple(map(str, range(LAYERS)))
    series = {each.name: each for each in figures["alphas"].panels[0].series}
    points = series["self_attn.q_proj"]
    mine = [each for each in analysis.matrices if each.module == "self_attn.q_proj"]
    assert list(points.y) == [each.fits["hill"].alpha for each in mine]
    assert list(points.labels) == [each.name for each in mine]
    mean, errors = series["mean of the layer"], series["± nominal standard error"]
    for place, layer in enumerate(analysis.layers):
        of_layer = [each.fits["hill"].alpha for each in analysis.matrices if each.layer == place]
        assert mean.y[place] == pytest.approx(np.mean(of_layer))
        assert errors.high[place] - layer.alpha == pytest.approx(layer.nominal_standard_error)
    assert (series["2 to 6, usual in trained models (Martin, Peng and Mahoney 2021)"].low) == (2.0,)


def test_experts_are_the_plans(made_plan, figures):
    bars, uniform, shape = figures["experts"].panels[0].series
    assert bars.y == made_plan.counts
    assert bars.labels == tuple(map(str, made_plan.counts))
    assert uniform.y == (pytest.approx(31 / 6),)
    assert sum(shape.y) == 31
    assert shape.name == f"MoLA hourglass ({''.join(map(str, SHAPES['hourglass']))})"
    assert "budget 31 experts, 31 allocated over 6 layers" in figures["experts"].subtitle


def test_experts_of_a_plan_per_module(analysis):
    made = plan(analysis, budget=24, per_module=True)
    bars = experts(made).panels[0].series[0]
    expected = [np.mean([module.experts for module in layer.modules]) for layer in made.layers]
    assert list(bars.y) == expected
    assert sum(bars.y) == pytest.approx(24)
    assert "means of layers" in experts(made).notes[0]


def test_two_plans_and_their_difference(analysis, made_plan):
    other = plan(analysis, budget=20, method="uniform")
    first, second = plans(made_plan, other, ("a", "b")).panels
    assert [series.y for series in first.series] == [made_plan.counts, other.counts]
    expected = np.subtract(other.counts, made_plan.counts)
    assert list(second.series[0].y) == expected.tolist()


def test_stability_is_the_plans_own(made_plan, figures):
    own, ks = figures["stability"].panels[0].series
    other = next(each for each in made_plan.stability if each.estimator == "ks")
    assert (own.y, ks.y) == (made_plan.counts, other.counts)
    assert figures["stability"].notes == ("peak: needs_float64", "peak_as_released: needs_float64")
    with pytest.raises(NothingToDraw, match="no counts by other estimators"):
        stability(plan(list(range(1, 7)), budget=12))


def test_a_budget_curve_is_a_plan_for_each_budget(analysis, made_plan, figures):
    """Against plans made one by one from the analysis itself."""
    panel = figures["budgets"].panels[0]
    heat, here = panel.series
    cells = dict(zip(zip(heat.x, heat.y, strict=True), heat.values, strict=True))
    for place, budget in enumerate(map(int, panel.x.categories)):
        expected = plan(analysis, budget=budget, rounding="webster").counts
        assert [cells[place, row] for row in range(LAYERS)] == list(expected)
    assert panel.x.categories[int(here.x[0])] == "31"
    assert (panel.x.categories[0], panel.x.categories[-1]) == ("6", "62")
    by_shape = budgets(plan(analysis, budget=12, method="mola", shape="2468"))
    assert by_shape.panels[0].heat.low == 1
    per_module = plan(analysis, budget=12, per_module=True)
    assert budgets(per_module).panels[0].series[0].values[0] == 1
    with pytest.raises(NothingToDraw, match="custom has no budget curve"):
        budgets(plan(analysis, method="custom", counts=[1, 2, 3, 4, 5, 6]))


def test_checkpoints_are_lines_or_a_heat_map(analysis):
    few, means = checkpoints(series_of([analysis] * 2)).panels
    own = [layer.alpha for layer in analysis.layers]
    assert [list(series.y) for series in few.series] == [own, own]
    assert means.series[0].y == pytest.approx([np.mean(own)] * 2)
    many = checkpoints(series_of([analysis] * 8)).panels[0]
    assert many.series[0].kind == "heat"
    assert len(many.series[0].values) == 8 * LAYERS


def test_a_loss_is_smoothed_as_pandas_does():
    lines = metrics_lines(50)
    raw, smooth = training(lines).panels[0].series
    assert list(raw.y) == [line["loss"] for line in lines]
    expected = pd.Series(raw.y).ewm(span=2).mean()
    assert list(smooth.y) == pytest.approx(expected.tolist())
    gaps = [3.0, None, 1.0, 2.0, None]
    expected = pd.Series(gaps).ewm(span=7, ignore_na=False).mean()
    found = smoothed(gaps, 7)
    assert [None if a is None else b for a, b in zip(gaps, expected, strict=True)] == [
        None if value is None else pytest.approx(value) for value in found
    ]
    broken = training([{**lines[0], "loss": math.nan}, *lines[1:]])
    assert broken.panels[0].series[0].y[0] is None
    with pytest.raises(NothingToDraw, match="no metrics yet"):
        training([])


def test_load_is_over_the_ideal_share():
    lines = metrics_lines(5)
    made = load(lines, step=2, module="q_proj")
    heat, points = made.panels[0].series[0], made.panels[1].series[1]
    two, three = (lines[1]["mixtures"][f"model.layers.{i}.q_proj"]["load_share"] for i in (0, 1))
    assert heat.values == pytest.approx([*np.array(two) * 2, *np.array(three) * 3])
    entropies = [-sum(s * math.log(s) for s in share) for share in (two, three)]
    assert points.x == pytest.approx(
        [value / math.log(len(share)) for value, share in zip(entropies, (two, three), strict=True)]
    )
    with pytest.raises(NothingToDraw, match="no router of a module k_proj"):
        load(lines, module="k_proj")
    with pytest.raises(NothingToDraw, match="no metrics of step 9; there are from 1 to 5"):
        load(lines, step=9)


def test_arms_have_students_intervals():
    """4.30265 is the quantile of Student's t with 2 degrees of freedom in every table."""
    found = compared()
    arms, differences = comparison(found).panels
    runs, means = arms.series
    assert list(runs.y) == [loss for losses in LOSSES.values() for loss in losses]
    for place, losses in enumerate(LOSSES.values()):
        half = 4.30265 * np.std(losses, ddof=1) / math.sqrt(3)
        assert means.y[place] == pytest.approx(np.mean(losses))
        assert means.high[place] - means.y[place] == pytest.approx(half, rel=1e-5)
    assert differences.series[1].y == pytest.approx(
        [np.mean(LOSSES[arm]) - np.mean(LOSSES["lora"]) for arm in ("uniform", "plan")]
    )
    assert comparison(found).notes == ("no arm differs", "three seeds are few")


def test_numbers_come_back_from_csv(figures):
    for figure in figures.values():
        rows = list(csv.DictReader(io.StringIO(figure.to_csv())))
        for panel in figure.panels:
            for series in panel.series:
                mine = [
                    row for row in rows
                    if (row["panel"], row["series"]) == (panel.title, series.name)
                ]  # fmt: skip
                read = {
                    name: [None if row[name] == "" else float(row[name]) for row in mine]
                    for name in ("x", "y", "low", "high", "value")
                }
                if series.kind == "step":
                    assert [*read["x"], float(mine[-1]["x_end"])] == list(series.x)
                elif series.x:
                    assert read["x"] == list(series.x)
                if series.y:
                    assert read["y"] == list(series.y)
                if series.low:
                    assert (read["low"], read["high"]) == (list(series.low), list(series.high))
                if series.values:
                    assert read["value"] == list(series.values)
        assert Figure.model_validate_json(figure.model_dump_json()) == figure


def test_names_and_lengths_are_checked():
    with pytest.raises(UnknownFigure, match="no figure pie of a plan; use experts, plans"):
        check_name("plan", "pie")
    with pytest.raises(UnknownFigure, match="use esd, esds, alphas"):
        source_of("pie")
    with pytest.raises(ValidationError, match="lengths do not fit a series of line"):
        Series(name="a", kind="line", x=(1.0,), y=(1.0, 2.0))
    with pytest.raises(ValidationError, match="finite"):
        Series(name="a", kind="rule", y=(math.nan,))
    assert short_name("Qwen/Qwen3-8B") == "Qwen/Qwen3-8B"
    assert short_name("/data/models/llama/") == "llama"
