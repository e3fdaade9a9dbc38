"""What docker-compose.yml says, run as plain processes: its commands, its environment, one plan."""

import json
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.deployment.compose import Compose
from tests.servers.ports import free_port
from tests.servers.processes import Process
from tests.service.command import document
from tests.trainer.runs import topics

PEPPER = "sixteen-or-more-letters"
BUDGET = 30
SERVICES = ("api", "dispatcher", "worker-analyze-cpu")


class Stack:
    """The services of the file on this machine; servers are those of the tests."""

    def __init__(self, postgres_url: str, redis_url: str, folder: Path, models: Path) -> None:
        self._compose = Compose.load()
        self._secrets = {
            "tailora_database_url": postgres_url,
            "tailora_broker_url": redis_url,
            "tailora_key_pepper": PEPPER,
            "hf_token": "",
        }
        self.folder = folder
        self.port = free_port()
        self._own = {
            "TAILORA_DATA": str(folder / "data"),
            "TAILORA_MODELS": str(models),
            "TAILORA_DATASETS": str(models),
            "TAILORA_PORT": str(self.port),
            "TAILORA_LOG_FORMAT": "json",
        }

    def environment(self, service: str) -> dict[str, str]:
        """The file's, with what only this machine can know."""
        folder = self.folder / f"secrets of {service}"
        folder.mkdir(exist_ok=True)
        for name in self._compose.secrets(service):
            (folder / name).write_text(self._secrets[name] + "\n")
        named = self._compose.environment(service, {})
        own = {n: v for n, v in self._own.items() if n not in ("TAILORA_PORT",) or n in named}
        inherited = {n: v for n, v in os.environ.items() if not n.startswith("TAILORA_")}
        return {**inherited, **named, **own, "TAILORA_SECRETS_DIR": str(folder)}

    def command(self, service: str) -> list[str]:
        """The file's words, `tailora` as this environment has it."""
        first, *rest = self._compose.command(service)
        assert first == "tailora"
        return [sys.executable, "-m", "service.cli", *rest]

    def process(self, service: str, *words: str) -> Process:
        """One service, or another command in its environment, with a log of its own."""
        command = [*self.command(service)[:3], *words] if words else self.command(service)
        log = self.folder / (f"{service} {words[0]}.log" if words else f"{service}.log")
        return Process(*command, log=log, environment=self.environment(service))


@pytest.fixture
def stack(postgres_url, redis, minilm, tmp_path):
    return Stack(postgres_url, redis.url, tmp_path, minilm.parent)


def run(stack: Stack, service: str, *words: str) -> str:
    """A command of a service that ends; what it printed."""
    with stack.process(service, *words) as process:
        assert process.wait(60) == 0
        return process.text()


def test_the_stack_serves_the_same_plan(stack, minilm):
    """migrate, a key, api, dispatcher and worker: the digest of the command; health; SIGTERM."""
    run(stack, "migrate")
    key = next(
        word
        for word in run(stack, "api", "keys", "create", "me").split()
        if word.startswith("tlr_")
    )
    headers = {"Authorization": f"Bearer {key}"}
    with ExitStack() as running:
        processes = {name: running.enter_context(stack.process(name)) for name in SERVICES}
        base = f"http://127.0.0.1:{stack.port}"
        processes["api"].wait_for(lambda: answers(f"{base}/healthz"), 60)
        processes["worker-analyze-cpu"].wait_for(lambda: answers(f"{base}/readyz"), 60)
        assert httpx2.get(f"{base}/v1/plans").status_code == 401
        body = {"model": str(minilm), "expert_budget": BUDGET}
        answer = httpx2.post(
            f"{base}/v1/plans", json=body, headers={**headers, "Prefer": "wait=30"}, timeout=60
        )
        job, request_id = answer.json(), answer.headers["x-request-id"]
        expected = document("plan", minilm, "--budget", BUDGET)
        assert job["status"] == "succeeded", job
        assert job["plan"]["digest"] == expected["digest"]
        for name in ("dispatcher", "worker-analyze-cpu"):
            run(stack, name, *stack.command(name)[3:], "--check")
        for name, process in processes.items():
            began = time.monotonic()
            assert process.terminate() == 0, name
            print(f"{name} left {time.monotonic() - began:.1f} s after SIGTERM")
            assert not process.children()
    logs = {name: (stack.folder / f"{name}.log").read_text() for name in SERVICES}
    answered = [json.loads(line) for line in logs["api"].splitlines() if '"POST"' in line]
    assert [(line["job"], line["request"]) for line in answered] == [(job["id"], request_id)]
    worked = [
        line for line in logs["worker-analyze-cpu"].splitlines() if job["analysis_id"] in line
    ]
    assert worked, "a worker's lines name the job"
    for secret in (PEPPER, key):
        assert secret not in "".join(logs.values())


@pytest.mark.slow
def test_the_stack_trains(stack, minilm):
    """From an upload to an adapter, although the worker is asked to end meanwhile."""
    run(stack, "migrate")
    key = run(stack, "api", "keys", "create", "me").split()
    headers = {"Authorization": f"Bearer {next(w for w in key if w.startswith('tlr_'))}"}
    with ExitStack() as running:
        processes = {name: running.enter_context(stack.process(name)) for name in SERVICES}
        trainer = running.enter_context(stack.process("worker-train-cpu"))
        base = f"http://127.0.0.1:{stack.port}"
        processes["worker-analyze-cpu"].wait_for(lambda: answers(f"{base}/readyz"), 60)
        http = running.enter_context(httpx2.Client(base_url=base, headers=headers, timeout=60))
        plan = http.post(
            "/v1/plans",
            json={"model": str(minilm), "expert_budget": BUDGET},
            headers={"Prefer": "wait=30"},
        ).json()
        rows = "".join(json.dumps(row) + "\n" for row in topics(64))
        upload = http.post("/v1/datasets?name=topics&format=jsonl", content=rows.encode(),
                           headers={"Content-Type": "application/x-ndjson"})  # fmt: skip
        body = {
            "plan_id": plan["id"], "dataset": upload.json()["id"],
            "settings": {"schedule.steps": 60, "schedule.batch": 4, "schedule.micro_batch": 4,
                         "schedule.warmup_steps": 0, "checkpoints.every": 1000},
        }  # fmt: skip
        job = http.post("/v1/trainings", json=body).json()
        address = job["links"]["self"]
        trainer.wait_for(lambda: http.get(address).json()["progress"]["done"] > 0, 120)
        assert http.delete(f"/v1/datasets/{upload.json()['id']}").status_code == 409
        assert trainer.terminate(timeout=90) == 0
        assert http.get(job["links"]["checkpoints"]).json()["data"], "it wrote one before it left"
        again = running.enter_context(stack.process("worker-train-cpu"))
        again.wait_for(lambda: http.get(address).json()["status"] == "succeeded", 240)
        events = http.get(job["links"]["events"], params={"limit": 100}).json()["data"]
        assert any("going on from checkpoint-" in event["message"] for event in events)
        names = [file["name"] for file in http.get(f"{address}/adapter").json()["data"]]
        assert "adapter_model.safetensors" in names


def answers(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.TransportError:
        return False
