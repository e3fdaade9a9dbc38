"""Trainings of a whole `tailora serve`: watched, stopped, killed, and fetched by commands."""

import signal
import time

import httpx2
import psutil
import pytest

from tests.families import save_family
from tests.service.api.sse import read_events
from tests.service.cli_service import serving
from tests.service.command import fails, run
from tests.trainer.runs import pairs, write_lines
from tests.trainer.saved import save_tokenizer

pytestmark = pytest.mark.slow
FEW = {
    "schedule.batch": 8, "schedule.micro_batch": 4, "schedule.warmup_steps": 0,
    "checkpoints.every": 2, "data.length": 32, "schedule.steps": 6,
}  # fmt: skip
LONG = {**FEW, "schedule.steps": 100_000, "checkpoints.every": 20}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    (folder / "models").mkdir()
    save_family("llama", folder / "models" / "llama")
    save_tokenizer(folder / "models" / "llama")
    (folder / "registered").mkdir()
    write_lines(folder / "registered" / "pairs.jsonl", pairs(48))
    own = {
        "TAILORA_MODELS": folder / "models", "TAILORA_DATASETS": folder / "registered",
        "TAILORA_THREADS": "1", "TAILORA_LEASE": "6", "TAILORA_HEARTBEAT": "2",
        "TAILORA_REAPER": "2", "TAILORA_RESEND": "6",
    }  # fmt: skip
    with serving(folder, ready="devices=cpu", **own) as found:
        yield found


@pytest.fixture(scope="module")
def plan_id(service) -> str:
    body = {"model": str(service.data.parent / "models" / "llama"), "expert_budget": 5}
    answer = httpx2.post(
        f"{service.url}/v1/plans", json=body, headers={"Prefer": "wait=60"}, timeout=90
    )
    assert answer.json()["status"] == "succeeded", answer.text
    return answer.json()["id"]


def train(service, plan_id: str, settings: dict) -> str:
    body = {"plan_id": plan_id, "dataset": "pairs.jsonl", "settings": settings}
    answer = httpx2.post(f"{service.url}/v1/trainings", json=body, timeout=30)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def job(service, job_id: str) -> dict:
    return httpx2.get(f"{service.url}/v1/trainings/{job_id}", timeout=30).json()


def wait_for(happened, seconds: float = 240.0):
    end = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < end
        time.sleep(0.2)
    return found


def checkpoints(service, job_id: str) -> list[int]:
    found = httpx2.get(f"{service.url}/v1/trainings/{job_id}/checkpoints", timeout=30).json()
    return [each["step"] for each in found["data"]]


def test_watched_to_its_end_and_fetched(service, plan_id, tmp_path):
    job_id = train(service, plan_id, FEW)
    events = f"{service.url}/v1/trainings/{job_id}/events"
    with httpx2.stream(
        "GET", events, headers={"Accept": "text/event-stream"}, timeout=240
    ) as stream:
        told = read_events(stream.iter_lines())
        seen = [event["data"] for event in told if "data" in event]
    assert seen[-1]["type"] == "succeeded"
    assert any(event["type"] == "step" and event["data"]["loss"] > 0 for event in seen)
    assert f"{job_id}" in run("jobs", "list", "--kind", "training", **service.remote).stdout
    assert "6/6" in run("jobs", "show", job_id, **service.local).stdout
    for way in ("remote", "local"):
        out = tmp_path / way
        run("jobs", "download", job_id, "--out", out, **getattr(service, way))
    files = [
        sorted(path.name for path in (tmp_path / way).iterdir()) for way in ("remote", "local")
    ]
    assert files[0] == files[1]
    assert "adapter_model.safetensors" in files[0]
    for name in files[0]:
        contents = [(tmp_path / way / name).read_bytes() for way in ("remote", "local")]
        assert contents[0] == contents[1]


def test_cancelled_and_gone_on_with(service, plan_id):
    job_id = train(service, plan_id, LONG)
    wait_for(lambda: checkpoints(service, job_id))
    assert "cancel" in run("jobs", "cancel", job_id, **service.remote).stdout
    wait_for(lambda: job(service, job_id)["status"] == "cancelled")
    wait_for(lambda: not runs())
    says = "fetch its adapter once it has succeeded"
    fails("jobs", "download", job_id, code=2, message=says, **service.remote)
    fails("jobs", "download", job_id, code=2, message=says, **service.local)
    last = checkpoints(service, job_id)[-1]
    retried = httpx2.post(f"{service.url}/v1/trainings/{job_id}/retry", timeout=30)
    assert retried.status_code == 202
    wait_for(lambda: checkpoints(service, job_id)[-1:] > [last])
    run("jobs", "cancel", job_id, **service.local)
    wait_for(lambda: job(service, job_id)["status"] == "cancelled")


def runs() -> list[psutil.Process]:
    """Processes that train."""
    return [each for each in psutil.process_iter(["cmdline"])
            if "worker.run" in (each.info["cmdline"] or [])]  # fmt: skip


def test_a_worker_that_is_killed_takes_its_training_with_it_and_another_goes_on(service, plan_id):
    job_id = train(service, plan_id, LONG)
    wait_for(lambda: checkpoints(service, job_id))
    (training,) = runs()
    worker = training.parents()[1]
    assert "train" in worker.cmdline()
    last = checkpoints(service, job_id)[-1]
    worker.send_signal(signal.SIGKILL)
    wait_for(lambda: not training.is_running())
    wait_for(lambda: checkpoints(service, job_id)[-1:] > [last])
    assert job(service, job_id)["status"] == "running"
    run("jobs", "cancel", job_id, **service.remote)
    wait_for(lambda: job(service, job_id)["status"] == "cancelled")
