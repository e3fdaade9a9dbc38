"""Several owners over one service: quotas, sharing, gated models, refusals."""

import pytest

from tests.service.api.conftest import BUDGET
from tests.service.api.keys import REACHED, new_key
from tests.worker.pump import pump


def plan(api, headers, **words):
    body = {"model": api.model, "expert_budget": BUDGET, **words}
    return api.http.post("/v1/plans", json=body, headers=headers)


def get(api, path, headers):
    return api.http.get(path, headers=headers)


def test_an_owner_that_asks_too_often_is_told_when_to_come_again(make_api):
    api = make_api(**REACHED, submit_rate=0.01, submit_burst=3)
    ann, same, ben = (new_key(api, owner, owner) for owner in ("ann", "ann", "ben"))
    statuses = [plan(api, key).status_code for key in (ann, same, ann, same, ben)]
    assert statuses == [202, 202, 202, 429, 202]
    refused = plan(api, ann)
    assert refused.json()["code"] == "quota_exceeded"
    assert refused.json()["retryable"] is True
    assert 1 <= int(refused.headers["retry-after"]) <= 100
    assert get(api, "/v1/plans", ann).status_code == 200, "reading is not limited"


def test_open_jobs_are_limited_and_a_repetition_is_not_counted(make_api):
    api = make_api(**REACHED, open_jobs=2)
    ann = new_key(api, "a", "ann")
    once = {**ann, "Idempotency-Key": "1"}
    first = plan(api, once)
    assert plan(api, ann).status_code == 202
    assert plan(api, ann).json()["code"] == "quota_exceeded"
    again = plan(api, once)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    pump(api.ledger)
    assert plan(api, ann).status_code == 201


def test_a_look_at_a_model_and_a_retry_count_too(make_api):
    api = make_api(**REACHED, open_jobs=1)
    ann = new_key(api, "a", "ann")
    job = plan(api, ann).json()["links"]["self"]
    looked = api.http.get("/v1/model-info", params={"model": api.model}, headers=ann)
    assert looked.json()["code"] == "quota_exceeded"
    assert api.http.post(f"{job}/cancel", headers=ann).status_code == 202
    assert plan(api, ann).status_code == 202
    assert api.http.post(f"{job}/retry", headers=ann).json()["code"] == "quota_exceeded"


def test_without_keys_nothing_is_limited(make_api):
    api = make_api(submit_rate=0.01, submit_burst=1, open_jobs=1)
    assert [api.plan().status_code for _ in range(3)] == [202] * 3


def test_where_jobs_are_shared_all_read_and_the_owner_changes(make_api):
    api = make_api(**REACHED, shared=True)
    ann, ben = new_key(api, "a", "ann"), new_key(api, "b", "ben")
    made = plan(api, ann).json()
    job = made["links"]["self"]
    assert get(api, job, ben).json()["id"] == made["id"]
    assert [each["id"] for each in get(api, "/v1/plans", ben).json()["data"]] == [made["id"]]
    assert api.http.post(f"{job}/cancel", headers=ben).status_code == 404
    assert api.http.delete(job, headers=ben).status_code == 404
    pump(api.ledger)
    from_hers = {"analysis_id": made["analysis_id"], "expert_budget": BUDGET}
    theirs = api.http.post("/v1/plans", json=from_hers, headers=ben)
    assert theirs.status_code == 201
    assert api.http.delete(theirs.json()["links"]["self"], headers=ben).status_code == 204


def test_an_admin_reaches_all_jobs(make_api):
    api = make_api(**REACHED)
    ann, root = new_key(api, "a", "ann"), new_key(api, "r", "root", "admin")
    job = plan(api, ann).json()["links"]["self"]
    assert len(get(api, "/v1/plans", root).json()["data"]) == 1
    assert api.http.post(f"{job}/cancel", headers=root).status_code == 202
    assert get(api, job, ann).json()["status"] == "cancelled"


@pytest.mark.parametrize("kind", ["gated", "private"])
def test_models_that_are_not_everybodys_need_the_scope(make_api, hub, tiny, monkeypatch, kind):
    hub.tokens["hf_operator"] = "operator"
    hub.add("org/secret", tiny, **{kind: {"operator"}})
    monkeypatch.setenv("HF_TOKEN", "hf_operator")
    api = make_api(**REACHED)
    ann, trusted = new_key(api, "a", "ann"), new_key(api, "t", "ann", "write", "gated")
    stranger, root = new_key(api, "b", "ben"), new_key(api, "r", "root", "admin")
    refused = plan(api, ann, model="org/secret")
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    assert "gated" in refused.json()["detail"]
    made = plan(api, trusted, model="org/secret").json()
    pump(api.ledger)
    job, analysis = made["links"]["self"], made["links"]["analysis"]
    assert get(api, job, trusted).json()["status"] == "succeeded"
    for key in (ann, stranger, root):
        for path in (job, f"{job}/events", f"{job}/export?format=csv", f"{analysis}/document"):
            assert get(api, path, key).status_code == 404, path
        assert get(api, "/v1/plans", key).json()["data"] == []
        assert plan(api, key, model="org/secret").status_code == 403, "stored ones too"
        from_it = {"analysis_id": made["analysis_id"], "expert_budget": BUDGET}
        answer = api.http.post("/v1/plans", json=from_it, headers=key)
        assert answer.status_code == 404
        look = api.http.get("/v1/model-info", params={"model": "org/secret"}, headers=key)
        assert look.status_code == 403
    assert plan(api, ann, model="org/tiny").status_code in (201, 202)


def test_who_comes_without_a_valid_key_comes_seldom(make_api):
    api = make_api(**REACHED, refusals=5)
    wrong = {"Authorization": "Bearer tlr_wrong"}
    statuses = [get(api, "/v1/plans", headers).status_code for headers in [{}, wrong] * 4]
    assert statuses == [401] * 5 + [429] * 3
    refused = get(api, "/v1/plans", {})
    assert refused.json()["code"] == "quota_exceeded"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert get(api, "/v1/plans", new_key(api, "a", "ann")).status_code == 200
    assert get(api, "/healthz", {}).status_code == 200
