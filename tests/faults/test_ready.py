"""readyz is red while no job would run, and green again by itself."""

import time


def _seconds_until(cluster, status: int) -> float:
    began = time.monotonic()

    def turned() -> bool:
        answer = cluster.http.get("/readyz")
        assert answer.status_code in (200, 503), answer.text
        assert answer.json()["ready"] == (answer.status_code == 200)
        return answer.status_code == status

    cluster.wait_for(turned, 60)
    return time.monotonic() - began


def test_readyz_turns_with_the_last_worker_and_with_the_database(stand):
    cluster = stand.cluster
    _seconds_until(cluster, 200)
    for worker in cluster.workers:
        worker.process.kill_group()
    print(f"no worker: red after {_seconds_until(cluster, 503):.1f} s")
    assert not cluster.http.get("/readyz").json()["workers"]["ok"]
    cluster.workers[0].start()
    print(f"a worker: green after {_seconds_until(cluster, 200):.1f} s")
    if stand.postgres is None:
        return
    stand.postgres.stop()
    print(f"no database: red after {_seconds_until(cluster, 503):.1f} s")
    assert not cluster.http.get("/readyz").json()["database"]["ok"]
    assert cluster.http.get("/healthz").status_code == 200
    stand.postgres.start()
    print(f"a database: green after {_seconds_until(cluster, 200):.1f} s")
