"""A small model's analysis and plan, and a figure of every kind made from them."""

import pytest

from allocator.planner import plan
from analyzer.api import analyze
from analyzer.series import series_of
from analyzer.store import FolderStore
from service.figures.alphas import alphas
from service.figures.budgets import budgets
from service.figures.checkpoints import checkpoints
from service.figures.comparison import comparison
from service.figures.esd import esd, layer_esds, of_layer
from service.figures.experts import experts
from service.figures.kept import spectra_of
from service.figures.load import load
from service.figures.plans import plans, stability
from service.figures.training import training
from tests.models import write_sharded
from tests.service.figures.documents import compared, metrics_lines

LAYERS = 6
MATRIX = "model.layers.3.mlp.up_proj.weight"
CATALOGUED = (
    "esd", "esds", "alphas", "checkpoints", "experts", "plans", "stability", "budgets", "training",
    "load", "comparison",
)  # fmt: skip


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """6 layers of 4 matrices of 64 × 64 whose tails differ by layer."""
    folder = tmp_path_factory.mktemp("figures") / "model"
    write_sharded(folder, layers=LAYERS, width=64, fall=0.3)
    return folder


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    return FolderStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def analysis(model, store):
    return analyze(model, cache=store.folder)


@pytest.fixture(scope="session")
def made_plan(analysis):
    return plan(analysis, budget=31)


@pytest.fixture(scope="session")
def matrix(analysis):
    return next(each for each in analysis.matrices if each.name == MATRIX)


@pytest.fixture(scope="session")
def spectrum(analysis, matrix, store):
    return spectra_of(analysis, [matrix], store)[0]


@pytest.fixture(scope="session")
def figures(analysis, made_plan, matrix, spectrum, store):
    """A figure of every name."""
    layer = of_layer(analysis, 3)
    lines = metrics_lines(40)
    found = [
        esd(analysis, matrix, spectrum, marchenko_pastur=True),
        layer_esds(
            analysis, list(zip(layer, spectra_of(analysis, layer, store), strict=True)), bins=30
        ),
        alphas(analysis),
        checkpoints(series_of([analysis] * 3)),
        experts(made_plan, shapes=["hourglass"]),
        plans(made_plan, plan(analysis, budget=36, method="mola"), ("ours", "mola")),
        stability(made_plan),
        budgets(made_plan),
        training(lines),
        load(lines),
        comparison(compared()),
    ]
    return {figure.name: figure for figure in found}
