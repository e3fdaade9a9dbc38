"""Hostile inputs: each is answered soon, in one line, by a process that lives and stays small."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import SafetensorError, safe_open

from analyzer import errors
from service.cli.failures import exit_code
from tests.hostile import HEADERS, HOSTILE_IDS, KINDS
from tests.hostile.child import Child
from tests.hostile.contents import ALLOWED, NAMES
from tests.hostile.driver import SECONDS
from tests.hostile.kind import WEIGHTS

ROOT = Path(__file__).parents[2]
MEMORY = 256_000_000
LONGEST_MESSAGE = 500

OPEN = {
    "10,000,000 experts": "one Matrix is made for each, without a limit",
    "40,000 stacks": "names are counted in a list; the message lists every stack",
    "40,000 fused layers": "warnings are looked up in a list; there is one a module",
    "many tensors of 60 GB": "files are hashed before it is known whether a matrix fits in memory",
    "index with NUL in a file name": "the message repeats the name as it is",
    "index with newline in a file name": "the message repeats the name as it is",
    "index with a lone surrogate": "the message repeats the name as it is",
    "index with a tensor that is not there": "the message repeats the name as it is",
    "index with a file name of 100,000": "OSError: file name too long",
    "file name not UTF-8": "the outline cannot be written as JSON",
    "file name with newline": "the message repeats the name as it is",
    "1,000 numbered shards": "each name is looked up in a list, for each shard of each shard",
    "layer 00": "00 and 0 become one layer with the same module twice",
}
"""Kinds that the code does not yet withstand, and what it does instead; delete what is mended."""


def skipped(name: str) -> bool:
    return KINDS[name].needs_user and os.geteuid() == 0


BATCH = [n for n, kind in KINDS.items() if not (kind.soak or n in OPEN or skipped(n))]


def parameter(name: str):
    marks = []
    if name in OPEN:
        marks.append(pytest.mark.xfail(reason=OPEN[name], strict=True))
    if skipped(name):
        marks.append(pytest.mark.skip(reason="root may read everything"))
    return pytest.param(name, marks=marks)


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    with Child(tmp_path_factory.mktemp("hostile")) as child:
        reports = child.run(BATCH)
        yield reports, child.deaths, child.growth


@pytest.fixture(scope="module")
def open_batch(tmp_path_factory):
    with Child(tmp_path_factory.mktemp("open")) as child:
        yield child.run(name for name in OPEN if not KINDS[name].soak)


def check_message(message: str) -> None:
    assert message.isprintable()
    assert 0 < len(message) <= LONGEST_MESSAGE


def is_kind_of(error: str, expected: str) -> bool:
    return issubclass(getattr(errors, error), getattr(errors, expected))


def check(name: str, report: dict) -> None:
    """One kind's report against what it must be."""
    kind = KINDS[name]
    assert "died" not in report
    calls = [report[call] for call in ("outline", "analyze") if call in report]
    for call in calls:
        assert call["class"] in ("ok", "error"), call
        assert call["seconds"] <= SECONDS
        for text in [*call.get("warnings", ()), *([call["message"]] if "message" in call else ())]:
            check_message(text)
        assert not call.get("not_finite")
        assert not call.get("twice")
    failed = [call for call in calls if call["class"] == "error"]
    if kind.expect != "either":
        assert bool(failed) == (kind.expect != "ok"), calls
        assert all(is_kind_of(call["error"], kind.expect) for call in failed), failed


@pytest.mark.parametrize("name", [parameter(n) for n, kind in KINDS.items() if not kind.soak])
def test_each_is_answered_soon_and_in_one_line(name, request):
    if name in OPEN:
        reports = request.getfixturevalue("open_batch")
    else:
        reports = request.getfixturevalue("batch")[0]
    check(name, reports[name])


def test_no_process_died_and_memory_stayed(batch):
    reports, deaths, growth = batch
    assert len(reports) == len(BATCH) > 200
    assert deaths == 0
    assert growth <= MEMORY


@pytest.mark.soak
@pytest.mark.parametrize("name", [parameter(n) for n, kind in KINDS.items() if kind.soak])
def test_large_ones(name, tmp_path):
    with Child(tmp_path) as child:
        check(name, child.run([name])[name])
        assert child.growth <= MEMORY


@pytest.mark.parametrize("name", [*HEADERS, *ALLOWED, *NAMES])
def test_what_the_library_refuses_the_outline_refuses(name, batch, tmp_path):
    """The safetensors library is the second opinion on what a file may be."""
    KINDS[name].build(tmp_path)
    try:
        with safe_open(tmp_path / WEIGHTS, "np", backend="pread") as opened:
            opened.keys()
    except SafetensorError:
        assert batch[0][name]["outline"].get("error") == "UnreadableFile"


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """What asking for each hostile name opened and called, in an empty folder."""
    empty = tmp_path_factory.mktemp("empty")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    environment = {**kept, "PYTHONPATH": str(ROOT), "HOME": str(empty), "TAILORA_CACHE": str(empty)}
    found = subprocess.run(
        [sys.executable, "-m", "tests.hostile.follow"], cwd=empty, env=environment,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return dict(zip(HOSTILE_IDS, map(json.loads, found.stdout.splitlines()), strict=True))


def name_parameter(name: str):
    """The present message repeats a name as it is, or its whole revision."""
    repeated = not name.isprintable() or len(name.partition("@")[2]) > LONGEST_MESSAGE
    mark = pytest.mark.xfail(reason="the message repeats the name as it is", strict=True)
    return pytest.param(name, marks=[mark] if repeated else [], id=ascii(name[:40]))


@pytest.mark.parametrize("name", [name_parameter(name) for name in HOSTILE_IDS])
def test_no_name_is_followed(name, followed):
    report = followed[name]
    assert report["seen"] == []
    assert report["code"] in (2, 4)
    check_message(report["message"])


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service.cli", *arguments], cwd=ROOT, env={**os.environ},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def check_refused(found: subprocess.CompletedProcess[str], codes: tuple[int, ...]) -> None:
    assert found.returncode in codes
    assert found.stdout == ""
    assert found.stderr.startswith("error: ")
    check_message(found.stderr.removesuffix("\n"))


@pytest.mark.parametrize(
    ("verb", "name"),
    [("inspect", "8,000,000 lists"), ("inspect", "name with newline and escape codes"),
     ("inspect", "pipe"), ("inspect", "config in config, 900 deep"), ("inspect", "index with .."),
     ("inspect", "empty folder"), ("analyze", "one NaN"), ("analyze", "header length 2^64-1")],
)  # fmt: skip
def test_the_command_says_it_in_one_line(verb, name, tmp_path):
    KINDS[name].build(tmp_path)
    code = exit_code(getattr(errors, KINDS[name].expect)(""))
    check_refused(command(verb, str(tmp_path)), (code,))


@pytest.mark.parametrize("name", ["http://169.254.169.254/", "file:///etc/passwd", "/dev/zero"])
def test_the_command_follows_no_name(name):
    check_refused(command("inspect", name), (2, 4))
