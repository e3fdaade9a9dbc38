"""Rows 8 and 9: the database stops at once, or loses the answer to a commit that it made."""

import itertools
import random
import threading
import time
from collections import Counter
from contextlib import contextmanager

import httpx2
import pytest

from tests.faults.cluster import Cluster
from tests.faults.kills import moments

SUBMIT = "INSERT INTO jobs"
CLAIM = "UPDATE units SET state=+attempt=(units.attempt"
FINISH = "UPDATE units SET key=+report="
RATE, EARLY = 0.05, 8


class Asking:
    """Asks the API all the time: how often it answered how, and what it should not have said."""

    def __init__(self, cluster: Cluster, plan: str, model) -> None:
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0
        self.wrong: list[str] = []
        self.accepted: list[str] = []
        self._cluster, self._plan, self._model = cluster, plan, model

    def ask(self) -> None:
        """Look at the plan, and ask for another."""
        began = time.monotonic()
        number = self.statuses.total()
        for answer in (
            self._cluster.http.get(f"/v1/plans/{self._plan}"),
            self._cluster.post(self._model, f"key {number}"),
        ):
            self._note(answer)
        self.slowest = max(self.slowest, time.monotonic() - began)

    def _note(self, answer: httpx2.Response) -> None:
        status = answer.status_code
        self.statuses[status] += 1
        if status == 503:
            problem = answer.json()["code"] == "database_unavailable"
            self.wrong += [] if problem and "Retry-After" in answer.headers else [answer.text]
        elif status in (201, 202):
            self.accepted.append(answer.json()["id"])
        elif status != 200:
            self.wrong.append(answer.text)

    @contextmanager
    def meanwhile(self):
        """Ask beside what the test does."""
        over = threading.Event()

        def loop() -> None:
            while not over.wait(0.2):
                self.ask()

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join()


def test_8_postgres_stops_at_once(stand, run, keep):
    if stand.postgres is None:
        pytest.skip("SQLite has no server")
    cluster, stops = stand.cluster, run.scale.postgres_stops
    plan = cluster.submit(stand.models.main)
    seen = []
    with Asking(cluster, plan, stand.models.tiny[0]).meanwhile() as asking:
        for _ in moments(cluster, stops):
            before = asking.statuses[503]
            stand.postgres.stop()
            time.sleep(2)
            stand.postgres.start()
            seen.append(asking.statuses[503] - before)
    plans = [plan, *asking.accepted]
    cluster.wait_ended(*plans)
    print(f"answers {dict(asking.statuses)}, slowest pair {asking.slowest:.2f} s")
    fired = sum(count > 0 for count in seen)
    tally = keep("8 Postgres stopped", plans, fired=fired, asked=stops)
    assert asking.wrong == []
    assert set(asking.statuses) <= {200, 201, 202, 503}
    assert tally.is_clean
    assert tally.results == run.scale.matrices + 2


def _lost(first: int, *statements: str) -> str:
    """The fault, by the first seed that strikes each statement among the first ones."""

    def strikes(seed: int) -> bool:
        draws = [random.Random(f"{seed} {words}") for words in statements]
        return all(min(draw.random() for _ in range(EARLY)) < RATE for draw in draws)

    seed = next(seed for seed in itertools.count(1000 * first) if strikes(seed))
    return ":".join(["tests.servers.faults:ambiguous", str(RATE), str(seed), *statements])


def test_9_answers_to_commits_are_lost(stand, run, keep):
    faults = {"faults": [_lost(run.seed, CLAIM, FINISH)], "api_faults": [_lost(run.seed, SUBMIT)]}
    with stand.other_cluster(**faults) as cluster:
        main = cluster.submit(stand.models.main, "the main one")
        again = [cluster.submit(stand.models.main, f"key {i}") for i in range(run.scale.repeats)]
        cluster.wait_ended(main, *again)
        fired = [
            cluster.api.fired(SUBMIT),
            *(sum(w.fired(what) for w in cluster.workers) for what in (CLAIM, FINISH)),
        ]
        plans = [main, *again]
        submitted = [job for job in cluster.rows.jobs().values() if job["kind"] == "plan"]
        tally = keep("9 answers lost", plans, fired=sum(fired), cluster=cluster)
    print(f"lost answers of submit, claim and finish: {fired}")
    assert min(fired) >= 1, f"of submit, claim and finish: {fired}"
    assert len(set(plans)) == len(plans) == len(submitted)
    assert tally.is_clean
    assert tally.results == run.scale.matrices
