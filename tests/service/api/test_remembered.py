"""What is answered from memory is what the ledger says."""

from starlette.testclient import TestClient

from service import moments
from service.app import create_app
from service.jobs import remembered
from service.jobs.remembered import Body, EndedJobs


def test_an_ended_job_that_is_queued_again_is_not_answered_from_memory(api):
    job = api.plan().json()["links"]["self"]

    def status():
        return [api.http.get(job).json()["status"] for _ in range(3)]

    for _ in range(2):
        assert status() == ["queued"] * 3
        api.http.post(f"{job}/cancel")
        assert status() == ["cancelled"] * 3
        api.http.post(f"{job}/retry")


def test_what_is_deleted_is_gone_here_at_once_and_elsewhere_in_a_moment(api, monkeypatch):
    job = api.done()["links"]["self"]
    other = TestClient(create_app(api.ledger))
    first = api.http.get(job)
    for http in (api.http, other) * 3:
        answer = http.get(job)
        assert (answer.json(), answer.headers["etag"]) == (first.json(), first.headers["etag"])
        assert http.get(job, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    api.http.delete(job)
    assert api.http.get(job).status_code == 404
    monkeypatch.setattr(moments.time, "monotonic", lambda: 1e12)
    assert other.get(job).status_code == 404


def test_a_plan_whose_like_was_made_says_the_same(api):
    first = api.done(metadata={"a": "1"})
    again = api.plan(metadata={"b": "2"})
    assert again.status_code == 201
    read = api.http.get(again.json()["links"]["self"]).json()
    assert read == again.json()
    own = ("id", "created_at", "started_at", "finished_at", "metadata", "links")
    assert {k: v for k, v in read.items() if k not in own} == {
        k: v for k, v in first.items() if k not in own
    }
    assert (read["id"] == first["id"], read["metadata"]) == (False, {"b": "2"})


def test_memory_has_a_bound(monkeypatch):
    monkeypatch.setattr(remembered, "MOST_BYTES", 1000)
    ended = EndedJobs()
    for number in range(50):
        ended.put(f"job {number}", 1, Body("e", b"x" * 100, True, None, None))
    kept = [number for number in range(50) if ended.get(f"job {number}", 1)]
    assert kept == list(range(40, 50))
    ended.put("job 49", 2, Body("e", b"x" * 300, True, None, None))
    assert ended.get("job 49", 1) is None
    assert ended.knows("job 42") != ended.knows("job 41")
