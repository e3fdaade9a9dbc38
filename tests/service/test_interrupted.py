"""Runs that end early: killed, stopped by Ctrl-C, out of disk. The next one goes on from there."""

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hub import actions
from tests.service.command import command, document, drafts, fails, run, spectra, variables
from tests.service.conftest import BUDGET

KILLS = 5
MATRICES = 48
HEADERS = 6
STOPPED = "interrupted; what was solved is kept, run again to continue"


@contextmanager
def start(*arguments, **environment) -> Iterator[subprocess.Popen[str]]:
    """A process that is gone at the end, whatever happened."""
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=variables(**environment),
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(condition, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def killed(model: str, store: Path, environment: dict[str, str], seed: int) -> list[int]:
    """Kill a plan five times, each at a random moment after it kept a random number more."""
    draw = random.Random(seed)
    counts = [0]
    for target in sorted(draw.sample(range(MATRICES - 6), KILLS)):
        before = {name: path.read_bytes() for name, path in spectra(store).items()}
        with start("plan", model, *BUDGET, "-q", "--cache", store, **environment) as process:
            if target <= counts[-1]:
                time.sleep(draw.uniform(0.1, 1.0))
            wait_for(lambda at=target: len(spectra(store)) >= at, process)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        after = spectra(store)
        assert all(after[name].read_bytes() == content for name, content in before.items())
        counts.append(len(after))
    return counts


def continued(model: str, store: Path, environment: dict[str, str], seed: int):
    """Where the kills struck, what the next run solved and reused, and the plan then."""
    counts = killed(model, store, environment, seed)
    words = (model, "--verified", "--cache", store)
    found = document("analyze", *words, **environment)["provenance"]
    return counts, found, document("plan", *words, *BUDGET, **environment)


def test_killed_at_ten_moments(small, online, tmp_path):
    """Five of the folder, five of the Hub: nothing kept is solved again, the plan is the same."""
    online.hub.rate = 40e6
    cases = [(str(small.folder), {}, 1), ("org/model", online.environment, 2)]
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(continued, model, tmp_path / str(seed), environment, seed)
            for model, environment, seed in cases
        ]
    for finished in runs:
        counts, found, plan = finished.result()
        print(counts, found["spectra_reused"], found["spectra_solved"])
        assert counts == sorted(counts)
        assert len(set(counts)) > KILLS // 2, "most of them came further"
        assert found["spectra_reused"] == counts[-1] > 0
        assert found["spectra_solved"] == MATRICES - counts[-1] > 0
        assert found["verified"]
        small.check(plan)


STUCK = {
    "no answer by the API": (actions.hang(), "/revision/", 0),
    "half a listing": (actions.hang(20), "/tree/", 0),
    "no header": (actions.hang(), "^/cdn", 0),
    "a header byte by byte": (actions.drip(10, 0.2), "^/cdn", 0),
    "half a tensor": (actions.hang(100_000), "^/cdn", HEADERS),
    "tensors byte by byte": (actions.drip(10, 0.2), "^/cdn", HEADERS),
    "a long wait": (actions.status(429, Retry_After="100"), "^/cdn", HEADERS),
}


@pytest.mark.parametrize("case", STUCK)
def test_ctrl_c_while_the_hub_is_stuck(online, tmp_path, case):
    """130 and one line, soon, although sockets may stay silent for ten seconds."""
    action, path, skip = STUCK[case]
    fault = online.spoil(action, path, skip=skip)
    words = ("plan", "org/model", *BUDGET, "-q", "--cache", tmp_path / "store")
    with start(*words, **online.environment) as process:
        wait_for(lambda: fault.fired > 0, process)
        time.sleep(0.3)
        pressed = time.monotonic()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    took = time.monotonic() - pressed
    print(f"{case}: {took:.2f} s")
    assert process.returncode == 130, errors
    assert errors.splitlines() == [STOPPED]
    assert output == ""
    assert took < 3
    assert not drafts(tmp_path / "store")


SMALL_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
"""
SMALL_DISK = """
mount -t tmpfs -o size=64k none "$0" || exit 77
"$@"; code=$?
find "$0" -name ".new-*"
exit $code
"""


def fails_for_space(store: Path, errors: str, output: str) -> None:
    (line,) = errors.splitlines()
    assert line.startswith(f"error: cannot keep results in {store}: ")
    assert line.endswith("; choose another folder with --cache")
    assert output == "", "no plan, no draft left behind"


def test_files_that_may_not_grow(small, online, tmp_path):
    """As on a volume with a quota: a spectrum of 2 kB does not fit."""
    for model in (str(small.folder), "org/model"):
        store = tmp_path / "full"
        words = ("plan", model, *BUDGET, "-q", "--cache")
        found = run(*words, store, code=2, before=SMALL_FILES, **online.environment)
        fails_for_space(store, found.stderr, found.stdout)
        assert not drafts(store)
        assert not spectra(store)
        small.check(document(*words[:-2], "--cache", small.store, **online.environment))


def test_a_full_disk(small, tmp_path):
    """A volume of 64 kB in a namespace of its own; it holds some spectra, then no more."""
    store = tmp_path / "full"
    store.mkdir()
    words = command("plan", small.folder, *BUDGET, "-q", "--cache", store)
    found = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK, store, *words],
        capture_output=True, text=True, env=variables(),
    )  # fmt: skip
    if found.returncode == 77 or found.stderr.startswith("unshare"):
        pytest.skip("this machine lets nobody mount a small volume")
    assert found.returncode == 2
    fails_for_space(store, found.stderr, found.stdout)
    small.check(document("plan", small.folder, *BUDGET, "--cache", small.store))


def test_a_store_that_is_a_file(small, tmp_path):
    (tmp_path / "store").write_text("")
    fails("plan", small.folder, *BUDGET, "--cache", tmp_path / "store", code=2,
          message="choose another folder with --cache")  # fmt: skip
    assert (tmp_path / "store").read_text() == ""
