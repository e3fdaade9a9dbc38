"""The service as a team shares it: an API with keys, and what stands behind it on demand."""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import httpx2

from ledger.database import Database
from ledger.keys import create_key
from ledger.migrate import upgrade
from tests.faults.cluster import settings
from tests.faults.programs import Program
from tests.faults.rows import Rows
from tests.hub.server import HubDouble
from tests.servers import postgres as postgres_module
from tests.servers import redis as redis_module
from tests.servers.faults import fault_environment
from tests.servers.ports import free_port
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis

PEPPER = "the-pepper-of-the-attack"
HUB_TOKEN = "hf_theTokenOfTheOperator"
NO_QUOTAS = {"SUBMIT_RATE": "0", "OPEN_JOBS": "0", "OPEN_UNITS": "0", "REFUSALS": "0"}


class Service:
    """For as long as its context lasts."""

    def __init__(self, folder: Path, postgres: Postgres, models: Path, **more: str) -> None:
        """`more` are settings."""
        self._stack = ExitStack()
        self.folder, self.postgres = folder, postgres
        self.redis = self._stack.enter_context(Redis(append_only=True))
        self.hub = self._stack.enter_context(HubDouble())
        self.hub.tokens[HUB_TOKEN] = "operator"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.name = f"attack_{free_port()}"
        self.database = Database(postgres.create(self.name))
        upgrade(self.database)
        self.rows = Rows(postgres.url(self.name))
        self._settings = settings(
            folder / "data", models, DATABASE_URL=postgres.url(self.name),
            BROKER_URL=self.redis.url, HOST="0.0.0.0", PORT=str(self.port), KEY_PEPPER=PEPPER,
            **{**NO_QUOTAS, **more},
        )  # fmt: skip
        (folder / "data").mkdir(parents=True, exist_ok=True)
        hub = {**self.hub.environment(folder / "hf"), "HF_TOKEN": HUB_TOKEN}
        self._environment = {**self._settings, **hub}
        self.programs: list[Program] = []
        self.secrets = {PEPPER, HUB_TOKEN, postgres_module.PASSWORD, redis_module.PASSWORD}
        self.bodies: list[bytes] = []
        """Of errors, for the search of secrets."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for program in self.programs:
            program.process.close()
        self.rows.close()
        self.database.close()
        self._stack.close()

    def program(
        self, *words: str, ready: str, faults: tuple[str, ...] = (), **more: str
    ) -> Program:
        """A process of the service that runs; `more` are variables."""
        own = {**self._environment, **(fault_environment(*faults) if faults else {}), **more}
        name = f"{words[0]}-{len(self.programs)}"
        found = Program(*words, ready=ready, folder=self.folder, name=name, environment=own)
        self.programs.append(found)
        found.start()
        found.wait_ready()
        return found

    def api(self, *faults: str, processes: int = 1) -> Program:
        """The API on the service's port."""
        own = {"TAILORA_API_PROCESSES": str(processes)}
        found = self.program("api", ready="listening", faults=faults, **own)
        self.wait_for(self.answers)
        return found

    def answers(self) -> bool:
        """Whether the API is there."""
        try:
            return httpx2.get(f"{self.url}/healthz", trust_env=False).status_code == 200
        except httpx2.TransportError:
            return False

    def worker(self, *faults: str, slots: int = 2) -> Program:
        """A worker of so many processes."""
        devices = {"TAILORA_ANALYZE_DEVICES": ",".join(["cpu"] * slots)}
        return self.program("worker", ready="worker_ready", faults=faults, **devices)

    def dispatcher(self) -> Program:
        """The dispatcher, whose log begins with its first message."""
        found = Program(
            "dispatcher", ready="", folder=self.folder, name=f"dispatcher-{len(self.programs)}",
            environment=self._environment,
        )  # fmt: skip
        self.programs.append(found)
        found.start()
        return found

    def key(self, owner: str, *scopes: str) -> dict[str, str]:
        """The headers of a new key."""
        with self.database.write() as connection:
            text, _ = create_key(connection, owner, owner, PEPPER, scopes or ("write",))
        self.secrets.add(text)
        return {"Authorization": f"Bearer {text}"}

    @contextmanager
    def client(self, headers: dict[str, str]) -> Iterator[httpx2.Client]:
        """Requests with a key; the bodies of errors are remembered."""

        def note(answer: httpx2.Response) -> None:
            if answer.status_code >= 400:
                self.bodies.append(answer.read())

        hooks = {"response": [note]}
        with httpx2.Client(
            base_url=self.url, headers=headers, timeout=30, trust_env=False, event_hooks=hooks
        ) as http:
            yield http

    def wait_for(self, happened: Any, timeout: float = 60.0) -> Any:
        """Wait until a function returns a true value."""
        end = time.monotonic() + timeout
        while not (value := happened()):
            assert time.monotonic() < end, "\n".join(p.process.tail(25) for p in self.programs)
            time.sleep(0.05)
        return value

    def leaks(self) -> dict[str, list[str]]:
        """Where each secret is found: logs, database, Redis, bodies of errors, data folder."""
        places = {p.name: p.process.text().encode() for p in self.programs}
        places["database"] = self._dump()
        places["errors"] = b"\n".join(self.bodies)
        for file in (*self.redis.folder.rglob("*"), *(self.folder / "data").rglob("*")):
            if file.is_file() and file.name != "redis.conf":
                places[str(file)] = file.read_bytes()
        assert min(len(places["database"]), len(places["errors"])) > 100, (
            "there is nothing to search"
        )
        found = {
            secret: [where for where, content in places.items() if secret.encode() in content]
            for secret in self.secrets
        }
        return {secret: where for secret, where in found.items() if where}

    def _dump(self) -> bytes:
        program = next(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"), Path("pg_dump"))
        address = re.sub(r"\+psycopg", "", self.postgres.url(self.name))
        return subprocess.run([program, address], capture_output=True, check=True).stdout


def resident(program: Program) -> int:
    """Bytes that a process and its children hold in memory."""
    import psutil

    own = psutil.Process(program.process.pid)
    return sum(each.memory_info().rss for each in [own, *own.children(recursive=True)])
