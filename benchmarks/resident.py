"""Memory of this process in megabytes: what is resident, and the peak since it was forgotten."""

import resource
import sys
from pathlib import Path

import psutil
import torch

MEGA = 1_000_000


def resident() -> float:
    """Now; on a GPU what torch has allocated there."""
    if torch.cuda.is_available():
        return torch.cuda.memory_allocated() / MEGA
    return float(psutil.Process().memory_info().rss) / MEGA


def forget_peak() -> None:
    """The peak is counted from now on, where the system lets one say so (Linux)."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif (file := Path("/proc/self/clear_refs")).exists():
        file.write_text("5")


def peak() -> float:
    """Since `forget_peak`; where that could not be said, since the process began."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / MEGA
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / MEGA
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found / MEGA if sys.platform == "darwin" else found * 1024 / MEGA
