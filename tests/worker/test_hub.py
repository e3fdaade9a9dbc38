"""Models on the Hub: read in ranges by several units, hashed by a pass of its own, then trusted."""

import numpy as np
import pytest
from sqlalchemy import select

from ledger.tables import spectra
from tests.hub import actions
from tests.hub.faults import Fault
from tests.service.api.conftest import *  # noqa: F403 - the API's fixtures
from tests.service.api.conftest import BUDGET, LAYERS
from tests.worker.pump import all_units, open_units, pump, row, solved

MATRICES = 4 * LAYERS


def submit(api, **words):
    body = {"model": "org/tiny", "expert_budget": BUDGET, **words}
    answer = api.http.post("/v1/plans", json=body)
    assert answer.status_code in (201, 202), answer.text
    return answer.json()


def get(api, job):
    return api.http.get(job["links"]["self"]).json()


def checked(api) -> list[bool]:
    with api.ledger.database.read() as connection:
        return list(connection.scalars(select(spectra.c.checked)))


def test_small_files_are_read_once_whole(api, hub, tiny):
    """Six shards, a unit each: every byte comes once, and is checked."""
    job = submit(api)
    pump(api.ledger)
    done = get(api, job)
    assert done["status"] == "succeeded"
    assert done["revision"] == hub.commit
    assert done["plan"]["provenance"]["verified"]
    assert done["plan"]["digest"] == api.done()["plan"]["digest"], "as from the folder"
    assert {unit["payload"]["whole"] for unit in all_units(api.ledger)[:LAYERS]} == {True}
    assert not all_units(api.ledger, "hash")
    assert all(checked(api))
    size = sum(path.stat().st_size for path in tiny.glob("*.safetensors"))
    assert size <= hub.bytes_served("^/cdn/") <= 2 * size, "headers, and all of it once"


def in_ranges(make_api):
    """Units so small that no file fits in one."""
    return make_api(unit_cost=1.0, least_unit_cost=1.0)


def test_large_files_are_hashed_by_a_pass_of_their_own(make_api, hub):
    api = in_ranges(make_api)
    job = submit(api)
    pump(api.ledger)
    done = get(api, job)
    assert done["status"] == "succeeded", done["error"]
    assert len(all_units(api.ledger)) == MATRICES
    assert len(all_units(api.ledger, "hash")) == LAYERS
    assert done["plan"]["provenance"]["verified"]
    assert done["plan"]["digest"] == api.done()["plan"]["digest"]
    assert all(checked(api))


def test_ranged_reads_less_and_says_so(make_api, hub):
    api = in_ranges(make_api)
    job = submit(api, ranged=True, modules="q_proj")
    pump(api.ledger)
    done = get(api, job)
    assert not all_units(api.ledger, "hash")
    assert done["plan"]["provenance"]["verified"] is False
    assert any("not checked" in warning for warning in done["plan"]["warnings"])
    assert checked(api) == [False] * LAYERS


def test_a_run_that_died_reads_again_but_never_solves_again(make_api, hub):
    api = in_ranges(make_api)
    job = submit(api)
    pump(api.ledger, most=10)
    before = solved(api.ledger)
    assert 0 < before < MATRICES
    assert api.http.post(f"{job['links']['self']}/cancel").status_code == 202
    assert get(api, job)["status"] == "cancelled"
    again = submit(api)
    pump(api.ledger)
    assert get(api, again)["status"] == "succeeded"
    assert solved(api.ledger) == MATRICES
    assert all(checked(api))


@pytest.mark.parametrize("whole", [False, True])
def test_bytes_that_are_not_the_commits(make_api, api, hub, whole):
    """A flipped bit on the way: found, nothing of it is kept, and a retry succeeds."""
    api = api if whole else in_ranges(make_api)
    job = submit(api)
    pump(api.ledger, most=1)
    flip = Fault(actions.flip(5000), "^/cdn/", times=1)
    hub.faults.append(flip)
    pump(api.ledger)
    found = get(api, job)
    assert flip.fired == 1
    assert found["status"] == "failed", found
    assert found["error"]["code"] in ("corrupt_file", "unreadable_file")
    assert found["error"]["retryable"]
    api.http.post(f"{job['links']['self']}/retry")
    pump(api.ledger)
    found = get(api, job)
    assert found["status"] == "succeeded", found["error"]
    assert found["plan"]["provenance"]["verified"]


def test_the_hub_is_away_for_a_while(api, hub, monkeypatch):
    """A unit waits for the Hub, longer each time, and fails with its code after five starts."""
    monkeypatch.setattr("analyzer.hub.retry.LONGEST_PAUSE", 0.01)
    monkeypatch.setattr("worker.running.HUB_PAUSE", 0.0)
    job = submit(api)
    hub.faults.append(Fault(actions.status(503), "^/"))
    pump(api.ledger, most=1)
    (unit,) = all_units(api.ledger, "outline")
    assert (unit["state"], unit["stalls"]) == ("queued", 1)
    pump(api.ledger)
    assert get(api, job)["error"]["code"] == "hub_unavailable"
    (unit,) = all_units(api.ledger, "outline")
    assert unit["attempt"] == 5
    hub.faults.clear()
    api.http.post(f"{job['links']['self']}/retry")
    pump(api.ledger)
    assert get(api, job)["status"] == "succeeded"


def test_a_branch_that_moves(api, hub, tiny, tmp_path):
    """A job stays with its commit; a new one has the new commit, once the minute is over."""
    job = submit(api)
    from tests.models import write_sharded

    write_sharded(tmp_path / "other", layers=4, width=64)
    moved = hub.add("org/tiny", tmp_path / "other")
    pump(api.ledger)
    assert get(api, job)["revision"] == hub.commit
    assert len(get(api, job)["plan"]["layers"]) == LAYERS
    known = api.http.app.state.resolver._known
    known.forget(*known.known())
    assert submit(api)["revision"] == moved


def test_revisions_and_names(api, hub):
    """The plan is called what was asked for; equal content is solved once."""
    first = submit(api, model="org/tiny@v1")
    second = submit(api, revision=hub.commit)
    pump(api.ledger)
    assert get(api, first)["plan"]["model"] == "org/tiny@v1"
    assert get(api, second)["plan"]["model"] == f"org/tiny@{hub.commit}"
    assert get(api, first)["plan"]["digest"] == get(api, second)["plan"]["digest"]
    assert solved(api.ledger) == MATRICES
    assert row(api.ledger, first["id"])["revision"] == hub.commit
    assert not open_units(api.ledger)
    assert np.all(checked(api))
