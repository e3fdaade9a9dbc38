"""Two hundred who follow one job over a restart; a long ledger; ten thousand units (row 30)."""

import asyncio
import json
import threading
import time

import httpx2
import psutil
from sqlalchemy import select, update

from ledger.events import record
from ledger.tables import jobs
from tests.attack.service import resident
from tests.attack.test_storms import many_jobs
from tests.models import write_sharded

FOLLOWERS = 200
EVENTS = 60
PAGE_SECONDS = 0.05


async def follow(http: httpx2.AsyncClient, path: str) -> tuple[list[int], int]:
    """The numbers of all events up to the job's end, and how often the line broke."""
    seen: list[int] = []
    breaks = 0
    while not await _read(http, path, seen):
        breaks += 1
        await asyncio.sleep(0.2)
    return seen, breaks


async def _read(http: httpx2.AsyncClient, path: str, seen: list[int]) -> bool:
    """Add what comes to what was seen; whether that was the end of the job."""
    own = {"Accept": "text/event-stream", **({"Last-Event-ID": str(seen[-1])} if seen else {})}
    kind = ""
    try:
        async with http.stream("GET", path, headers=own) as answer:
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "id":
                    seen.append(int(value))
    except httpx2.TransportError:
        return False
    return kind == "succeeded"


def test_two_hundred_follow_a_job_over_a_restart(serve, models, found):
    service = serve()
    api = service.api()
    key = service.key("ann")
    with service.client(key) as http:
        body = {"model": str(models / "tiny"), "expert_budget": 18}
        job = http.post("/v1/plans", json=body).json()

    def happen() -> None:
        time.sleep(2.0)
        for number in range(EVENTS):
            with service.database.write() as connection:
                record(connection, job["id"], "step", f"step {number}")
            time.sleep(0.1)
            if number == EVENTS // 2:
                api.process.terminate()
                api.start()
        with service.database.write() as connection:
            ended = update(jobs).where(jobs.c.id == job["id"])
            connection.execute(ended.values(state="succeeded"))
            record(connection, job["id"], "succeeded", "it is there")

    async def everybody():
        path = f"{job['links']['self']}/events"
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(
            base_url=service.url, headers=key, timeout=60, limits=limits, trust_env=False
        ) as http:
            return await asyncio.gather(*(follow(http, path) for _ in range(FOLLOWERS)))

    thread = threading.Thread(target=happen)
    thread.start()
    followers = asyncio.run(everybody())
    thread.join()
    with service.database.read() as connection:
        last = connection.scalar(select(jobs.c.last_event).where(jobs.c.id == job["id"]))
    right = [seen == list(range(1, last + 1)) for seen, _ in followers]
    breaks = [count for _, count in followers]
    found("32 followers", clients=len(followers), events=last, all_once_in_order=right.count(True),
          reconnected=sum(count > 0 for count in breaks))  # fmt: skip
    assert last == EVENTS + 2
    assert right == [True] * FOLLOWERS
    assert min(breaks) >= 1


def test_a_long_ledger_is_listed_quickly(serve, scale, found):
    service = serve()
    service.api()
    count = 10 * scale.polled
    many_jobs(service, count)
    with service.database.write() as connection:
        connection.exec_driver_sql("ANALYZE jobs")
    times: dict[str, float] = {}
    queries = {
        "first": {}, "by status": {"status": "failed"}, "by model": {"model": "org/model"},
        "none": {"status": "running"}, "by time": {"created_before": "2001-09-09T03:00:00Z"},
    }  # fmt: skip
    with (
        service.client(service.key("ann")) as http,
        service.client(service.key("root", "admin")) as admin,
    ):
        after = json.loads(http.get("/v1/plans").text)["next"]
        for client, who in ((http, ""), (admin, "admin ")):
            client.get("/v1/plans")
            for name, query in {**queries, "second": {"after": after}}.items():
                taken = []
                for _ in range(5):
                    began = time.monotonic()
                    answer = client.get("/v1/plans", params=query)
                    taken.append(time.monotonic() - began)
                    assert answer.status_code == 200, answer.text
                times[who + name] = sorted(taken)[2]
    found("33 a long ledger", jobs=count, median_ms={k: round(1000 * v) for k, v in times.items()})
    pages = [taken for name, taken in times.items() if "by time" not in name]
    assert max(pages) <= PAGE_SECONDS or not scale.timed


def test_30_many_units(serve, scale, tmp_path, found):
    layers = scale.units // 4
    write_sharded(tmp_path / "many" / "model", layers=layers, width=64, layers_per_shard=layers)
    service = serve(MODELS=str(tmp_path / "many"))
    api = service.api()
    service.dispatcher()
    worker = service.worker()
    with service.client(service.key("ann")) as http, service.redis.client() as redis:
        body = {"model": str(tmp_path / "many" / "model"), "expert_budget": layers}
        job = http.post("/v1/plans", json=body).json()["links"]["self"]
        service.wait_for(lambda: service.rows.done() >= scale.units // 10, 600)
        before = _look(service, redis, worker, api)
        service.wait_for(lambda: http.get(job).json()["status"] == "succeeded", 1200)
        time.sleep(3.0)
        after = _look(service, redis, worker, api)
    grown = after["worker"] / before["worker"] - 1
    found(
        "30 many units", units=scale.units, redis_keys=after["keys"],
        redis_MB=(after["redis"] - before["redis"]) / 1e6, worker_grown=grown,
        connections=(before["connections"], after["connections"]),
    )  # fmt: skip
    assert after["keys"] <= 50
    assert after["redis"] - before["redis"] <= 1_000_000
    assert grown <= 0.05
    assert after["connections"] <= before["connections"] + 1


def _look(service, redis, worker, api) -> dict[str, float]:
    process = psutil.Process(worker.process.pid)
    assert resident(api)
    return {
        "keys": redis.dbsize(),
        "redis": redis.info("memory")["used_memory"],
        "worker": process.memory_info().rss,
        "connections": len(process.net_connections()),
    }
