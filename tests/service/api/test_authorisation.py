"""Every endpoint by every kind of caller, by the router: a new one without a row fails."""

import json

import pytest

from ledger.jobs import NewJob, create
from ledger.keys import revoke_key
from ledger.results import put_result
from ledger.runs import put_file, put_metrics
from ledger.settle import finish_job
from tests.service.api.conftest import BUDGET
from tests.service.api.keys import REACHED, new_key
from tests.service.figures.documents import compared, metrics_lines
from tests.worker.pump import pump

FIGURES = {
    "plan": "experts", "analysis": "alphas", "training": "load", "comparison": "comparison",
}  # fmt: skip
COMPARED = {"schema": "tailora.comparison-result/1", "status": "finished", "files": [],
            "comparison": compared().model_dump(mode="json")}  # fmt: skip
RESULTS = {"training": "{}", "comparison": json.dumps(COMPARED)}
UPLOAD = {"params": {"name": "texts.csv"}, "content": b"text,label\na,1\nb,2\n"}
CSV = {"content-type": "text/csv"}
CALLERS = ("none", "read", "write", "admin", "gated", "revoked", "other")
OPEN = (200,) * 7
SEES = (401, 200, 200, 200, 403, 401, 404)
"""A job: who reads it, by caller."""

ITS_OWN = (401, 200, 200, 200, 403, 401, 200)
"""What is the caller's own, whoever that is."""

TABLE = {
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): (503,) * 7,  # no worker runs here
    ("GET", "/version"): OPEN,
    ("GET", "/metrics"): OPEN,
    ("GET", "/problems/{code}"): OPEN,
    ("GET", "/v1/methods"): ITS_OWN,
    ("GET", "/v1/model-info"): ITS_OWN,
    ("POST", "/v1/plans"): (401, 403, 201, 201, 403, 401, 201),
    ("GET", "/v1/plans"): ITS_OWN,
    ("GET", "/v1/plans/{job_id}"): SEES,
    ("GET", "/v1/plans/{job_id}/export"): SEES,
    ("GET", "/v1/plans/{job_id}/figures/{name}"): SEES,
    ("GET", "/v1/plans/{job_id}/events"): SEES,
    ("POST", "/v1/plans/{job_id}/cancel"): (401, 403, 409, 409, 403, 401, 404),
    ("POST", "/v1/plans/{job_id}/retry"): (401, 403, 409, 409, 403, 401, 404),
    ("DELETE", "/v1/plans/{job_id}"): (401, 403, 204, 204, 403, 401, 404),
    ("POST", "/v1/datasets"): (401, 403, 201, 201, 403, 401, 201),
    ("GET", "/v1/datasets"): ITS_OWN,
    ("GET", "/v1/datasets/{name_or_id}"): SEES,
    ("DELETE", "/v1/datasets/{name_or_id}"): (401, 403, 204, 204, 403, 401, 404),
    ("POST", "/v1/trainings"): (401, 403, 422, 422, 403, 401, 404),  # of settings that cannot be
    ("GET", "/v1/trainings"): ITS_OWN,
    ("GET", "/v1/trainings/{job_id}"): SEES,
    ("GET", "/v1/trainings/{job_id}/metrics"): SEES,
    ("GET", "/v1/trainings/{job_id}/checkpoints"): SEES,
    ("GET", "/v1/trainings/{job_id}/adapter"): SEES,
    ("GET", "/v1/trainings/{job_id}/adapter/{name}"): SEES,
    ("GET", "/v1/trainings/{job_id}/figures/{name}"): SEES,
    ("GET", "/v1/trainings/{job_id}/events"): SEES,
    ("POST", "/v1/trainings/{job_id}/cancel"): (401, 403, 409, 409, 403, 401, 404),
    ("POST", "/v1/trainings/{job_id}/retry"): (401, 403, 409, 409, 403, 401, 404),
    ("DELETE", "/v1/trainings/{job_id}"): (401, 403, 204, 204, 403, 401, 404),
    ("POST", "/v1/comparisons"): (401, 403, 422, 422, 403, 401, 404),
    ("GET", "/v1/comparisons"): ITS_OWN,
    ("GET", "/v1/comparisons/{job_id}"): SEES,
    ("GET", "/v1/comparisons/{job_id}/figures/{name}"): SEES,
    ("GET", "/v1/comparisons/{job_id}/events"): SEES,
    ("POST", "/v1/comparisons/{job_id}/cancel"): (401, 403, 409, 409, 403, 401, 404),
    ("POST", "/v1/comparisons/{job_id}/retry"): (401, 403, 409, 409, 403, 401, 404),
    ("DELETE", "/v1/comparisons/{job_id}"): (401, 403, 204, 204, 403, 401, 404),
    ("POST", "/v1/analyses"): (401, 403, 201, 201, 403, 401, 201),
    ("GET", "/v1/analyses"): ITS_OWN,
    ("GET", "/v1/analyses/{job_id}"): SEES,
    ("GET", "/v1/analyses/{job_id}/document"): SEES,
    ("GET", "/v1/analyses/{job_id}/layers"): SEES,
    ("GET", "/v1/analyses/{job_id}/layers/{name}/esd"): SEES,
    ("GET", "/v1/analyses/{job_id}/figures/{name}"): SEES,
    ("GET", "/v1/analyses/{job_id}/events"): SEES,
    ("POST", "/v1/analyses/{job_id}/cancel"): (401, 403, 409, 409, 403, 401, 404),
    ("POST", "/v1/analyses/{job_id}/retry"): (401, 403, 409, 409, 403, 401, 404),
    ("DELETE", "/v1/analyses/{job_id}"): (401, 403, 204, 204, 403, 401, 404),
}
"""Statuses in the order of CALLERS, for a finished plan of `ann`; `other` may write, for `ben`."""


@pytest.fixture
def api(make_api):
    return make_api(**REACHED, refusals=0, submit_burst=1000)


@pytest.fixture
def callers(api):
    """The headers of every kind of caller."""
    found = {scope: new_key(api, scope, "ann", scope) for scope in ("read", "write", "gated")}
    found["admin"] = new_key(api, "admin", "root", "admin")
    found["revoked"] = new_key(api, "revoked", "ann")
    found["other"] = new_key(api, "other", "ben")
    with api.ledger.database.write() as connection:
        revoke_key(connection, "revoked")
    return {**found, "none": {}}


def finished(api, headers) -> dict[str, str]:
    """A plan and its analysis, done, and a dataset: their ids, and the name of a matrix."""
    body = {"model": api.model, "expert_budget": BUDGET}
    plan = api.http.post("/v1/plans", json=body, headers=headers).json()
    pump(api.ledger)
    layers = api.http.get(f"/v1/analyses/{plan['analysis_id']}/layers", headers=headers).json()
    dataset = api.http.post("/v1/datasets", headers={**CSV, **headers}, **UPLOAD).json()
    return {
        "plan": plan["id"], "analysis": plan["analysis_id"], "name": layers["data"][0]["name"],
        "dataset": dataset["id"], "training": ended(api, "training"),
        "comparison": ended(api, "comparison"),
    }  # fmt: skip


def ended(api, kind: str) -> str:
    """A training or comparison of `ann` that has succeeded, as its worker would have left it."""
    request = {"place": {"model": api.model}, "words": {}, "data": {}}
    new = NewJob(kind, "ann", request, api.model, None, None, {}, phase="training")
    with api.ledger.database.write() as connection:
        job_id = create(connection, new)
        digest = api.ledger.artifacts.put(connection, b"{}")
        put_file(connection, job_id, "adapter/config.json", artifact=digest, size=2)
        put_metrics(connection, job_id, metrics_lines(2))
        put_result(connection, api.ledger.artifacts, job_id, RESULTS[kind], None)
        finish_job(connection, job_id, "succeeded", "the training is there")
    return job_id


def request(api, method: str, path: str, job: dict[str, str], headers) -> int:
    """The status of the endpoint's answer to a request that is right but for who asks."""
    kinds = {"analyses": "analysis", "trainings": "training", "comparisons": "comparison"}
    kind = kinds.get([*path.split("/"), "", ""][2], "plan")
    name = "config.json" if kind == "training" else job["name"]
    if "figures" in path:
        name = FIGURES[kind]
    address = path.format(job_id=job[kind], name=name, code="conflict", name_or_id=job["dataset"])
    if (method, path) == ("POST", "/v1/datasets"):
        return api.http.post(path, headers={**CSV, **headers}, **UPLOAD).status_code
    params = {"format": "csv"} if path.endswith("export") else {}
    if path == "/v1/model-info":
        params = {"model": api.model}
    body = None
    if (method, path) == ("POST", "/v1/plans"):
        body = {"model": api.model, "expert_budget": BUDGET}
    if (method, path) == ("POST", "/v1/analyses"):
        body = {"model": api.model}
    if (method, path) == ("POST", "/v1/trainings"):
        body = {"plan_id": job["plan"], "dataset": job["dataset"], "settings": {"colour": 1}}
    if (method, path) == ("POST", "/v1/comparisons"):
        body = {"plans": {"a": job["plan"]}, "dataset": job["dataset"], "against": ["sideways"]}
    return api.http.request(method, address, params=params, json=body, headers=headers).status_code


def routes(api) -> set[tuple[str, str]]:
    paths = api.http.get("/openapi.json").json()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def test_the_table_has_every_endpoint(api):
    assert routes(api) == TABLE.keys()


def test_cell_by_cell(api, callers):
    found, job = {}, finished(api, callers["write"])
    for method, path in TABLE:
        statuses = []
        for caller in CALLERS:
            if method == "DELETE":  # one that went is not there for the next
                job = finished(api, callers["write"])
            statuses.append(request(api, method, path, job, callers[caller]))
            pump(api.ledger)
        found[method, path] = tuple(statuses)
        job = finished(api, callers["write"])
    assert found == TABLE
