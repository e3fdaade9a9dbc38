"""`tailora explain` as a user runs it."""

import json
import shlex

import pytest

from tests.service.command import fails, run


@pytest.fixture(scope="module")
def plan_file(minilm, tmp_path_factory):
    file = tmp_path_factory.mktemp("plan") / "plan.json"
    run("plan", minilm, "-b", 30, "--out", file, TAILORA_CACHE=file.parent / "cache")
    return file


def test_paragraphs_for_people(plan_file):
    found = run("explain", plan_file)
    assert found.stderr == ""
    lines = found.stdout.splitlines()
    assert lines[0] == "In short"
    assert "" in lines
    prose = [line for line in lines if not line.startswith("    ") and "/" not in line]
    assert max(map(len, prose)) <= 100
    assert "5 of 6 layers would get another count: 3 4 4 4 6 9." in " ".join(lines)


def test_json_and_out(plan_file, tmp_path):
    out = tmp_path / "explanation.json"
    found = json.loads(run("explain", plan_file, "--json", "--out", out).stdout)
    assert found["schema"] == "tailora.explanation/1"
    assert found["digest"] == json.loads(plan_file.read_text())["digest"]
    assert json.loads(out.read_text()) == found


def test_the_proposed_commands_work(plan_file, tmp_path):
    """What is proposed can be typed; a uniform plan of the same budget comes out."""
    found = json.loads(run("explain", plan_file, "--json").stdout)
    commands = [
        shlex.split(sentence["command"])
        for section in found["sections"]
        for sentence in section["sentences"]
        if sentence["command"] is not None
    ]
    plans = [words for words in commands if words[:2] == ["tailora", "plan"]]
    uniform = next(words for words in plans if "uniform" in words)
    uniform[uniform.index("uniform.json")] = str(tmp_path / "uniform.json")
    run(*uniform[1:])
    made = json.loads((tmp_path / "uniform.json").read_text())
    assert [layer["experts"] for layer in made["layers"]] == [5] * 6
    assert made["weights"] == json.loads(plan_file.read_text())["weights"]
    cache = plan_file.parent / "cache"
    for words in plans:
        if "--estimator" in words or "--aspect" in words:
            text = run(*words[1:], "--json", TAILORA_CACHE=cache).stdout
            assert json.loads(text)["budget"]["experts"] == 30
    compare = next(words for words in commands if words[1] == "compare")
    files = {"PLAN": plan_file, "uniform.json": tmp_path / "uniform.json"}
    told = run("compare", *(files[word] for word in compare[2:])).stdout
    assert "1 expert to move" in told, "5 5 5 4 5 6 to 5 5 5 5 5 5"


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"{}", b"[1, 2]", b"[" * 99_999])
def test_bad_files(tmp_path, content):
    file = tmp_path / "bad.json"
    file.write_bytes(content)
    assert "bad.json" in fails("explain", file, code=2, message="this is no plan")


def test_bad_requests(plan_file, tmp_path):
    fails("explain", tmp_path / "none.json", code=2, message="cannot read")
    fails("explain", plan_file, "--out", tmp_path / "no" / "x", code=2, message="another --out")
