"""Which devices this machine has, asked in a process of its own: a parent never imports torch."""

import subprocess
import sys

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
