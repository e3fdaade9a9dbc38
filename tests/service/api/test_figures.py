"""Figures over HTTP: every format, what they are told, and what cannot be."""

import csv
import io
import json
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from ledger.jobs import NewJob, create
from ledger.results import put_result
from ledger.runs import put_metrics
from ledger.settle import finish_job
from service.figures.drawing import check_drawing
from service.figures.figure import Figure
from service.figures.rendering import FORMATS, MEDIA_TYPES
from tests.service.api.conftest import BUDGET, LAYERS
from tests.service.api.test_analyses import weight
from tests.service.figures.documents import compared, metrics_lines

MATRIX = "model.layers.2.mlp.up_proj.weight"


@pytest.fixture
def plan(api) -> dict:
    return api.done()


def url(plan: dict, name: str, of: str = "plan") -> str:
    if of == "plan":
        return f"/v1/plans/{plan['id']}/figures/{name}"
    return f"/v1/analyses/{plan['analysis_id']}/figures/{name}"


def figure(api, address: str, **params) -> Figure:
    answer = api.http.get(address, params=params)
    assert answer.status_code == 200, answer.text
    return Figure.model_validate_json(answer.content)


def test_every_format_of_a_plans_counts(api, plan):
    made = figure(api, url(plan, "experts"))
    counts = [layer["experts"] for layer in plan["plan"]["layers"]]
    assert list(made.panels[0].series[0].y) == counts
    assert sum(counts) == BUDGET
    assert f"budget {BUDGET} experts" in made.subtitle
    found = {}
    for form in FORMATS:
        answer = api.http.get(url(plan, "experts"), params={"format": form})
        assert answer.headers["content-type"] == MEDIA_TYPES[form]
        found[form] = answer.content
    assert found["png"].startswith(b"\x89PNG\r\n\x1a\n")
    assert found["pdf"].startswith(b"%PDF-")
    assert ElementTree.fromstring(found["svg"]).tag == "{http://www.w3.org/2000/svg}svg"
    rows = list(csv.DictReader(io.StringIO(found["csv"].decode())))
    assert [float(row["y"]) for row in rows if row["kind"] == "bars"] == counts
    option = api.http.get(url(plan, "experts"), params={"format": "echarts"}).json()
    assert [item["value"][1] for item in option["series"][0]["data"]] == counts


def test_shapes_share_out_the_plans_budget(api, plan):
    made = figure(api, url(plan, "experts"), shape=["triangle", "2468"])
    _, uniform, *shapes = made.panels[0].series
    assert uniform.y == (BUDGET / LAYERS,)
    assert [series.name for series in shapes] == ["MoLA triangle (8642)", "MoLA 2468"]
    assert [sum(series.y) for series in shapes] == [BUDGET, BUDGET]
    wrong = api.http.get(url(plan, "experts"), params={"shape": "square"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_option")


def test_the_other_figures_of_a_plan(api, plan):
    other = api.done(method="uniform")
    made = figure(api, url(plan, "plans"), **{"with": other["id"]})
    ours, theirs = made.panels[0].series
    assert list(ours.y) == [layer["experts"] for layer in plan["plan"]["layers"]]
    assert set(theirs.y) == {BUDGET / LAYERS}
    made = figure(api, url(plan, "stability"))
    assert made.panels[0].series[1].name.startswith("ks (")
    assert figure(api, url(plan, "budgets")).panels[0].heat is not None
    alone = api.http.get(url(plan, "plans")).json()
    assert alone["code"] == "nothing_to_draw"
    assert "with=pln_" in alone["detail"]
    assert api.http.get(url(plan, "plans"), params={"with": "pln_0"}).status_code == 404
    assert api.http.get(url(other, "stability")).json()["code"] == "nothing_to_draw"


def test_the_spectrum_of_a_matrix(api, plan, tiny):
    """numpy's own singular values lie in the bins."""
    made = figure(api, url(plan, "esd", "analysis"), matrix=MATRIX, bins=20, mp=True)
    step, law, xmin, tail = made.panels[0].series
    values = np.linalg.svd(weight(tiny, MATRIX), compute_uv=False) ** 2
    edges = np.array(step.x)
    counts, _ = np.histogram(values, edges * (1 + 1e-5 * (np.arange(21) - 10) / 10))
    heights = np.array([y or 0.0 for y in step.y])
    assert np.allclose(heights * np.diff(edges) * values.size, counts, atol=1e-6)
    assert law.name == "Marchenko-Pastur, Q = 1"
    assert tail.x[0] == xmin.x[0]
    all_four = figure(api, url(plan, "esds", "analysis"), layer=2)
    assert len(all_four.panels) == 4
    missing = api.http.get(url(plan, "esds", "analysis"), params={"layer": 99})
    assert missing.json()["code"] == "nothing_to_draw"
    for params, code in (({}, "nothing_to_draw"), ({"matrix": "no"}, "not_found")):
        assert api.http.get(url(plan, "esd", "analysis"), params=params).json()["code"] == code


def test_alphas_and_checkpoints(api, plan):
    made = figure(api, url(plan, "alphas", "analysis"))
    mean = next(series for series in made.panels[0].series if series.name == "mean of the layer")
    assert list(mean.y) == [layer["alpha"] for layer in plan["plan"]["layers"]]
    twice = figure(api, url(plan, "checkpoints", "analysis"), **{"with": [plan["analysis_id"]] * 2})
    assert [series.y for series in twice.panels[0].series] == [mean.y] * 3


def test_unknown_figures_name_those_that_there_are(api, plan):
    answer = api.http.get(url(plan, "pie"))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "use experts, plans, stability, budgets" in answer.json()["detail"]
    wrong = api.http.get(url(plan, "experts"), params={"format": "gif"})
    assert (wrong.status_code, wrong.json()["param"]) == (422, "format")


def test_a_figure_is_drawn_once(api, plan):
    address, params = url(plan, "experts"), {"format": "svg", "theme": "dark", "width": "single"}
    first = api.http.get(address, params=params)
    drawings = api.http.app.state.drawings
    key = first.headers["etag"].strip('"')
    assert drawings.get(key) == first.content
    drawings.put(key, b"kept")
    assert api.http.get(address, params=params).content == b"kept"
    tag = {"If-None-Match": first.headers["etag"]}
    same = api.http.get(address, params=params, headers=tag)
    assert (same.status_code, same.content) == (304, b"")
    light = api.http.get(address, params={**params, "theme": "light"}, headers=tag)
    assert light.status_code == 200


def test_without_matplotlib(api, plan, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    check_drawing.cache_clear()
    answer = api.http.get(url(plan, "experts"), params={"format": "pdf"})
    assert (answer.status_code, answer.json()["code"]) == (422, "format_unavailable")
    assert "pip install 'tailora[plots]'" in answer.json()["detail"]
    assert api.http.get(url(plan, "experts"), params={"format": "csv"}).status_code == 200


def ended(api, kind: str, result: str | None) -> str:
    """A job as its worker would have left it."""
    request = {"place": {"model": api.model}, "words": {}, "data": {}}
    new = NewJob(kind, "local", request, api.model, None, None, {}, phase="training")
    with api.ledger.database.write() as connection:
        job_id = create(connection, new)
        if result is not None:
            put_result(connection, api.ledger.artifacts, job_id, result, None)
            finish_job(connection, job_id, "succeeded", "it is there")
    return job_id


def test_trainings(api):
    job_id = ended(api, "training", None)
    address = f"/v1/trainings/{job_id}/figures/training"
    assert api.http.get(address).json()["code"] == "nothing_to_draw"
    lines = metrics_lines(30)
    with api.ledger.database.write() as connection:
        put_metrics(connection, job_id, lines)
    made = figure(api, address)
    assert list(made.panels[0].series[0].y) == [line["loss"] for line in lines]
    load = f"/v1/trainings/{job_id}/figures/load"
    assert figure(api, load).subtitle.startswith("at step 30;")
    assert figure(api, load, step=7, module="v_proj").subtitle == (
        "at step 7; 2 routers; ideal share 1/E"
    )
    assert api.http.get(load, params={"step": 99}).json()["code"] == "nothing_to_draw"


def test_comparisons(api):
    found = compared()
    result = {"schema": "tailora.comparison-result/1", "status": "finished", "files": [],
              "comparison": found.model_dump(mode="json")}  # fmt: skip
    job_id = ended(api, "comparison", json.dumps(result))
    made = figure(api, f"/v1/comparisons/{job_id}/figures/comparison")
    assert list(made.panels[0].series[1].y) == [arm.loss.mean for arm in found.arms]
    waiting = ended(api, "comparison", None)
    answer = api.http.get(f"/v1/comparisons/{waiting}/figures/comparison")
    assert answer.json()["code"] == "conflict"
