"""Who is let in: nobody without a key but on this machine; a key sees its owner's jobs alone."""

import pytest

from ledger.errors import SettingsError
from ledger.keys import revoke_key
from service.server import check_access
from tests.service.api.conftest import BUDGET
from tests.service.api.keys import REACHED, new_key


@pytest.fixture
def guarded(make_api):
    """An API that others reach."""
    return make_api(**REACHED)


def test_nothing_without_a_valid_key(guarded):
    key = new_key(guarded, "alice", "alice")
    revoked = new_key(guarded, "old", "alice")
    with guarded.ledger.database.write() as connection:
        revoke_key(connection, "old")
    wrong = [
        {}, revoked, {"Authorization": key["Authorization"][:-1]}, {"Authorization": "Bearer x"},
        {"Authorization": key["Authorization"].replace("Bearer", "Basic")},
        {"Authorization": "Bearer"},
    ]  # fmt: skip
    answers = [guarded.http.get("/v1/plans", headers=headers) for headers in wrong]
    bodies = [{k: v for k, v in a.json().items() if k != "request_id"} for a in answers]
    assert {answer.status_code for answer in answers} == {401}
    assert all(body == bodies[0] for body in bodies), "they do not say why"
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert guarded.http.get("/v1/plans", headers=key).status_code == 200


def test_foreign_analyses_make_no_plans(guarded):
    alice, bob = new_key(guarded, "a", "alice"), new_key(guarded, "b", "bob")
    body = {"model": guarded.model, "expert_budget": BUDGET}
    made = guarded.http.post("/v1/plans", json=body, headers=alice).json()
    from_foreign = {"analysis_id": made["analysis_id"], "expert_budget": BUDGET}
    answer = guarded.http.post("/v1/plans", json=from_foreign, headers=bob)
    assert answer.json()["code"] == "not_found"
    assert guarded.http.get("/v1/plans", headers=bob).json()["data"] == []


def test_idempotency_keys_are_an_owners_own(guarded):
    alice, bob = new_key(guarded, "a", "alice"), new_key(guarded, "b", "bob")
    body = {"model": guarded.model, "expert_budget": BUDGET}
    ids = {
        guarded.http.post("/v1/plans", json=body, headers={**key, "Idempotency-Key": "1"}).json()[
            "id"
        ]
        for key in (alice, bob, alice)
    }
    assert len(ids) == 2


def test_a_key_counts_on_this_machine_too(api):
    """Without a key the jobs are `local`; a wrong key is not ignored."""
    assert api.http.get("/v1/plans").status_code == 200
    wrong = api.http.get("/v1/plans", headers={"Authorization": "Bearer x"})
    assert wrong.json()["code"] == "unauthorized"


def test_others_are_not_let_in_without_a_pepper(make_api):
    open_to_all = make_api(host="0.0.0.0").ledger.settings
    with pytest.raises(SettingsError, match="TAILORA_KEY_PEPPER"):
        check_access(open_to_all)
    check_access(make_api(**REACHED).ledger.settings)
    check_access(make_api(host="::1").ledger.settings)


def test_no_key_in_the_database(guarded):
    key = new_key(guarded, "a", "alice")["Authorization"].removeprefix("Bearer ")
    data = (guarded.ledger.settings.data / "tailora.db").read_bytes()
    wal = guarded.ledger.settings.data / "tailora.db-wal"
    assert key.encode() not in data + (wal.read_bytes() if wal.exists() else b"")
