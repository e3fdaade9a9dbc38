"""Rows 16, 17, 18 and 21: many at once, with and without an API that dies meanwhile."""

import asyncio
import random
import threading
import time
from collections import Counter

import httpx2
from sqlalchemy import func, insert, select

from ledger.ids import new_id
from ledger.tables import idempotency, jobs
from tests.attack.storm import p99, plans, storm


def count(service, table, *conditions) -> int:
    with service.database.read() as connection:
        query = select(func.count()).select_from(table).where(*conditions)
        return connection.scalar(query)


def statuses(answers) -> dict[int, int]:
    return dict(sorted(Counter(answer.status for answer in answers).items()))


def test_16_many_submissions_at_once(serve, scale, models, found):
    service = serve()
    service.api(processes=2)
    ask = plans(str(models / "tiny"), scale.submissions)
    answers = storm(service, service.key("ann"), scale.submissions, ask)
    rows = count(service, jobs, jobs.c.kind == "plan")
    found("16 many at once", **_counts(answers, rows))
    assert statuses(answers) == {202: scale.submissions}
    assert rows == len({answer.body["id"] for answer in answers}) == scale.submissions
    assert p99(answers) <= 8.0 or not scale.timed


def test_16_many_submissions_against_a_quota(serve, scale, models, found):
    service = serve(SUBMIT_RATE="10", SUBMIT_BURST="50", OPEN_JOBS="100")
    service.api()
    ask = plans(str(models / "tiny"), scale.submissions)
    answers = storm(service, service.key("ann"), scale.submissions, ask)
    rows = count(service, jobs, jobs.c.kind == "plan")
    found("16 against a quota", **_counts(answers, rows))
    assert set(statuses(answers)) == {202, 429}
    assert 50 <= rows == statuses(answers)[202] <= 100


def test_17_the_same_keys_at_once_and_then_with_other_bodies(serve, scale, models, found):
    service, keys = serve(), 10
    service.api()
    key = service.key("ann")
    answers = storm(service, key, scale.submissions, plans(str(models / "tiny"), keys))
    others = storm(service, key, keys, plans(str(models / "tiny"), keys, budget=19))
    ids = {answer.body["id"] for answer in answers}
    rows = count(service, jobs, jobs.c.kind == "plan")
    found("17 the same keys", **_counts(answers, rows), others=statuses(others))
    assert statuses(answers) == {202: scale.submissions}
    assert len(ids) == rows == keys
    assert {other.body["code"] for other in others} == {"idempotency_key_reused"}


def test_18_many_jobs_are_polled(serve, scale, found):
    """Rows as the service writes them; each is asked for once, a hundred at a time."""
    service = serve()
    service.api(processes=2)
    ids = many_jobs(service, scale.polled)

    async def ask(http, number):
        return await http.get(f"/v1/plans/{ids[number]}")

    began = time.monotonic()
    key = service.key("ann")
    answers = storm(service, key, scale.polled, ask, at_once=100)
    rate = scale.polled / (time.monotonic() - began)
    pages, after = [], None
    with service.client(key) as http:
        while after is not None or not pages:
            began = time.monotonic()
            query = {"limit": 100, **({"after": after} if after else {})}
            page = http.get("/v1/plans", params=query)
            pages.append((time.monotonic() - began, len(page.json()["data"])))
            after = page.json()["next"]
    slowest = max(seconds for seconds, _ in pages)
    found(
        "18 polled", statuses=statuses(answers), p99=p99(answers), a_second=rate,
        pages=len(pages), slowest_page=slowest,
    )  # fmt: skip
    assert statuses(answers) == {200: scale.polled}
    assert sum(size for _, size in pages) == scale.polled
    assert max(size for _, size in pages) <= 200
    if scale.timed:
        assert p99(answers) <= 1.0
        assert rate >= 300
        assert slowest <= 0.2


def test_21_an_api_that_dies_while_jobs_are_submitted(serve, scale, models, found):
    """Each client tries again with its key until it has an answer."""
    service = serve()
    api = service.api()
    done, kills, chance = threading.Event(), [0], random.Random(1)

    def kill() -> None:
        while kills[0] < scale.kills and not done.is_set():
            time.sleep(chance.uniform(0.2, 0.6))
            api.process.kill()
            kills[0] += 1
            api.start()
            api.wait_ready()

    async def ask(http, number):
        body = {"model": str(models / "tiny"), "expert_budget": 18}
        while True:
            try:
                answer = await http.post(
                    "/v1/plans", json=body, headers={"Idempotency-Key": f"k{number}"}
                )
            except httpx2.TransportError:
                await asyncio.sleep(chance.uniform(0.05, 0.3))
                continue
            if answer.status_code != 503:
                return answer
            await asyncio.sleep(0.3)

    killer = threading.Thread(target=kill)
    killer.start()
    submissions = scale.submissions // 2
    answers, first = [], True
    while first or killer.is_alive():
        start, first = len(answers), False

        async def one(http, number, start=start):
            return await ask(http, start + number)

        answers += storm(service, service.key("ann"), submissions // 10, one, at_once=20)
    done.set()
    killer.join()
    rows = count(service, jobs, jobs.c.kind == "plan")
    keys = count(service, idempotency)
    found("21 an API that dies", kills=kills[0], **_counts(answers, rows), keys=keys)
    assert kills[0] == scale.kills
    assert set(statuses(answers)) == {202}
    ids = [answer.body["id"] for answer in answers]
    assert len(set(ids)) == len(ids) == rows == keys


def _counts(answers, rows: int) -> dict[str, object]:
    return {"statuses": statuses(answers), "rows": rows, "p99": p99(answers)}


def many_jobs(service, count: int) -> list[str]:
    """Failed plans of `ann`."""
    place = {"model": "org/model", "repository": "org/model", "commit": "0" * 40, "path": None}
    error = {"code": "corrupt_file", "detail": "one file is damaged", "retryable": True}
    rows = [
        {
            "id": new_id("pln"), "kind": "plan", "owner": "ann", "state": "failed", "error": error,
            "request": {"place": place, "words": {"expert_budget": 18}}, "labels": {},
            "model": "org/model", "revision": "0" * 40, "created_at": 1e9 + number,
            "started_at": 1e9 + number, "finished_at": 1e9 + number + 1,
        }
        for number in range(count)
    ]  # fmt: skip
    with service.database.write() as connection:
        connection.execute(insert(jobs), rows)
    return [str(row["id"]) for row in rows]
