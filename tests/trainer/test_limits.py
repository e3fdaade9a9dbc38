"""Runs that meet the end of memory or of the disk, for real."""

import os
import subprocess
import sys

import pytest
import torch

from tests.trainer.runs import pairs, recipe_in
from tests.trainer.started import weights_of
from trainer.errors import TrainingStopped
from trainer.finetune.checkpoints import found_in, is_whole
from trainer.finetune.run import finetune

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux")
@pytest.mark.parametrize(
    ("when", "told"),
    [("evaluation", "in an evaluation"), ("pass", "at step 1"), ("optimizer", "at step 1")],
)
def test_memory_that_runs_out_is_told_with_what_to_try(tmp_path, when, told):
    recipe = recipe_in(
        tmp_path, pairs(64), counts=(60, 60), schedule__steps=2, schedule__micro_batch=8,
        checkpoints__every=1,
    )  # fmt: skip
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    command = [sys.executable, "-m", "tests.trainer.starved", str(tmp_path / "recipe.json")]
    ended = subprocess.run(
        [*command, str(tmp_path / "run"), when], capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert f"TrainingStopped: memory ran out {told}: try --set schedule.micro_batch=4" in last


@pytest.fixture
def disk(tmp_path):
    """A disk of 16 MiB that is a folder."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no mount command")
    if done.returncode:
        pytest.skip(f"only who may mount has a disk to fill: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk, room):
    """Leave so many bytes on it; the file that takes the others."""
    stuffing = disk / "stuffing"
    stuffing.unlink(missing_ok=True)
    with stuffing.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, free_on(disk) - room)
    return stuffing


def free_on(disk):
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def test_a_full_disk_leaves_the_last_checkpoint_and_the_run_goes_on(tmp_path, disk):
    """With room for one checkpoint and two thirds of the next, then for all but the adapter."""
    recipe = recipe_in(tmp_path, pairs(64), schedule__steps=6)
    calm = finetune(recipe, tmp_path / "calm")
    first = tmp_path / "calm" / "checkpoint-6"
    size = sum(-(-path.stat().st_size // 4096) * 4096 for path in first.iterdir())
    stuffing = fill(disk, size * 5 // 3)
    with pytest.raises(TrainingStopped, match=r"checkpoint of step 4 could not be written: .*make"):
        finetune(recipe, disk / "run")
    assert free_on(disk) > size // 3, "what was written of it is gone"
    (kept,) = found_in(disk / "run")
    assert kept.name == "checkpoint-2"
    assert is_whole(kept)
    with pytest.raises(TrainingStopped, match="checkpoint of step 4 could not be written"):
        finetune(recipe, disk / "run")
    stuffing.unlink()
    assert finetune(recipe, disk / "run") == calm
    wanted, found = weights_of(tmp_path / "calm"), weights_of(disk / "run")
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


def test_a_disk_without_room_for_the_adapter_is_told_and_no_step_is_made_again(tmp_path, disk):
    recipe = recipe_in(tmp_path, pairs(64), schedule__steps=4, checkpoints__every=4)
    calm = finetune(recipe, tmp_path / "calm")
    finetune(recipe, disk / "run")
    for name in ("result.json", "adapter/adapter_model.safetensors"):
        (disk / "run" / name).unlink()
    stuffing = fill(disk, 0)
    with pytest.raises(TrainingStopped, match=r"could not be written: .*No space left"):
        finetune(recipe, disk / "run")
    stuffing.unlink()
    assert finetune(recipe, disk / "run") == calm
    assert not list((disk / "run").glob(".new-*"))
