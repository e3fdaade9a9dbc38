"""Trainings through the API: the real processes train a tiny model; only Celery is not there."""

import base64
import hashlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ledger.jobs import cancel
from ledger.reach import Reach
from ledger.runs import list_files
from tests.families import save_family
from tests.servers.faults import fault_environment
from tests.trainer.runs import pairs, write_lines
from tests.trainer.saved import save_tokenizer
from tests.worker.pump import open_units, pump
from trainer.finetune.checkpoints import step_of
from worker.follow import sealed_in
from worker.reaper import reap
from worker.running import run_unit
from worker.segments import runs_folder, sweep_runs

FEW = {
    "schedule.batch": 8, "schedule.micro_batch": 4, "schedule.warmup_steps": 0,
    "checkpoints.every": 2, "data.length": 32, "schedule.steps": 6,
}  # fmt: skip
ADAPTER = """
import sys, json, torch, tailora
from transformers import AutoModelForCausalLM
model = tailora.load_adapter(AutoModelForCausalLM.from_pretrained(sys.argv[1]), sys.argv[2]).eval()
with torch.no_grad():
    print(json.dumps(model(torch.arange(3, 12)[None]).logits.double().sum(-1).tolist()))
"""


@pytest.fixture(scope="session")
def llama(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("allowed")
    save_family("llama", folder / "llama")
    save_tokenizer(folder / "llama")
    return folder / "llama"


@pytest.fixture
def trainer(make_api, llama, tmp_path):
    """An API whose workers train, with data that the operator registered."""
    folder = tmp_path / "registered"
    folder.mkdir()
    write_lines(folder / "pairs.jsonl", pairs(48))
    api = make_api(models=str(llama.parent), datasets=str(folder), threads=1, heartbeat=1.0)
    api.model = str(llama)
    return api


def planned(api) -> str:
    return api.done(expert_budget=5)["id"]


def submit(api, **words):
    body = {"plan_id": words.pop("plan_id", None) or planned(api), "dataset": "pairs.jsonl"}
    return api.http.post("/v1/trainings", json={**body, "settings": FEW, **words})


def envelope(api, job_id: str) -> dict:
    return api.http.get(f"/v1/trainings/{job_id}").json()


def events(api, job_id: str) -> list[dict]:
    return api.http.get(f"/v1/trainings/{job_id}/events").json()["data"]


def fetch_adapter(api, job_id: str, out: Path) -> Path:
    out.mkdir()
    for entry in api.http.get(f"/v1/trainings/{job_id}/adapter").json()["data"]:
        answer = api.http.get(entry["link"])
        assert hashlib.sha256(answer.content).hexdigest() == entry["sha256"]
        assert len(answer.content) == entry["bytes"]
        digest = base64.b64encode(bytes.fromhex(entry["sha256"])).decode()
        assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
        (out / entry["name"]).write_bytes(answer.content)
    return out


def logits(base: Path, adapter: Path) -> list[float]:
    words = [sys.executable, "-c", ADAPTER, str(base), str(adapter)]
    found = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(found.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_training_from_plan_to_adapter(trainer, llama, tmp_path):
    accepted = submit(trainer)
    assert accepted.status_code == 202, accepted.text
    job_id = accepted.json()["id"]
    assert accepted.headers["location"] == f"/v1/trainings/{job_id}"
    pump(trainer.ledger)
    job = envelope(trainer, job_id)
    assert job["status"] == "succeeded", job["error"]
    assert job["progress"] | {"eta_seconds": None} == {
        "phase": None, "done": 6, "total": 6, "unit": "steps", "fraction": 1.0, "eta_seconds": None,
    }  # fmt: skip
    assert job["result"]["steps"] == 6
    assert job["result"]["after"]["samples"] == job["result"]["before"]["samples"] > 0
    lines = trainer.http.get(job["links"]["metrics"]).json()["data"]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert all(line["loss"] > 0 and "mixtures" not in line for line in lines)
    full = trainer.http.get(job["links"]["metrics"], params={"mixtures": True}).json()["data"]
    assert all(sum(each["load_share"]) == pytest.approx(1) for line in full
               for each in line["mixtures"].values())  # fmt: skip
    some = trainer.http.get(job["links"]["metrics"], params={"after_step": 2, "max_points": 2})
    assert [line["step"] for line in some.json()["data"]] == [4, 6]
    assert trainer.http.get(job["links"]["checkpoints"]).json()["data"] == []
    assert job["result"]["report"]["train"]["name"] == "data/train.jsonl"
    kinds = [event["type"] for event in events(trainer, job_id)]
    assert {"queued", "started", "said", "step", "checkpoint", "measured"} <= set(kinds)
    assert kinds[-1] == "succeeded"
    run = runs_folder(trainer.ledger.settings) / job_id
    trained = logits(llama, run / "out" / "adapter")
    assert sweep_runs(trainer.ledger) == 1
    assert not run.exists()
    assert logits(llama, fetch_adapter(trainer, job_id, tmp_path / "fetched")) == trained


@pytest.mark.slow
def test_the_plan_may_be_deleted_meanwhile(trainer):
    plan_id = planned(trainer)
    job_id = submit(trainer, plan_id=plan_id).json()["id"]
    assert trainer.http.delete(f"/v1/plans/{plan_id}").status_code == 204
    while _drop(trainer):
        pass
    pump(trainer.ledger)
    assert envelope(trainer, job_id)["status"] == "succeeded"


def _drop(api) -> int:
    with api.ledger.database.write() as connection:
        return api.ledger.artifacts.drop_unused(connection, 100)


@pytest.mark.slow
def test_a_long_training_gives_others_their_turn(trainer, make_api, tmp_path, llama):
    settings = trainer.ledger.settings.model_copy(update={"segment": 0.01})
    trainer.ledger.settings = settings
    long = {**FEW, "schedule.steps": 200, "checkpoints.every": 1000}
    plan_id = planned(trainer)
    job_id = submit(trainer, plan_id=plan_id, settings=long).json()["id"]
    (unit,) = open_units(trainer.ledger)
    other = submit(trainer, plan_id=plan_id).json()["id"]
    run_unit(trainer.ledger, unit, "wrk_1", "cpu")
    job = envelope(trainer, job_id)
    assert job["status"] == "running"
    assert events(trainer, job_id)[-1]["type"] == "paused"
    assert job["progress"]["done"] < 200
    (checkpoint,) = trainer.http.get(job["links"]["checkpoints"]).json()["data"]
    assert 0 < checkpoint["step"] < 200
    assert trainer.http.post(f"/v1/trainings/{other}/cancel").status_code == 202
    pump(trainer.ledger)  # nobody waits now, so it may run to its end
    job = envelope(trainer, job_id)
    assert (job["status"], job["result"]["steps"]) == ("succeeded", 200)
    said = [event["message"] for event in events(trainer, job_id) if event["type"] == "said"]
    assert f"going on from checkpoint-{checkpoint['step']}" in said


@pytest.mark.slow
def test_cancel_ends_the_process_and_retry_goes_on(trainer):
    long = {**FEW, "schedule.steps": 5000, "checkpoints.every": 20}
    job_id = submit(trainer, settings=long).json()["id"]
    (unit,) = open_units(trainer.ledger)
    worker = threading.Thread(target=run_unit, args=(trainer.ledger, unit, "wrk_1", "cpu"))
    worker.start()
    _wait(lambda: _checkpoints(trainer, job_id))
    with trainer.ledger.database.write() as connection:
        assert cancel(connection, Reach("local", True), "training", job_id)
    worker.join(30)
    assert not worker.is_alive()
    job = envelope(trainer, job_id)
    assert job["status"] == "cancelled"
    assert trainer.http.get(f"/v1/trainings/{job_id}/adapter").json()["code"] == "conflict"
    kept = sealed_in(runs_folder(trainer.ledger.settings) / job_id / "out")
    last = max(map(step_of, kept))
    assert last >= _checkpoints(trainer, job_id)[-1]["step"]
    assert trainer.http.post(f"/v1/trainings/{job_id}/retry").status_code == 202
    trainer.ledger.settings = trainer.ledger.settings.model_copy(update={"segment": 1.0})
    run_unit(trainer.ledger, open_units(trainer.ledger)[0], "wrk_1", "cpu")
    said = [event["message"] for event in events(trainer, job_id) if event["type"] == "said"]
    assert f"going on from checkpoint-{last}" in said


def _checkpoints(api, job_id: str) -> list[dict]:
    return api.http.get(f"/v1/trainings/{job_id}/checkpoints").json()["data"]


def _wait(happened, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
def test_killed_twelve_times_it_ends_as_if_it_never_was(trainer, tmp_path, monkeypatch):
    """Half of the kills cut off a checkpoint; every one is another start of the unit."""
    words = {"plan_id": planned(trainer), "settings": {**FEW, "schedule.steps": 26}}
    calm, killed = (submit(trainer, **words).json()["id"] for _ in range(2))
    run_unit(trainer.ledger, open_units(trainer.ledger)[0], "wrk_1", "cpu")
    deaths = [
        (["step", "files", "step", "seal"][number % 4], 2 * number + 2) for number in range(12)
    ]
    assert sum(where != "step" for where, _ in deaths) == 6
    file = tmp_path / "deaths.txt"
    lines = (f"{where} {step + (where == 'step')}" for where, step in deaths)
    file.write_text("\n".join(lines))
    for name, value in fault_environment(f"tests.trainer.deaths:each_start:{file}").items():
        monkeypatch.setenv(name, value)
    for starts in range(1, 14):
        run_unit(trainer.ledger, open_units(trainer.ledger)[0], f"wrk_{starts}", "cpu")
        assert (envelope(trainer, killed)["status"] == "running") or starts == 13
    assert file.read_text() == ""
    reap(trainer.ledger)
    found = [envelope(trainer, job_id) for job_id in (calm, killed)]
    assert [job["status"] for job in found] == ["succeeded", "succeeded"]
    sums = [{file["name"]: file["sha256"] for file in job["result"]["files"]} for job in found]
    weights = "adapter/adapter_model.safetensors"
    assert sums[0][weights] == sums[1][weights]
    losses = [
        [line["loss"] for line in trainer.http.get(job["links"]["metrics"]).json()["data"]]
        for job in found
    ]
    assert len(losses[0]) == 13
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_one_that_dies_at_every_start_is_given_up(trainer, tmp_path, monkeypatch):
    """The first start came to a checkpoint, which counts for no other."""
    job_id = submit(trainer).json()["id"]
    file = tmp_path / "deaths.txt"
    file.write_text("step 3\n" * 5)
    for name, value in fault_environment(f"tests.trainer.deaths:each_start:{file}").items():
        monkeypatch.setenv(name, value)
    for starts in range(5):
        run_unit(trainer.ledger, open_units(trainer.ledger)[0], f"wrk_{starts}", "cpu")
    reap(trainer.ledger)
    job = envelope(trainer, job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "worker_lost")


@pytest.mark.slow
def test_a_comparison_counts_its_trainings_and_goes_on(trainer, tmp_path, monkeypatch):
    body = {
        "plans": {"own": planned(trainer)}, "dataset": "pairs.jsonl", "seeds": [0, 1],
        "against": ["uniform"], "settings": {**FEW, "schedule.steps": 3},
    }  # fmt: skip
    job_id = trainer.http.post("/v1/comparisons", json=body).json()["id"]
    file = tmp_path / "deaths.txt"
    file.write_text("step 3\n")
    for name, value in fault_environment(f"tests.trainer.deaths:each_start:{file}").items():
        monkeypatch.setenv(name, value)
    pump(trainer.ledger)
    job = trainer.http.get(f"/v1/comparisons/{job_id}").json()
    assert job["status"] == "succeeded", job["error"]
    assert (job["progress"]["done"], job["progress"]["unit"]) == (4, "trainings")
    found = job["result"]["comparison"]
    assert [(run["arm"], run["seed"], run["status"]) for run in found["runs"]] == [
        ("own", 0, "finished"), ("uniform", 0, "finished"),
        ("own", 1, "finished"), ("uniform", 1, "finished"),
    ]  # fmt: skip
    assert "too few" in found["verdict"]
    with trainer.ledger.database.read() as connection:
        assert list_files(connection, job_id) == [], "what it started from is not kept"


@pytest.mark.slow
def test_two_processes_train_one_adapter(trainer):
    job_id = submit(trainer).json()["id"]
    run_unit(trainer.ledger, open_units(trainer.ledger)[0], "wrk_1", "cpu,cpu")
    reap(trainer.ledger)
    job = envelope(trainer, job_id)
    assert (job["status"], job["result"]["steps"]) == ("succeeded", 6)


@pytest.mark.slow
def test_where_one_of_two_processes_is_killed_both_start_again(trainer, tmp_path, monkeypatch):
    job_id = submit(trainer).json()["id"]
    file = tmp_path / "deaths.txt"
    file.write_text("step 3\n")
    for name, value in fault_environment(f"tests.trainer.deaths:one_rank:{file}").items():
        monkeypatch.setenv(name, value)
    run_unit(trainer.ledger, open_units(trainer.ledger)[0], "wrk_1", "cpu,cpu")
    assert file.read_text() == ""
    assert envelope(trainer, job_id)["status"] == "running"
    run_unit(trainer.ledger, open_units(trainer.ledger)[0], "wrk_1", "cpu,cpu,cpu")
    reap(trainer.ledger)
    job = envelope(trainer, job_id)
    assert (job["status"], job["result"]["steps"]) == ("succeeded", 6)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"dataset": "nothing.jsonl"}, "not_found"),
        ({"dataset": "../pairs.jsonl"}, "invalid_request"),
        ({"plan_id": "pln_00"}, "not_found"),
        ({"preset": "best"}, "invalid_request"),
        ({"settings": {"schedule.stepps": 3}}, "invalid_recipe"),
        ({"settings": {"schedule.steps": -3}}, "invalid_recipe"),
        ({"settings": {"base.path": "/etc"}}, "invalid_recipe"),
        ({"settings": {"data.train": "/etc/passwd"}}, "invalid_recipe"),
        ({"settings": {"base": {"path": "/etc"}}}, "invalid_recipe"),
        ({"settings": {".base": {"path": "/etc", "weights": []}}}, "invalid_recipe"),
        ({"settings": {".data": {"train": "/etc/passwd", "sums": []}}}, "invalid_recipe"),
        ({"settings": {".plan": {}}}, "invalid_recipe"),
        ({"settings": {".preset": "lora"}}, "invalid_recipe"),
        ({"settings": {"plan.weights": []}}, "invalid_recipe"),
        ({"settings": {"base.path.": "/etc"}}, "invalid_recipe"),
        ({"settings": {"checkpoints.keep": 1000}}, "invalid_recipe"),
    ],
)
def test_what_cannot_be_is_refused_at_once(trainer, words, code):
    plan_id = planned(trainer)
    before = trainer.count()
    answer = submit(trainer, **{"plan_id": plan_id, **words})
    assert answer.json()["code"] == code
    assert trainer.count() == before


@pytest.mark.slow
def test_what_a_worker_finds_out_is_the_jobs_error(trainer, llama, tmp_path):
    folder = Path(trainer.ledger.settings.datasets)
    write_lines(folder / "chat.jsonl", [{"messages": [{"role": "assistant", "content": "w3"}]}])
    job_id = submit(trainer, dataset="chat.jsonl").json()["id"]
    pump(trainer.ledger)
    job = envelope(trainer, job_id)
    assert job["status"] == "failed"
    assert job["error"]["code"] == "invalid_data"
    assert "chat template" in job["error"]["detail"]
