"""What a unit adds to the metrics."""

import resource
import socket
import sys
from typing import Any

from analyzer.hub.transport import REQUESTS
from ledger.counters import PEAK, Tally

_asked: dict[str, int] = {}
"""Requests of this process that were counted already; it does one unit at a time."""


def tally_of(report: dict[str, Any], device: str) -> Tally:
    """Bytes, spectra and seconds of a unit's report, requests since the last one, and memory."""
    tally = Tally()
    for origin, count in report.get("bytes_read", {}).items():
        tally.add("bytes_read", count, origin=origin)
    if "solved" in report:
        tally.add("spectra_solved", report["solved"])
        tally.add("solve_seconds", report["seconds"])
    for status, count in REQUESTS.counts().items():
        if count > _asked.get(status, 0):
            tally.add("hub_requests", count - _asked.get(status, 0), status=status)
            _asked[status] = count
    tally.add(f"worker{PEAK}", _resident(), host=socket.gethostname()[:64], device="memory")
    if device.startswith("cuda") and "torch" in sys.modules:
        peak = sys.modules["torch"].cuda.max_memory_allocated(device)
        tally.add(f"worker{PEAK}", float(peak), host=socket.gethostname()[:64], device=device)
    return tally


def _resident() -> float:
    """The most memory that this process ever had, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
