"""Workers, a dispatcher and an API as processes of their own, over one database and one broker."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx2

from tests.faults.programs import Program, kill_all
from tests.faults.rows import Rows
from tests.servers.faults import fault_environment
from tests.servers.ports import free_port

SLOTS = 2
TIMES = {"LEASE": "6", "HEARTBEAT": "2", "REAPER": "2", "RESEND": "6"}
ONE_EACH = {"UNIT_COST": "1", "LEAST_UNIT_COST": "1"}
"""Every matrix is a unit of its own."""

WITNESS = "tests.servers.faults:witness"
TIMEOUT = 240.0


def settings(data: Path, models: Path, **more: str) -> dict[str, str]:
    """The environment of a process of the service, and nothing from the test's own."""
    found = {
        **{"DATA": str(data), "MODELS": str(models), "LOG_FORMAT": "json"},
        **{"ANALYZE_DEVICES": ",".join(["cpu"] * SLOTS), "THREADS": "1"},
        **TIMES,
        **ONE_EACH,
        **more,
    }
    return {f"TAILORA_{name}": value for name, value in found.items()}


class Cluster:
    """For as long as its context lasts; any part of it may be killed, and started again."""

    def __init__(
        self,
        folder: Path,
        models: Path,
        *,
        database: str,
        broker: str,
        workers: int = 2,
        faults: Sequence[str] = (),
        api_faults: Sequence[str] = (),
        more: Mapping[str, str] | None = None,
    ) -> None:
        """`faults` are those of the workers; `more` are settings."""
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.rows = Rows(database)
        self.http = client(port)
        own = settings(
            folder / "data", models, DATABASE_URL=database, BROKER_URL=broker, PORT=str(port),
            **(more or {}),
        )  # fmt: skip

        def program(command: str, name: str, ready: str, *specs: str) -> Program:
            environment = {**own, **fault_environment(*specs)}
            return Program(command, ready=ready, folder=folder, name=name, environment=environment)

        self.api = program("api", "api", "listening", *api_faults)
        self.dispatcher = program("dispatcher", "dispatcher", "dispatching")
        self.workers = [
            program("worker", f"worker-{number}", "worker_ready", *faults, WITNESS)
            for number in range(1, workers + 1)
        ]
        self.programs = [self.api, self.dispatcher, *self.workers]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        kill_all(self.programs)
        self.http.close()
        self.rows.close()

    def start(self) -> None:
        """Start what does not run, and wait until jobs would run."""
        for program in self.programs:
            program.start()
        for program in (self.api, *self.workers):
            program.wait_ready()

    def renew(self) -> None:
        """As if nothing had been: all run, no job is known, nothing was printed."""
        for program in self.programs:
            program.process.resume()
        if not self.rows.idle():  # what the test before left in work
            kill_all(self.workers)
        self.start()
        self.rows.wipe()
        for program in self.programs:
            program.mark()

    def submit(self, model: Path, key: str | None = None) -> str:
        """Ask for a plan; its id. An answer 503 is asked for again, as it says."""
        end = time.monotonic() + 60
        while True:
            answer = self.post(model, key)
            if answer.status_code != 503 or time.monotonic() > end:
                break
            time.sleep(min(1.0, float(answer.headers["Retry-After"])))
        assert answer.status_code in (201, 202), answer.text
        return str(answer.json()["id"])

    def post(self, model: Path, key: str | None = None) -> httpx2.Response:
        """Ask for a plan once."""
        body = {"model": str(model), "expert_budget": 4, "budget_kind": "mean"}
        headers = {"Idempotency-Key": key} if key else {}
        return self.http.post("/v1/plans", json=body, headers=headers)

    def wait_ended(self, *job_ids: str, timeout: float = TIMEOUT) -> None:
        self.wait_for(lambda: self.rows.ended(list(job_ids)), timeout)

    def wait_for(self, happened: Callable[[], Any], timeout: float = TIMEOUT) -> Any:
        """Wait until a function returns a true value. Fails with the ends of all logs."""
        end = time.monotonic() + timeout
        while not (value := happened()):
            if time.monotonic() > end:
                logs = "\n".join(f"{p.name}:\n{p.process.tail(25)}" for p in self.programs)
                raise AssertionError(f"not seen in {timeout} s: {happened}\n{logs}")
            time.sleep(0.05)
        return value

    def wait_done(self, count: int) -> None:
        """Wait until so many units of matrices are done."""
        self.wait_for(lambda: self.rows.done() >= count)

    def solves(self) -> list[str]:
        """The matrix of every solve that a worker began."""
        return [name for worker in self.workers for name, _ in worker.solves()]

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The log lines of an event, of all workers."""
        return [line for worker in self.workers for line in worker.lines(event)]


def client(port: int) -> httpx2.Client:
    """A client of an API on this machine, whatever proxies the environment names."""
    return httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False)
