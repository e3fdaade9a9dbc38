"""Whatever is wrong: a stable code, a detail that says what to do, and nothing half-created."""

import base64
import json
import os
import time

import pytest

from ledger.cursors import encode
from service.problems import TITLES, ProblemDocument
from tests.hub import actions
from tests.hub.faults import Fault
from tests.service.api.conftest import BUDGET
from tests.worker.pump import pump

JSON = {"content-type": "application/json"}


def refused(answer, code: str, *, detail: str = "", param: str | None = None):
    """One problem document of a known shape; its status is the code's."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    found = ProblemDocument.model_validate(answer.json())
    assert (found.code, found.status) == (code, answer.status_code), answer.text
    assert (answer.status_code, found.title) == TITLES[code]
    assert found.request_id == answer.headers["x-request-id"]
    assert detail in found.detail
    assert found.param == param
    assert len(answer.content) <= 4096
    return found


WRONG_WORDS = {
    "unknown method": ({"method": "alphalorra"}, "invalid_option", "alphalora_as_released"),
    "unknown parameter": ({"parameters": {"gamma": 1}}, "invalid_option", "beta"),
    "parameter of another method": ({"method": "uniform", "beta": 2.0}, "invalid_option", "none"),
    "unknown estimator": ({"estimator": "hull"}, "invalid_option", "hill"),
    "estimator and precision": (
        {"estimator": "peak", "precision": "float32"}, "invalid_option", "float64",
    ),
    "windows without subsample": ({"sample_rows": 100}, "invalid_option", "subsample"),
    "beta beyond": ({"beta": 1e9}, "invalid_option", "beta"),
    "no experts": ({"min_experts": 0}, "invalid_option", "at least 1"),
    "least above most": ({"min_experts": 5, "max_experts": 2}, "invalid_option", ""),
    "one draw": ({"stability": "resampling", "draws": 1}, "invalid_option", "draws"),
    "unknown stability": ({"stability": "luck"}, "invalid_option", "resampling"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_WORDS)
def test_options_that_cannot_be(api, case):
    words, code, detail = WRONG_WORDS[case]
    refused(api.plan(**words), code, detail=detail)
    assert api.count() == 0


WRONG_BODIES = {
    "unknown word": ({"expert_budgets": 3}, "expert_budgets"),
    "a number as text": ({"expert_budget": "160"}, "expert_budget"),
    "a model as number": ({"model": 7}, "model"),
    "budget kind": ({"budget_kind": "dozens"}, "budget_kind"),
    "too many labels": ({"metadata": {str(n): "x" for n in range(17)}}, "metadata"),
    "rank as float": ({"rank": 8.5}, "rank"),
    "an empty model": ({"model": ""}, "model"),
    "a model of 500 letters": ({"model": "a" * 500}, "model"),
}


@pytest.mark.parametrize("case", WRONG_BODIES)
def test_bodies_of_another_shape(api, case):
    words, field = WRONG_BODIES[case]
    found = refused(api.plan(**words), "invalid_request", param=field)
    assert found.errors[0].field == field
    assert api.count() == 0


def test_model_and_analysis(api):
    body = {"expert_budget": 3}
    refused(api.http.post("/v1/plans", json=body), "invalid_request", param="body")
    both = {"model": "a/b", "analysis_id": "ana_00", "expert_budget": 3}
    refused(api.http.post("/v1/plans", json=both), "invalid_request", param="body")
    unknown = {"analysis_id": "ana_00", "expert_budget": 3}
    refused(api.http.post("/v1/plans", json=unknown), "not_found")
    other = {"analysis_id": "ana_00", "aspect": "subsample"}
    found = refused(api.http.post("/v1/plans", json=other), "invalid_request", param="body")
    assert "aspect" in found.detail


BAD_JSON = {
    "nothing": (b"", "invalid_request"),
    "no JSON": (b"budget=3", "invalid_json"),
    "half": (b'{"model": "a', "invalid_json"),
    "NaN": (b'{"model": "a/b", "expert_budget": NaN}', "invalid_json"),
    "Infinity": (b'{"model": "a/b", "expert_budget": -Infinity}', "invalid_json"),
    "a number beyond floats": (b'{"model": "a/b", "expert_budget": 1e999}', "invalid_json"),
    "NUL": (b'{"model": "a\\u0000b", "expert_budget": 3}', "invalid_json"),
    "half a surrogate": (b'{"model": "\\ud800", "expert_budget": 3}', "invalid_json"),
    "Latin-1": (b'{"model": "\xe9"}', "invalid_json"),
    "200 deep": (b'{"parameters": ' + b"[" * 200 + b"]" * 200 + b"}", "invalid_json"),
    "60,000 deep": (b"[" * 60_000, "invalid_json"),
    "20,000 values": (b"[" + b"1," * 20_000 + b"1]", "invalid_json"),
    "a list": (b"[1]", "invalid_request"),
    "3,000 unknown words": (
        json.dumps({f"word{n}": n for n in range(3000)}).encode(), "invalid_request",
    ),
    "70 kB": (b'{"model": "' + b"a" * 70_000 + b'"}', "body_too_large"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_JSON)
def test_malformed_bodies(api, case):
    body, code = BAD_JSON[case]
    answer = api.http.post("/v1/plans", content=body, headers=JSON)
    found = ProblemDocument.model_validate(answer.json())
    assert (found.code, answer.status_code) == (code, TITLES[code][0]), answer.text
    assert len(found.errors) <= 10
    assert len(answer.content) <= 4096
    assert api.count() == 0


def test_a_body_without_announced_length_is_bounded(api):
    def endless():
        for _ in range(100):
            yield b"x" * 10_000

    refused(api.http.post("/v1/plans", content=endless(), headers=JSON), "body_too_large")


def test_other_media_types(api):
    body = json.dumps({"model": api.model, "expert_budget": BUDGET})
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = api.http.post("/v1/plans", content=body, headers={"content-type": kind})
        refused(answer, "media_type_unsupported")


def test_addresses(api):
    refused(api.http.get("/v1/nothing"), "not_found")
    refused(api.http.get("/nothing"), "not_found")
    refused(api.http.put("/v1/plans", json={}), "method_not_allowed")
    refused(api.http.get("/v1/plans/pln_00ff"), "not_found")
    refused(api.http.get("/v1/plans/ana_00ff"), "not_found")
    refused(api.http.get("/v1/plans/%00"), "invalid_request")
    refused(api.http.get("/v1/plans?model=%00"), "invalid_request")
    refused(api.http.get("/v1/plans/" + "a" * 70), "invalid_request", param="job_id")
    refused(api.http.get("/v1/plans?limit=0"), "invalid_request", param="limit")
    refused(api.http.get("/v1/plans?limit=101"), "invalid_request", param="limit")
    refused(api.http.get("/v1/plans?status=lost"), "invalid_request", param="status")
    refused(api.http.get("/v1/plans?created_after=now"), "invalid_request", param="created_after")


def test_host_names_of_others(api):
    """A page on the web that calls itself 127.0.0.1 by its own DNS gets nothing."""
    answer = api.http.get("/healthz", headers={"host": "evil.example:8000"})
    refused(answer, "host_not_allowed")
    assert api.http.get("/healthz", headers={"host": "localhost:8000"}).status_code == 200
    assert api.http.get("/healthz", headers={"host": "[::1]:8000"}).status_code == 200


def test_cursors(api):
    api.done()
    api.plan(expert_budget=20)
    good = api.http.get("/v1/plans?limit=1").json()["next"]
    assert api.http.get(f"/v1/plans?after={good}").status_code == 200
    listed = "/v1/plans?after={}"
    other_list = f"/v1/plans?status=failed&after={good}"
    refused(api.http.get(other_list), "invalid_cursor", detail="first page")
    for garbage in ("x", "e30", base64.b64encode(b'["a"]').decode(), "é", good[:-3]):
        refused(api.http.get(listed.format(garbage)), "invalid_cursor")
    filters = {"kind": "plan", "status": None, "model": None, "created_after": None,
               "created_before": None, "before": None}  # fmt: skip
    assert api.http.get(listed.format(encode("pln_00", filters))).status_code == 200
    content = json.loads(base64.urlsafe_b64decode(good + "=="))
    content[1] = int(time.time()) - 90_000
    old = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    refused(api.http.get(listed.format(old)), "cursor_expired", detail="first page")


def test_idempotency(api):
    """One job for one key; another body is refused, and nothing is made."""
    key = {"Idempotency-Key": "order-66"}
    body = {"model": api.model, "expert_budget": BUDGET}
    first = api.http.post("/v1/plans", json=body, headers=key)
    assert first.status_code == 202
    jobs = api.count()
    again = api.http.post("/v1/plans", json=body, headers=key)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    other = api.http.post("/v1/plans", json={**body, "expert_budget": 20}, headers=key)
    refused(other, "idempotency_key_reused", detail="new key")
    elsewhere = api.http.post("/v1/analyses", json={"model": api.model}, headers=key)
    refused(elsewhere, "idempotency_key_reused")
    for text in ("", "x" * 256, "ké".encode()):
        wrong = api.http.post("/v1/plans", json=body, headers={"Idempotency-Key": text})
        refused(wrong, "idempotency_key_invalid")
    assert api.count() == jobs


def test_jobs_that_have_ended_and_that_run(api):
    done = api.done()
    path = done["links"]["self"]
    refused(api.http.post(f"{path}/cancel"), "job_ended", detail="succeeded")
    refused(api.http.post(f"{path}/retry"), "conflict")
    refused(api.http.get(f"{path}/export?format=floppy"), "invalid_option", detail="mola")
    refused(api.http.get(f"{path}/export"), "invalid_request", param="format")
    refused(api.http.post("/v1/plans/pln_00ff/cancel"), "not_found")
    refused(api.http.post("/v1/plans/pln_00ff/retry"), "not_found")
    refused(api.http.delete("/v1/plans/pln_00ff"), "not_found")
    refused(api.http.get("/v1/plans/pln_00ff/events"), "not_found")
    waiting = api.plan(estimator="peak").json()
    refused(api.http.get(f"{waiting['links']['self']}/export?format=csv"), "plan_not_ready")
    document = f"{waiting['links']['analysis']}/document"
    refused(api.http.get(document), "conflict", detail="queued")
    esd = f"/v1/analyses/{done['analysis_id']}/layers/nothing/esd"
    refused(api.http.get(esd), "not_found", detail="layers")


def test_paths_outside_the_roots(api, tmp_path):
    """A path, a link and a file kind that lead outside: nothing is looked at there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.safetensors").write_bytes(b"x" * 100)
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(outside)
    (root / "model").mkdir()
    (root / "model" / "model.safetensors").symlink_to(outside / "secret.safetensors")
    (root / "pipe").mkdir()
    os.mkfifo(root / "pipe" / "model.safetensors")
    (root / "folder" / "model.safetensors").mkdir(parents=True)
    fresh = api.ledger.settings.model_copy(update={"models": str(root)})
    api.ledger.settings = fresh
    for path in (outside, root / "link", root / "model", root / ".." / "outside", "/etc",
                 root / "pipe", root / "folder", tmp_path / "nowhere"):  # fmt: skip
        answer = api.http.post("/v1/plans", json={"model": str(path), "expert_budget": 3})
        refused(answer, "path_not_allowed")
    missing = {"model": str(root / "nothing"), "expert_budget": 3}
    refused(api.http.post("/v1/plans", json=missing), "model_not_found")
    assert api.count() == 0


def test_no_roots(make_api, tiny):
    api = make_api(models="")
    refused(api.plan(), "path_not_allowed", detail="--models")


@pytest.mark.parametrize("model", ["./tiny", "../x", "~/x", "org/name/deep", "a..b", "org/na me"])
def test_names_that_are_none(api, model):
    answer = api.http.post("/v1/plans", json={"model": model, "expert_budget": 3})
    assert answer.json()["code"] in ("model_not_found", "path_not_allowed")
    assert api.count() == 0


def test_models_of_the_hub(api, hub, tiny):
    hub.add("org/gated", tiny, gated=True)
    hub.add("org/private", tiny, private=True)
    for body, code, detail in (
        ({"model": "org/nothing"}, "model_not_found", "HF_TOKEN"),
        ({"model": "org/private"}, "model_not_found", "private"),
        ({"model": "org/gated"}, "model_gated", "accept its conditions"),
        ({"model": "org/tiny", "revision": "v9"}, "revision_not_found", "v9"),
        ({"model": "org/tiny@v9"}, "revision_not_found", "v9"),
    ):
        answer = api.http.post("/v1/plans", json={**body, "expert_budget": BUDGET})
        refused(answer, code, detail=detail)
    assert api.count() == 0


def test_a_hub_that_does_not_answer(make_api, hub):
    api = make_api(hub_deadline=1.0)
    hub.faults.append(Fault(actions.hang(), "/api/"))
    began = time.monotonic()
    answer = api.http.post("/v1/plans", json={"model": "org/tiny", "expert_budget": BUDGET})
    found = refused(answer, "hub_unavailable", detail="again later")
    assert found.retryable
    assert int(answer.headers["retry-after"]) > 0
    assert time.monotonic() - began < 5
    assert api.count() == 0


def test_a_database_that_is_gone(api):
    """503 with when to come back, not 500."""
    api.ledger.database.engine.dispose()
    folder = api.ledger.settings.data
    folder.rename(folder.with_name("moved"))
    for call in (lambda: api.http.get("/v1/plans"), api.plan):
        answer = call()
        refused(answer, "database_unavailable")
        assert int(answer.headers["retry-after"]) > 0
    assert api.http.get("/healthz").status_code == 200
    ready = api.http.get("/readyz")
    assert ready.status_code == 503
    assert not ready.json()["database"]["ok"] or not ready.json()["migrations"]["ok"]


def test_weights_that_cannot_be_read(api, tmp_path):
    """The job fails with the same code as the command's error; the next one is not touched."""
    root = tmp_path / "root"
    (root / "bad").mkdir(parents=True)
    (root / "bad" / "model.safetensors").write_bytes(b"\x10" + b"\0" * 7 + b"no header at all")
    api.ledger.settings = api.ledger.settings.model_copy(
        update={"models": os.pathsep.join([str(root), api.ledger.settings.models])}
    )
    bad = api.http.post("/v1/plans", json={"model": str(root / "bad"), "expert_budget": 3})
    assert bad.status_code == 202
    pump(api.ledger)
    failed = api.http.get(bad.json()["links"]["self"]).json()
    assert failed["error"]["code"] == "unreadable_file"
    assert failed["error"]["title"] == TITLES["unreadable_file"][1]
    assert "safetensors" in failed["error"]["detail"]
    assert api.done()["status"] == "succeeded"


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00", "9999-12-31T23:59:59-23:59", "0001-01-01"])
def test_times_at_the_ends_of_the_calendar(api, time):
    for name in ("created_after", "created_before"):
        answer = api.http.get("/v1/plans", params={name: time})
        assert answer.status_code in (200, 422), answer.text
