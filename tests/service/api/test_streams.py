"""Events as they happen: each once and in order, wherever and whenever a client comes back."""

import time
from contextlib import contextmanager

import httpx2
import pytest

from ledger.keys import revoke_key
from service.jobs import watching
from tests.service.api.keys import REACHED, new_key
from tests.service.api.sse import STREAM, listening, read_events
from tests.worker.pump import pump


@contextmanager
def followed(url, headers):
    """The events of a job, as they come."""
    with (
        httpx2.Client(timeout=20) as client,
        client.stream("GET", f"{url}/events", headers={**STREAM, **headers}) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield read_events(answer.iter_lines())


def numbers(events):
    return [int(event["id"]) for event in events if "id" in event]


def test_a_job_that_has_ended_is_told_whole_and_the_stream_ends(api):
    job = api.done()["links"]["self"]
    listed = api.http.get(f"{job}/events").json()["data"]
    answer = api.http.get(f"{job}/events", headers=STREAM)
    assert answer.headers["cache-control"] == "no-cache"
    events = list(read_events(answer.text.splitlines()))
    assert [event["data"] for event in events] == listed
    assert [event["event"] for event in events] == [each["type"] for each in listed]
    assert numbers(events) == list(range(1, len(listed) + 1))


def test_a_client_comes_back_with_the_last_number(api):
    job = api.done()["links"]["self"]
    last = len(api.http.get(f"{job}/events").json()["data"])
    for after in range(last + 2):
        for query, header in (({"after": after}, {}), ({}, {"Last-Event-ID": str(after)})):
            answer = api.http.get(f"{job}/events", params=query, headers={**STREAM, **header})
            found = numbers(read_events(answer.text.splitlines()))
            assert found == list(range(after + 1, last + 1))
    wrong = api.http.get(f"{job}/events", headers={**STREAM, "Last-Event-ID": "x"})
    assert wrong.status_code == 422


def test_events_come_as_they_happen_from_any_process(api):
    made = api.plan().json()
    with listening(api.ledger) as first, listening(api.ledger) as second:
        with followed(first + made["links"]["self"], {}) as events:
            seen = [next(events)]
            assert seen[0]["event"] == "queued"
        pump(api.ledger)
        last = {"Last-Event-ID": seen[-1]["id"]}
        with followed(second + made["links"]["self"], last) as events:
            seen += events
    listed = api.http.get(f"{made['links']['self']}/events").json()["data"]
    assert [event["data"] for event in seen] == listed
    assert seen[-1]["event"] == "succeeded"


def test_a_quiet_stream_is_kept_open_and_ends_with_the_job(api, monkeypatch):
    monkeypatch.setattr(watching, "KEEP_ALIVE", 0.2)
    job = api.plan().json()["links"]["self"]
    with listening(api.ledger) as url, followed(url + job, {}) as events:
        found = [next(events) for _ in range(4)]
        assert [event for event in found[-2:] if "comment" not in event] == []
        assert api.http.post(f"{job}/cancel").status_code == 202
        left = [event["event"] for event in events if "event" in event]
    assert left == ["cancelling", "cancelled"]


def test_a_stream_does_not_last_for_ever(api, monkeypatch):
    monkeypatch.setattr(watching, "LONGEST", 0.5)
    monkeypatch.setattr(watching, "KEEP_ALIVE", 0.1)
    job = api.plan().json()["links"]["self"]
    with listening(api.ledger) as url, followed(url + job, {}) as events:
        assert numbers(events) == [1]


def test_a_deleted_job_is_told_no_further(api):
    job = api.plan().json()["links"]["self"]
    with listening(api.ledger) as url, followed(url + job, {}) as events:
        assert next(events)["event"] == "queued"
        api.http.post(f"{job}/cancel")
        api.http.delete(job)
        assert len(list(events)) <= 2


@pytest.mark.parametrize("where", ["stream", "list"])
def test_a_revoked_key_opens_nothing_after_a_second(make_api, where):
    api = make_api(**REACHED)
    ann = new_key(api, "a", "ann")
    api.http.headers.update(ann)
    job = api.plan().json()["links"]["self"]
    with listening(api.ledger) as url, followed(url + job, ann) as events:
        assert next(events)["event"] == "queued"
        with api.ledger.database.write() as connection:
            revoke_key(connection, "a")
        revoked = time.monotonic()
        if where == "stream":
            assert list(events) == []
            assert time.monotonic() - revoked < 1.0
        else:
            time.sleep(1.0)
            assert httpx2.get(url + job, headers=ann).status_code == 401


def test_an_ended_stream_leaves_nothing_behind(api, monkeypatch):
    monkeypatch.setattr(watching, "KEEP_ALIVE", 0.1)
    watches = api.http.app.state.watches
    done = api.done()["links"]["self"]
    for _ in range(3):
        api.http.get(f"{done}/events", headers=STREAM)
    assert watches.streams == 0
