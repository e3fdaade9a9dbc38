"""Which devices this machine has, asked in a process of its own: a parent never imports torch."""

import subprocess
import sys
from importlib.util import find_spec

from ledger.settings import Settings
from worker.app import ANALYZE, TRAIN
from worker.errors import WorkerMissing

_COUNT = "import torch; print(torch.cuda.device_count())"


def devices(setting: str) -> list[str]:
    """The devices of a setting; for `auto` every GPU, else the CPU. Raises WorkerMissing."""
    if setting != "auto":
        return setting.split(",")
    found = subprocess.run(
        [sys.executable, "-c", _COUNT], capture_output=True, text=True, check=False
    )
    if found.returncode != 0:
        raise WorkerMissing(
            "a worker needs torch, which does not load here; install it with "
            "`pip install 'tailora[server,analyze]'`, or see `tailora doctor`"
        )
    count = int(found.stdout.strip() or 0)
    return [f"cuda:{number}" for number in range(count)] or ["cpu"]


def shared_out(settings: Settings, queue: str) -> str:
    """The devices of a queue on a machine that works on both; `auto` leaves the other its GPUs.

    Where both are `auto`, trainings have all GPUs but the first, or the only one. Raises
    WorkerMissing.
    """
    both = {ANALYZE: settings.analyze_devices, TRAIN: settings.train_devices}
    own, other = both.pop(queue), *both.values()
    if own != "auto":
        return own
    free = [device for device in devices("auto") if device not in other.split(",")]
    gpus = [device for device in free if device != "cpu"]
    if other == "auto":
        first, rest = gpus[:1], gpus[1:]
        gpus = (rest or first) if queue == TRAIN else (first if rest else [])
    return ",".join(gpus) or "cpu"


def can_train() -> bool:
    """Whether what a training needs is installed."""
    return all(find_spec(name) is not None for name in ("torch", "transformers", "peft"))


def check_trainer() -> None:
    """Raise WorkerMissing unless trainings can run here."""
    if not can_train():
        raise WorkerMissing(
            "a worker that trains needs transformers and peft; install them with "
            "`pip install 'tailora[server,train]'`"
        )
