"""Row 15: a volume of 20 MB that is full; what is needed is made room for, and work goes on."""

import subprocess
from contextlib import contextmanager

import httpx2
import pytest

from tests.models import write_sharded
from tests.service.cli_service import serving
from tests.service.command import run

SIZE = 20_000_000


@pytest.fixture
def volume(tmp_path):
    """A file system of 20 MB."""
    folder = tmp_path / "volume"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=777", "tmpfs", str(folder)]
    made = subprocess.run(mount, capture_output=True, text=True)
    if made.returncode:
        pytest.fail(f"a small file system cannot be mounted, run this as root: {made.stderr}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(folder):
    """Nothing more fits in."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1_000_000, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    try:
        yield
    finally:
        filler.unlink()


def test_15_documents_that_do_not_fit(serve, volume, tmp_path, models, found):
    """Weights are never written: a shard larger than the volume is no matter."""
    service = serve(DATA=str(volume / "data"), INLINE_BYTES="0", MODELS=str(models))
    (volume / "data").mkdir()
    size = write_sharded(tmp_path / "large", layers=12, width=1024, layers_per_shard=12)
    service.hub.add("org/large", tmp_path / "large")
    service.api()
    service.dispatcher()
    worker = service.worker()
    pid = worker.process.pid
    waiting = {"Prefer": "wait=60"}
    with service.client(service.key("ann")) as http:
        large = {"model": "org/large", "expert_budget": 36}
        done = http.post("/v1/plans", json=large, headers=waiting, timeout=90).json()
        service.wait_for(lambda: http.get(done["links"]["self"]).json()["status"] == "succeeded")
        tiny = {"model": str(models / "tiny"), "expert_budget": 18}
        with full(volume):
            failed = http.post("/v1/plans", json=tiny, headers=waiting, timeout=90).json()
            service.wait_for(
                lambda: http.get(failed["links"]["self"]).json()["status"] == "failed", 60
            )
            error = http.get(failed["links"]["self"]).json()["error"]
        after = http.post("/v1/plans", json=tiny, headers=waiting, timeout=90).json()
        service.wait_for(lambda: http.get(after["links"]["self"]).json()["status"] == "succeeded")
    left = [path.name for path in volume.rglob(".new-*")]
    found("15 a full volume", shard_MB=size / 1e6, code=error["code"], leftovers=len(left),
          worker_alive=worker.process.running and worker.process.pid == pid)  # fmt: skip
    assert size >= 40_000_000
    assert error["code"] == "store_error"
    assert "make room" in error["detail"]
    assert left == []
    assert worker.process.running
    assert worker.process.pid == pid


def test_15_a_database_that_cannot_grow(volume, models, scale, found):
    """Every 202 has its row, every other answer is 503."""
    local = {"TAILORA_DATA": volume / "data"}
    run("db", "upgrade", **local)
    own = {"TAILORA_MODELS": str(models)}
    with serving(volume, command="api", ready="listening", **own) as service:
        body = {"model": str(models / "tiny"), "expert_budget": 18}

        def submit() -> httpx2.Response:
            return httpx2.post(f"{service.url}/v1/plans", json=body, timeout=60, trust_env=False)

        accepted = [submit() for _ in range(5)]
        with full(volume):
            answers = [submit() for _ in range(40)]
        accepted += [answer for answer in answers if answer.status_code == 202]
        refused = [answer for answer in answers if answer.status_code != 202]
        accepted += [submit() for _ in range(5)]
        kept = {
            answer.json()["id"]: httpx2.get(
                service.url + answer.json()["links"]["self"], trust_env=False
            ).status_code
            for answer in accepted
        }
    statuses = sorted({answer.status_code for answer in refused})
    found("15 a full database", accepted=len(accepted), refused=len(refused), with_status=statuses,
          lost=[*kept.values()].count(404))  # fmt: skip
    assert refused
    assert {answer.json()["code"] for answer in refused} == {"database_unavailable"}
    assert all(answer.headers["retry-after"] for answer in refused)
    assert {answer.status_code for answer in accepted} == {202}
    assert set(kept.values()) == {200}
