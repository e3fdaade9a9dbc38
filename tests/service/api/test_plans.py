"""A plan over HTTP is the plan of the library; what is stored is never solved again."""

import json

import pytest

import tailora
from allocator.read import read_plan
from tests.service.api.conftest import BUDGET, LAYERS
from tests.worker.pump import all_units, pump, row, solved

MATRICES = 4 * LAYERS


def local_plan(api, tmp_path, **words):
    """What the library says of the same folder, with a cache of its own."""
    analysis = tailora.analyze(api.model, cache=tmp_path / "cache", scope="adaptable")
    return tailora.plan(analysis, **{"budget": BUDGET, **words})


def test_submit_poll_get(api, tmp_path):
    accepted = api.plan()
    assert accepted.status_code == 202
    body = accepted.json()
    assert accepted.headers["location"] == body["links"]["self"] == f"/v1/plans/{body['id']}"
    assert int(accepted.headers["retry-after"]) > 0
    assert body["status"] == "queued"
    assert body["plan"] is None
    pump(api.ledger)
    found = api.http.get(body["links"]["self"])
    assert "retry-after" not in found.headers
    done = found.json()
    assert done["status"] == "succeeded"
    assert done["progress"] == {
        "phase": None, "done": MATRICES, "total": MATRICES, "unit": "spectra", "fraction": 1.0,
        "eta_seconds": None,
    }  # fmt: skip
    expected = local_plan(api, tmp_path)
    assert done["plan"]["digest"] == expected.digest
    assert done["plan"]["layers"] == json.loads(expected.to_json())["layers"]
    assert read_plan(json.dumps(done["plan"]).encode()).counts == expected.counts
    assert done["plan"]["model"] == api.model
    assert done["plan"]["provenance"]["device"] == "cpu"
    assert done["plan"]["provenance"]["verified"]


def test_stored_spectra_answer_at_once(api):
    """Budget, β, method, rounding and the other estimators of float32: 201, and no unit."""
    api.done()
    units = len(all_units(api.ledger))
    for words in (
        {"expert_budget": 30}, {"parameters": {"beta": 4.0}}, {"beta": 1.0}, {"estimator": "ks"},
        {"method": "uniform"}, {"method": "mola", "shape": "2468", "expert_budget": None},
        {"rounding": "webster"}, {"per_module": True}, {"budget_kind": "mean", "expert_budget": 4},
        {"aspect": "marchenko_pastur"}, {"modules": "q_proj"},
    ):  # fmt: skip
        answer = api.plan(**words)
        assert answer.status_code == 201, (words, answer.text)
        assert answer.json()["plan"]["digest"]
    assert len(all_units(api.ledger)) == units
    assert solved(api.ledger) == MATRICES


def test_float64_estimators_measure_again(api):
    api.done()
    assert api.done(estimator="peak")["plan"]["parameters"]["estimator"] == "peak"
    assert solved(api.ledger) == 2 * MATRICES
    assert api.plan(estimator="peak_as_released").status_code == 201


def test_words_of_the_command(api, tmp_path):
    """Every option shapes the plan as it does in the library."""
    api.done()
    for words, same in (
        ({"beta": 4.0, "rank": 4, "lora_alpha": 8.0, "top_k": 1}, {}),
        ({"per_module": True, "max_experts": 4}, {}),
        ({"method": "custom", "counts": [1, 2, 3, 4, 4, 4]}, {}),
        ({"budget_kind": "parameters", "expert_budget": 100_000.0}, {"budget": 100_000}),
        ({"estimator": "ks", "weighting": "parameters", "rounding": "webster"}, {}),
    ):
        local = {name: value for name, value in words.items() if name != "expert_budget"}
        expected = local_plan(api, tmp_path, **local, **same)
        assert api.done(**words)["plan"]["digest"] == expected.digest, words


def test_stability_needs_spectra_of_its_own(api, tmp_path):
    """Random halves and rounded weights are measured by workers, then drawn by the plan."""
    done = api.done(stability=["nominal", "resampling", "bf16"], draws=4, seed=1)["plan"]
    evidence = tailora.evidence(
        api.model, ["nominal", "resampling", "bf16"], draws=4, seed=1, cache=tmp_path / "cache",
        scope="adaptable",
    )  # fmt: skip
    expected = json.loads(local_plan(api, tmp_path, evidence=evidence).to_json())
    assert [scatter["source"] for scatter in done["scatter"]] == ["nominal", "resampling"]
    assert done["scatter"] == expected["scatter"]
    assert done["stability"] == expected["stability"]
    assert api.plan(stability="all", draws=4, seed=1).status_code == 201


def test_a_plan_by_shape_reads_headers_only(api):
    done = api.done(method="mola", shape="2468", expert_budget=None)
    expected = tailora.plan(tailora.outline(api.model, hashes=True), method="mola", shape="2468")
    assert done["plan"]["digest"] == expected.digest
    assert done["analysis_id"] is None
    assert not all_units(api.ledger)
    assert len(all_units(api.ledger, "outline")) == 1
    assert done["plan"]["weights"]


def test_from_an_analysis(api):
    analysis = api.http.post("/v1/analyses", json={"model": api.model}).json()
    body = {"analysis_id": analysis["id"], "expert_budget": BUDGET}
    waiting = api.http.post("/v1/plans", json=body)
    assert waiting.status_code == 202
    pump(api.ledger)
    done = api.http.get(waiting.json()["links"]["self"]).json()
    assert done["plan"]["digest"] == api.done()["plan"]["digest"]
    assert done["analysis_id"] == analysis["id"]
    assert api.http.post("/v1/plans", json=body).status_code == 201
    asking = api.http.post("/v1/plans", json={**body, "stability": "resampling"})
    assert asking.json()["code"] == "invalid_option"
    nominal = api.http.post("/v1/plans", json={**body, "stability": ["nominal"]})
    assert nominal.json()["plan"]["scatter"][0]["source"] == "nominal"
    listed = api.http.get("/v1/plans").json()["data"]
    assert analysis["id"] in {job["analysis_id"] for job in listed}


def test_spelling_does_not_measure_again(api):
    """Modules as text or list, what stability is by default, seeds that nobody draws with."""
    first = api.done(modules="q_proj,k_proj")
    for words in ({"modules": ["q_proj", "k_proj"]}, {"stability": "estimators"}, {"seed": 7},
                  {"stability": "nominal"}):  # fmt: skip
        same = api.plan(**{"modules": "q_proj,k_proj", **words})
        assert same.status_code == 201
        assert same.json()["analysis_id"] == first["analysis_id"]


def test_a_budget_that_cannot_be(api):
    """Found by headers, before any weight is read; refused at once where these are known."""
    failed = api.done(expert_budget=3)
    assert failed["status"] == "failed"
    assert failed["plan"] is None
    assert failed["error"]["code"] == "budget_infeasible"
    assert "6" in failed["error"]["detail"]
    assert not all_units(api.ledger)
    assert row(api.ledger, failed["analysis_id"])["state"] == "failed"
    jobs = api.count()
    for words, code in (
        ({"expert_budget": 3}, "budget_infeasible"),
        ({"expert_budget": 3, "method": "uniform"}, "budget_infeasible"),
        ({"method": "custom", "counts": [1, 2], "expert_budget": None}, "invalid_option"),
        ({"modules": "v_proj"}, "invalid_option"),
        ({"stack": "vision"}, "invalid_option"),
    ):
        again = api.plan(**words)
        assert (again.status_code, again.json()["code"]) == (422, code)
    assert api.count() == jobs


def test_prefer_wait_and_etag(api):
    api.done()
    waited = api.http.post(
        "/v1/plans", json={"model": api.model, "expert_budget": 20}, headers={"Prefer": "wait=5"}
    )
    assert waited.status_code == 201
    path = waited.json()["links"]["self"]
    first = api.http.get(path)
    again = api.http.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    slow = api.http.post(
        "/v1/plans",
        json={"model": api.model, "expert_budget": 20, "estimator": "peak"},
        headers={"Prefer": "respond-async, wait=1"},
    )
    assert slow.status_code == 202
    before = api.http.get(slow.json()["links"]["self"]).headers["etag"]
    pump(api.ledger)
    after = api.http.get(slow.json()["links"]["self"], headers={"If-None-Match": before})
    assert after.status_code == 200


def test_lists_and_pages(api):
    api.done()
    ids = [api.plan(expert_budget=budget).json()["id"] for budget in range(20, 25)]
    seen, after = [], None
    while True:
        query = {"limit": 2, "status": "succeeded", **({"after": after} if after else {})}
        page = api.http.get("/v1/plans", params=query).json()
        seen += [job["id"] for job in page["data"]]
        assert all("plan" not in job for job in page["data"])
        after = page["next"]
        if not page["has_more"]:
            break
    assert seen[:5] == ids[::-1]
    assert len(seen) == len(set(seen)) == 6
    assert after is None
    assert api.http.get("/v1/plans", params={"status": "failed"}).json()["data"] == []
    assert api.http.get("/v1/plans", params={"model": "other"}).json()["data"] == []
    future = {"created_after": "2100-01-01T00:00:00Z"}
    assert api.http.get("/v1/plans", params=future).json()["data"] == []


def test_events_are_numbered_steps(api):
    done = api.done()
    path = f"/v1/analyses/{done['analysis_id']}/events"
    events = api.http.get(path).json()["data"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    types = [event["type"] for event in events]
    assert types == ["queued", "started", "outlined", "planned", "measured", "succeeded"]
    rest = api.http.get(path, params={"after": 2, "limit": 2}).json()
    assert [event["seq"] for event in rest["data"]] == [3, 4]
    assert rest["has_more"]


@pytest.mark.parametrize("to", ["mola", "peft", "csv", "guilomo"])
def test_export(api, to):
    done = api.done()
    plan = read_plan(json.dumps(done["plan"]).encode())
    expected = tailora.export_plan(plan, to, nearest=True)
    path = f"{done['links']['export']}?format={to}&nearest=true"
    as_json = api.http.get(path, headers={"Accept": "application/json"}).json()
    assert as_json == json.loads(expected.model_dump_json())
    file = api.http.get(path)
    if len(expected.files) == 1:
        assert file.text == next(iter(expected.files.values()))
    else:
        assert file.headers["content-type"] == "application/zip"


def test_delete_and_retry(api):
    failed = api.done(expert_budget=3)  # nobody has read the headers yet
    path = failed["links"]["self"]
    assert api.http.post(f"{path}/retry").status_code == 202
    again = api.http.get(path).json()
    assert again["status"] == "failed"
    assert again["attempt"] == 2
    running = api.plan(expert_budget=20, estimator="peak").json()
    assert api.http.delete(running["links"]["self"]).json()["code"] == "conflict"
    assert api.http.delete(path).status_code == 204
    assert api.http.get(path).status_code == 404
    assert api.http.get(f"/v1/analyses/{failed['analysis_id']}").status_code == 404
