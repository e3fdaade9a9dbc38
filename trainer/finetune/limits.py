"""Memory and disks that are full, as messages that say what to do."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate.utils.memory import should_reduce_batch_size
from safetensors import SafetensorError

from trainer.errors import NotExportable, TrainingStopped
from trainer.exports.places import first_line
from trainer.recipe import Recipe


@contextmanager
def memory_is_told(recipe: Recipe, when: Callable[[], str]) -> Iterator[None]:
    """Raise TrainingStopped, with what to try, where memory runs out; on a GPU or the CPU."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        smaller = recipe.schedule.micro_batch // 2
        advice = f"try --set schedule.micro_batch={smaller}" if smaller else "cut data.length"
        raise TrainingStopped(
            f"memory ran out {when()}: {advice}, or --set checkpointing=true; checkpoints are "
            "kept, but those are other recipes, so choose another --out"
        ) from error


@contextmanager
def disk_is_told(what: str, folder: Path) -> Iterator[None]:
    """Raise TrainingStopped where `what` cannot be written into `folder`."""
    try:
        yield
    except TrainingStopped:
        raise
    except (OSError, RuntimeError, SafetensorError, NotExportable) as error:
        if is_out_of_memory(error):
            raise
        raise TrainingStopped(
            f"{what} could not be written: {first_line(error)} ({_free(folder)} bytes are free); "
            "make room and run again, which goes on from the last checkpoint"
        ) from error


def is_out_of_memory(error: Exception) -> bool:
    """Whether an allocation failed: torch has an own class for GPUs alone."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return bool(should_reduce_batch_size(error)) or "bad_alloc" in str(error)


def _free(folder: Path) -> str:
    try:
        return f"{shutil.disk_usage(folder).free:,}"
    except OSError:
        return "unknown"
