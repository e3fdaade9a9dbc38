"""A Hub that fails, lies or asks to wait: the right plan, or one line and no numbers."""

from pathlib import Path

import pytest

from tests.hub import actions
from tests.hub.actions import MB
from tests.hub.faults import Action
from tests.hub.messages import Response
from tests.service.command import QUICK, document, drafts, fails, run, spectra
from tests.service.conftest import BUDGET

PLAN = ("plan", "org/model", *BUDGET)
INSPECT = ("inspect", "org/model")
PIECES = ("--memory", "16MB")
"""Requests of 1 MB, about 30 of them for all the shards."""
HEADERS = 6
"""Requests to the storage before the first tensor is asked for: one for each shard."""
GROWTH = 64 * 1024
NOTE_PEAK = """
import atexit, pathlib
def note():
    status = pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1]
    pathlib.Path({!r}).write_text(status.split()[0])
atexit.register(note)
"""


@pytest.mark.parametrize(
    ("mode", "rate"), [("--verified", 0.05), ("--verified", 0.2), ("--ranged", 0.2)]
)
def test_errors_change_nothing(small, online, tmp_path, mode, rate):
    """All kinds together at that rate, anywhere between the first request and the last."""
    kinds = [
        actions.status(503), actions.status(429, Retry_After="0"), actions.status(500),
        actions.reset(), actions.reset(200_000), actions.cut(300_000), actions.hang(100_000),
    ]  # fmt: skip
    share = 1 - (1 - rate) ** (1 / len(kinds))
    faults = [
        online.spoil(kind, "org/model|^/cdn", rate=share, seed=seed)
        for seed, kind in enumerate(kinds)
    ]
    environment = {**online.environment, "HF_HUB_DOWNLOAD_TIMEOUT": "1"}
    plan = document(*PLAN, mode, *PIECES, "--cache", tmp_path / "store", **environment)
    small.check(plan)
    assert plan["provenance"]["verified"] is (mode == "--verified")
    fired, requests = sum(fault.fired for fault in faults), len(online.hub.requests)
    print(f"{mode} at {rate}: {fired} of {requests} requests failed")
    assert fired >= (1 if rate < 0.1 else 8)
    assert requests <= 3 * (requests - fired)


def test_a_flipped_bit(small, online, tmp_path):
    """Named, and nothing stays that a later run would use: not even what was solved before it."""
    store = tmp_path / "store"
    words = (*PLAN, "--verified", *PIECES, "--cache", store)
    name = "model-00004-of-00006.safetensors"
    fault = online.spoil(actions.flip(3_500_000), f"^/cdn.*{name}")
    message = f"org/model/{name} has sha256"
    fails(*words, "-q", code=5, message=message, **online.environment)
    assert fault.fired == 1
    kept = len(spectra(store))
    assert len(list(store.glob("unchecked/*/*"))) == 0
    assert kept <= 3 * 8, "only of the shards before it"
    online.hub.faults.clear()
    analysis = document("analyze", *words[1:2], *PIECES, "--cache", store, **online.environment)
    assert analysis["provenance"]["spectra_reused"] == kept
    assert analysis["provenance"]["spectra_solved"] == 48 - kept
    small.check(document(*words, **online.environment))


def test_lies_about_headers(small, online, tmp_path):
    """Another object (by its ETag or its size), another range than asked for."""
    last = (small.folder / "model-00006-of-00006.safetensors").read_bytes()
    cases = [
        (actions.swap(last, etag='"another"'), 5, "differs"),
        (actions.swap(last + b"longer"), 5, "its size differs"),
        (actions.misrange(total=8), 5, "its size differs"),
        (actions.misrange(start=8), 3, "another range than asked for"),
        (actions.ignore_range(), 3, "ignores the range"),
        (actions.resize(extra=-100, announce=True), 3, "announces another length"),
    ]
    for action, code, message in cases:
        lied(online, tmp_path, online.spoil(action), "--verified", code, message)


@pytest.mark.parametrize("mode", ["--verified", "--ranged"])
def test_lies_about_tensors(small, online, tmp_path, mode):
    """What was right for the headers is another object, or another range, in between."""
    last = (small.folder / "model-00006-of-00006.safetensors").read_bytes()
    cases = [
        (actions.swap(last, etag='"another"'), 5, "differs"),
        (actions.misrange(start=8), 3, "another range than asked for"),
    ]
    for action, code, message in cases:
        lied(online, tmp_path, online.spoil(action, skip=HEADERS + 2), mode, code, message)


def lied(online, tmp_path, fault, mode: str, code: int, message: str) -> None:
    """One line, no plan, and nothing kept as checked."""
    store, out = tmp_path / "store", tmp_path / "plan.json"
    words = (*PLAN, mode, *PIECES, "--cache", store, "--out", out, "-q")
    fails(*words, code=code, message=message, before=QUICK, **online.environment)
    assert fault.fired >= 1
    assert not out.exists()
    assert not list(store.glob("spectra/*/*"))
    online.hub.faults.remove(fault)


def test_a_short_wait(small, online):
    """Retry-After is kept, by the listing and by the storage."""
    listing = online.spoil(actions.status(429, Retry_After="3"), "/tree/", times=1)
    storage = online.spoil(actions.status(503, Retry_After="1"), times=1)
    small.check(document(*PLAN, "--cache", small.store, **online.environment))
    assert listing.fired == storage.fired == 1
    asked = [request for request in online.hub.requests if "/tree/" in request.path]
    assert [request.status for request in asked] == [429, 200]
    assert asked[1].time - asked[0].time >= 3
    again = [r for r in online.hub.requests if r.origin == "cdn"]
    assert max(r.time for r in again) - min(r.time for r in again) >= 1


@pytest.mark.parametrize(("path", "skip"), [("/revision/", 0), ("^/cdn", 0), ("^/cdn", HEADERS)])
def test_a_long_wait_ends_the_run(online, tmp_path, path, skip):
    fault = online.spoil(actions.status(429, Retry_After="86400"), path, skip=skip)
    words = (*PLAN, "--cache", tmp_path / "store", "-q")
    message = "asking to wait 86400 s; run again after that, what was solved is kept"
    fails(*words, code=3, message=message, **online.environment)
    assert fault.fired >= 1
    asked = [(request.path, request.range) for request in online.hub.requests]
    assert len(asked) == len(set(asked)), "nobody asks again"


@pytest.mark.parametrize(
    "wait", ["Fri, 31 Dec 9999 23:59:59 -1200", "99999999999999999999", "soon"]
)
def test_odd_waits(online, wait):
    fault = online.spoil(actions.status(429, Retry_After=wait), "/revision/")
    fails(*INSPECT, code=3, message="answers 429", before=QUICK, **online.environment)
    assert fault.fired >= 1


def peak(tmp_path: Path, words, code: int, environment) -> int:
    """The largest memory of a run in kB; it must leave nothing outside its store."""
    note, elsewhere = tmp_path / "peak", tmp_path / "elsewhere"
    for folder in ("tmp", "home", "xdg"):
        (elsewhere / folder).mkdir(parents=True, exist_ok=True)
    own = {"TMPDIR": "tmp", "HOME": "home", "XDG_CACHE_HOME": "xdg", "HF_HOME": "hf"}
    changed = {name: str(elsewhere / folder) for name, folder in own.items()}
    how = {"before": QUICK + NOTE_PEAK.format(str(note)), **environment, **changed}
    if code:
        fails(*words, code=code, message="times; run again later", **how)
    else:
        run(*words, **how)
    assert not [path for path in elsewhere.rglob("*") if path.is_file()]
    return int(note.read_text())


def bomb() -> Action:
    """1 GB behind 1 MB of gzip; packed once for all requests."""
    pieces = actions.gzipped_zeros(1000 * MB)

    def act(request, answer):
        length = str(sum(map(len, pieces)))
        headers = {**answer().headers, "Content-Encoding": "gzip", "Content-Length": length}
        return Response(206, headers, pieces)

    return Action(act, lambda request, answer: answer().status == 206)


@pytest.mark.parametrize("skip", [0, HEADERS])
def test_bombs(online, tmp_path, skip):
    """1 GB of gzip, a body 150 times as long: as headers (no torch) and as tensors."""
    how = ("--ranged", *PIECES) if skip else ("--method", "mola")
    cases = [(bomb(), 3), (actions.resize(times=150, announce=True), 3),
             (actions.resize(times=150), 0)]  # fmt: skip
    words = (*PLAN, *how, "-q", "--cache")
    clean = peak(tmp_path, (*words, tmp_path / "clean"), 0, online.environment)
    for action, code in cases[:2] if skip else cases:
        fault = online.spoil(action, skip=skip)
        growth = peak(tmp_path, (*words, tmp_path / "store"), code, online.environment) - clean
        print(f"{growth / 1024:.0f} MB above {clean / 1024:.0f} MB")
        assert growth <= GROWTH
        assert fault.fired >= 1
        assert spectra(tmp_path / "store") == {}
        assert not drafts(tmp_path / "store")
        online.hub.faults.clear()
