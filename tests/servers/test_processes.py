"""A process is waited for and explained, and nothing it started outlives its test."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.servers.processes import Process

SLEEP = "import time; print('asleep'); time.sleep(60)"
FAMILY = f"""
import subprocess, sys
child = [sys.executable, "-c", {SLEEP!r}]
start = f"import subprocess; subprocess.Popen({{child!r}})"
subprocess.run([sys.executable, "-c", start])  # whose child has no parent then
subprocess.Popen(child, start_new_session=True)
subprocess.Popen(child)
print("complete")
import time; time.sleep(60)
"""
STRANGER = f"""
import subprocess, sys
child = [sys.executable, "-c", {SLEEP!r}]
start = f"import subprocess; subprocess.Popen({{child!r}}, start_new_session=True)"
subprocess.run([sys.executable, "-c", start])
"""


def python(code: str, tmp_path, **how) -> Process:
    return Process(sys.executable, "-c", code, log=tmp_path / "log", **how)


def alive(pids: list[int]) -> list[int]:
    return [
        pid
        for pid in pids
        if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    ]


def test_nothing_is_left_when_the_test_fails(tmp_path, capsys):
    everyone = []

    def failing_test():
        with python(FAMILY, tmp_path) as process:
            process.wait_for("complete")
            process.wait_for("asleep", times=3)
            everyone.extend([process.pid, *process.children()])
            assert len(alive(everyone)) == 4
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing_test()
    assert alive(everyone) == []
    printed = capsys.readouterr().out.partition("printed, at last:\n")[2]
    assert "complete" in printed
    assert printed.count("asleep") == 3


def test_nothing_is_left_when_the_run_is_told_to_end(tmp_path):
    (tmp_path / "test_endless.py").write_text(
        "import sys, time\nfrom tests.servers.processes import Process\n"
        "def test_endless(tmp_path, redis):\n"
        f"    with Process(sys.executable, '-c', {SLEEP!r}, log=tmp_path / 'log') as process:\n"
        "        process.wait_for('asleep')\n"
        "        print('started', process.pid, redis.process.pid)\n"
        "        time.sleep(60)\n"
    )
    pytest_run = [sys.executable, "-m", "pytest", "-s", "-p", "tests.servers.fixtures"]
    words = [*pytest_run, "--rootdir", tmp_path, tmp_path / "test_endless.py"]
    with Process(*words, log=tmp_path / "log", folder=Path(__file__).parents[2]) as process:
        process.wait_for("started")
        started = re.search(r"started (\d+) (\d+)", process.text())
        pids = [int(pid) for pid in started.groups()]
        assert alive(pids) == pids
        process.terminate()
        left = alive(pids)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert left == []


def test_who_left_the_group_and_has_no_parent_is_found(tmp_path):
    with python(STRANGER, tmp_path) as process:
        assert process.wait() == 0
        process.wait_for("asleep")
        (left,) = process.children()
        assert process.children("no such word") == []
        assert process.children("asleep") == [left]
    assert alive([left]) == []


def test_who_has_neither_parent_nor_environment_is_found(tmp_path):
    with python(STRANGER.replace("start_new_session=True", "env=dict()"), tmp_path) as process:
        assert process.wait() == 0
        (left,) = process.children()
    assert alive([left]) == []


def test_killed_alone_or_with_its_group(tmp_path):
    with python(FAMILY, tmp_path) as process:
        process.wait_for("asleep", times=3)
        process.kill()
        assert process.returncode == -signal.SIGKILL
        assert len(process.children()) == 3
        process.kill_group()
        process.wait_for(lambda: len(process.children()) == 1)
        process.start()
        process.wait_for("asleep", times=6)
        assert len(process.children()) == 4
        process.kill_group()
        process.wait_for(lambda: len(process.children()) == 2)


def test_paused_and_resumed_with_all_it_started(tmp_path):
    counting = "import time\nwhile True: print('count'); time.sleep(0.01)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {counting!r}])"
    with python(child, tmp_path) as process:
        process.wait_for("count")
        process.pause()
        before = process.text()
        time.sleep(0.2)
        assert process.text() == before
        process.resume()
        process.wait_for(lambda: process.text() != before)
        process.pause()  # and is ended all the same
    assert not process.running


def test_told_to_end(tmp_path):
    code = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n" + SLEEP
    with python(code, tmp_path) as process:
        process.wait_for("asleep")
        assert process.terminate() == 7
    with python(SLEEP, tmp_path) as process, pytest.raises(AssertionError, match="runs after 0.2"):
        process.wait(0.2)


def test_waiting_in_vain_is_explained(tmp_path):
    with python("print('the reason'); raise SystemExit(3)", tmp_path) as process:
        begin = time.monotonic()
        with pytest.raises(AssertionError, match=r"'ready', and it ended with 3(.|\n)*the reason"):
            process.wait_for("ready")
        assert time.monotonic() - begin < 10
    with python(SLEEP, tmp_path) as process:
        process.wait_for("asleep")
        with pytest.raises(AssertionError, match=r"never, after 0.1 s(.|\n)*asleep"):
            process.wait_for(never, timeout=0.1)


def never() -> bool:
    return False


def test_environment_and_folder(tmp_path):
    code = "import os; print(os.environ['A'], os.environ['TAILORA_CACHE'], os.getcwd())"
    with python(code, tmp_path, environment={"A": "b"}, folder=tmp_path) as process:
        process.wait()
        given, cache, folder = process.text().split()
    assert (given, folder) == ("b", str(tmp_path))
    assert cache
