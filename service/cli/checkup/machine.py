"""The machine itself: Python, torch and its devices, room on disk."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from service.cli.checkup.finding import Finding
from service.cli.sizes import format_size

TORCH_SECONDS = 60.0
LEAST_FREE, LITTLE_FREE = 100_000_000, 5_000_000_000
"""Bytes below which nothing more can be kept, and below which there is not much left."""

_TORCH = """
import json, torch
count = torch.cuda.device_count()
names = [torch.cuda.get_device_name(number) for number in range(count)]
print(json.dumps([torch.__version__, names]))
"""


def python() -> Iterator[Finding]:
    """The interpreter, and what runs in it."""
    from analyzer.version import tailora_version

    yield Finding(
        "python", "ok", f"{platform.python_version()} in {sys.prefix}, tailora {tailora_version()}"
    )


def torch() -> Iterator[Finding]:
    """torch and the GPUs that it sees, asked in a process of its own."""
    from importlib.util import find_spec

    if find_spec("torch") is None:
        yield Finding(
            "torch", "warn", "not installed, so nothing can be solved here",
            "a worker and `tailora plan` need it: pip install 'tailora[analyze]'",
        )  # fmt: skip
        return
    try:
        found = subprocess.run(
            [sys.executable, "-c", _TORCH],
            capture_output=True, text=True, timeout=TORCH_SECONDS, check=True,
        )  # fmt: skip
        version, gpus = json.loads(found.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError):
        yield Finding(
            "torch", "fail", "is installed, but does not load",
            "see what `python -c 'import torch'` says, and install it again",
        )  # fmt: skip
        return
    yield Finding("torch", "ok", version)
    cores = f"no GPU, solving on {os.cpu_count()} CPU cores"
    yield Finding("devices", "ok", ", ".join(gpus) or cores)


def room(name: str, folder: Path, variable: str) -> Iterator[Finding]:
    """Whether a folder can be written to, and what is free there; it need not exist yet."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), None)
    if there is None or not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield Finding(
            name, "fail", f"{folder} cannot be written to",
            f"give this user the folder, or set {variable} to another one",
        )  # fmt: skip
        return
    free = shutil.disk_usage(there).free
    detail = f"{folder}, {format_size(free)} free"
    advice = f"make room, or set {variable} to a folder on another disk"
    if free < LEAST_FREE:
        yield Finding(name, "fail", detail, advice)
    elif free < LITTLE_FREE:
        yield Finding(name, "warn", detail, advice)
    else:
        yield Finding(name, "ok", detail)
