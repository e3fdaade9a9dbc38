"""In a real browser: what ECharts was told and drew are the numbers of the API's figures."""

import csv
import io

import httpx2
import pytest

from ledger.access import Ledger
from ledger.jobs import NewJob, create
from ledger.runs import put_metrics
from ledger.settings import load_settings
from ledger.settle import finish_job
from service.figures.figure import Figure, Series
from tests.models import write_sharded
from tests.service.cli_service import serving
from tests.service.figures.documents import metrics_lines
from tests.service.figures.test_renderers import same, told

pytestmark = pytest.mark.slow
PATIENCE = 60_000
"""Milliseconds, for a busy machine."""

OPTION = "box => echarts.getInstanceByDom(box)?.getOption()"
MARKS = """box => [...box.querySelectorAll("svg path")].filter(
  (path) => path.getBBox().width > 0 && path.getBBox().height > 0).length"""
OTHERS = "with={other}&shape=triangle&budgets=true&stability=true"


class Served:
    """A service with plans, an analysis and a training, and a page in a browser."""

    def __init__(self, http: httpx2.Client, page, model: str, training: str) -> None:
        self.http, self.page, self.training = http, page, training
        self.plan, self.analysis = self._plan(model, 31)
        self.other, _ = self._plan(model, 40)

    def _plan(self, model: str, budget: int) -> tuple[str, str]:
        body = {"model": model, "expert_budget": budget}
        sent = self.http.post("/v1/plans", json=body, headers={"Prefer": "wait=60"}).json()
        assert sent["status"] == "succeeded", sent
        return sent["id"], sent["analysis_id"]

    def drawn(self, place: str, name: str) -> tuple[dict, Figure, list[dict[str, str]], int]:
        """A figure on a page: its option, the API's record and CSV, how many shapes are there."""
        self.page.goto(place)
        box = self.page.locator(f'[data-figure*="/figures/{name}?"]')
        box.locator("svg path").first.wait_for(state="attached")
        address = box.get_attribute("data-figure")
        record = self.http.get(address.replace("format=echarts", "format=json")).text
        text = self.http.get(address.replace("format=echarts", "format=csv")).text
        rows = list(csv.DictReader(io.StringIO(text)))
        return box.evaluate(OPTION), Figure.model_validate_json(record), rows, box.evaluate(MARKS)


@pytest.fixture(scope="module")
def served(chromium, tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    write_sharded(folder / "models" / "small", layers=6, width=64, fall=0.3)
    model = str(folder / "models" / "small")
    with (
        serving(folder, "--models", folder / "models") as running,
        httpx2.Client(base_url=running.url, timeout=90) as http,
    ):
        page = chromium.new_page(base_url=running.url)
        page.set_default_timeout(PATIENCE)
        yield Served(http, page, model, training_in(running.data, model))
        page.close()


def training_in(data, model: str) -> str:
    """A training that has told of some steps, in a service's ledger."""
    ledger = Ledger(load_settings(data=data))
    request = {"place": {"model": model}, "words": {}, "data": {}}
    new = NewJob("training", "local", request, model, None, None, {}, phase="training")
    with ledger.database.write() as connection:
        job_id = create(connection, new)
        put_metrics(connection, job_id, metrics_lines(12))
        finish_job(connection, job_id, "cancelled", "this is all it tells")
    ledger.database.close()
    return job_id


def matrix(served) -> str:
    rows = served.http.get(f"/v1/analyses/{served.analysis}/layers").json()["data"]
    return rows[-1]["name"]


FIGURES = {
    "experts": "/plans/{plan}?" + OTHERS,
    "plans": "/plans/{plan}?" + OTHERS,
    "budgets": "/plans/{plan}?" + OTHERS,
    "stability": "/plans/{plan}?" + OTHERS,
    "alphas": "/analyses/{analysis}",
    "checkpoints": "/analyses/{analysis}?with={analysis}",
    "esd": "/analyses/{analysis}?matrix={matrix}&mp=true",
    "training": "/trainings/{training}",
    "load": "/trainings/{training}",
}


@pytest.mark.parametrize("name", FIGURES)
def test_the_page_draws_the_numbers_of_the_api(served, name):
    words = {**vars(served), "matrix": matrix(served)}
    option, figure, rows, marks = served.drawn(FIGURES[name].format(**words), name)
    series = [(panel.title, each) for panel in figure.panels for each in panel.series]
    assert figure.name == name
    assert option["title"][0]["text"] == figure.title
    assert [one["name"] for one in option["series"]] == [each.name for _, each in series]
    for one, (title, each) in zip(option["series"], series, strict=True):
        numbers = (each.x, each.y, each.low, each.high, each.values)
        assert all(map(same, told(one, each), numbers)), each.name
        mine = [row for row in rows if (row["panel"], row["series"]) == (title, each.name)]
        assert all(map(same, written(mine, each), numbers)), each.name
    assert marks >= sum(len(each.x) for _, each in series if each.kind in ("bars", "heat"))


def written(rows: list[dict[str, str]], series: Series) -> list[list[float | None]]:
    """The numbers of a series in the CSV: x, y, low, high, values."""
    columns = {name: [float(row[name]) if row[name] else None for row in rows]
               for name in ("x", "y", "low", "high", "value")}  # fmt: skip
    if series.kind == "step":
        columns["x"].append(float(rows[-1]["x_end"]))
    records = (series.x, series.y, series.low, series.high, series.values)
    return [
        column if record else [value for value in column if value is not None]
        for column, record in zip(columns.values(), records, strict=True)
    ]
