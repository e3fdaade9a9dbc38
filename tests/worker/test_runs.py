"""What surrounds a training's process: its folder, devices, and a ledger that is away."""

import json
import threading
from contextlib import suppress

import pytest

from ledger.errors import DatabaseUnavailable
from ledger.runs import list_checkpoints, list_metrics
from ledger.tables import units
from ledger.units import postpone
from tests.ledger.make import add_job, change, held, told, unit
from tests.service.api.conftest import *  # noqa: F403 - the API's fixtures
from tests.trainer.small import planned
from trainer import errors
from trainer.errors import TrainerError
from trainer.finetune.checkpoints import seal
from worker.codes import INTERNAL, code_of
from worker.errors import FolderBusy, Stopped
from worker.follow import Follower, Lines
from worker.lease import Lease
from worker.orders import at_once
from worker.process import _environment, folder_lock


def test_a_folder_is_one_process_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("worker.process.WAIT_SECONDS", 0.3)
    taken = pytest.raises(FolderBusy, match="another process")
    with folder_lock(tmp_path / "run"), taken, folder_lock(tmp_path / "run"):
        pass
    with folder_lock(tmp_path / "run"):
        pass


def test_devices_are_those_of_the_worker(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert _environment(["cpu"], 3) == {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "3"}
    assert _environment(["cuda:1", "cuda:3"], 0) == {"CUDA_VISIBLE_DEVICES": "1,3"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-8a,7")
    assert _environment(["cuda:0", "cuda:1"], 0) == {"CUDA_VISIBLE_DEVICES": "5,GPU-8a"}


@pytest.mark.parametrize(
    ("batch", "micro", "devices", "expected"),
    [(128, 8, 7, 4), (128, 8, 16, 16), (8, 4, 3, 2), (4, 4, 8, 1), (24, 8, 8, 3)],
)
def test_as_many_devices_as_steps_can_be_shared_among(tmp_path, batch, micro, devices, expected):
    made = planned(tmp_path / "model")
    order = {
        "kind": "training", "plans": [json.loads(made.to_json())],
        "base": {"path": "x", "weights": []}, "data": {"train": "data/train.jsonl"},
        "words": {
            "preset": None,
            "settings": {"schedule.batch": batch, "schedule.micro_batch": micro},
        },
    }  # fmt: skip
    assert at_once(order, devices) == expected
    assert at_once({**order, "kind": "comparison"}, devices) == 1


def test_lines_are_told_once_also_where_the_file_was_cut_back(tmp_path):
    file = tmp_path / "metrics.jsonl"
    lines = Lines(file)
    assert lines.new() == []
    file.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert lines.new() == [{"step": 1}, {"step": 2}]
    with file.open("a") as stream:
        stream.write('ep": 3}\n')
    assert lines.new() == [{"step": 3}]
    draft = tmp_path / "draft"
    draft.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"step": 4}\n')
    draft.rename(file)
    assert [line["step"] for line in lines.new()] == [1, 2, 3, 4]
    assert Lines(file, from_end=True).new() == []


@pytest.fixture
def segment(make_api):
    """A ledger, and the claim of a training's first segment."""
    ledger = make_api().ledger
    with ledger.database.write() as connection:
        job_id = add_job(connection, "training", phase="training")
    claim = held(ledger.database, job_id, kind="segment", payload={"job_id": job_id})
    return ledger, claim, job_id


def metrics(ledger, job_id: str) -> list[int]:
    with ledger.database.read() as connection:
        return [line["step"] for line in list_metrics(connection, job_id)]


def line(step: int) -> str:
    return json.dumps({"step": step, "steps": 9, "loss": 1.0, "mixtures": {}}) + "\n"


def test_what_could_not_be_told_is_told_at_the_next_look(segment, tmp_path, monkeypatch):
    ledger, claim, job_id = segment
    out = tmp_path / "out"
    out.mkdir()
    with Lease(ledger, claim) as lease:
        follower = Follower(ledger, claim, lease, tmp_path)
        (out / "metrics.jsonl").write_text(line(1))

        def away():
            raise DatabaseUnavailable("the database is away")

        with monkeypatch.context() as patch:
            patch.setattr(ledger.database, "write", away)
            follower.look()
        with (out / "metrics.jsonl").open("a") as stream:
            stream.write(line(2))
        assert metrics(ledger, job_id) == []
        follower.look()
        assert metrics(ledger, job_id) == [1, 2]
        again = Follower(ledger, claim, lease, tmp_path)
        again.look()
        assert again.began is None, "it has made no step yet"
    assert told(ledger.database, job_id).count("step") == 1


def test_a_checkpoint_of_an_earlier_start_is_no_progress(segment, tmp_path):
    ledger, claim, job_id = segment
    folder = tmp_path / "out" / "checkpoint-2"
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"abc")
    seal(folder)
    with ledger.database.write() as connection:
        change(connection, units, claim.unit_id, stalls=3)
    with Lease(ledger, claim) as lease:
        follower = Follower(ledger, claim, lease, tmp_path)
        follower.look()
        assert unit(ledger.database, claim.unit_id)["stalls"] == 3
        with ledger.database.read() as connection:
            assert [row["step"] for row in list_checkpoints(connection, job_id)] == [2]
        folder = tmp_path / "out" / "checkpoint-4"
        folder.mkdir()
        (folder / "model.bin").write_bytes(b"abcd")
        seal(folder)
        follower.look()
        assert unit(ledger.database, claim.unit_id)["stalls"] == 1


def test_a_start_that_found_the_folder_taken_does_not_count(segment):
    ledger, claim, _ = segment
    with ledger.database.write() as connection:
        assert postpone(connection, claim, 0.0, counted=False)
    assert unit(ledger.database, claim.unit_id)["stalls"] == 0


def test_a_training_stops_when_its_lease_ran_out_while_the_ledger_was_away(make_api, monkeypatch):
    ledger = make_api(lease=0.5, heartbeat=0.1).ledger
    with ledger.database.write() as connection:
        job_id = add_job(connection, "training", phase="training")
    stopped = {}
    for kind in ("segment", "matrices"):
        claim = held(ledger.database, job_id, kind=kind, payload={"job_id": job_id})

        def away():
            raise DatabaseUnavailable("the database is away")

        with monkeypatch.context() as patch, suppress(Stopped):
            patch.setattr(ledger.database, "write", away)
            with Lease(ledger, claim, kill=lambda: None) as lease:
                event = threading.Event()
                lease.on_stop(event.set)
                stopped[kind] = event.wait(2.0)
    assert stopped == {"segment": True, "matrices": False}


def test_every_error_of_the_trainer_has_a_code():
    kinds = [each for each in vars(errors).values() if isinstance(each, type)
             and issubclass(each, TrainerError) and each is not TrainerError]  # fmt: skip
    assert len(kinds) >= 9
    assert [kind.__name__ for kind in kinds if code_of(kind("x")) == INTERNAL] == []
