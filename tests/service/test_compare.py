"""`tailora compare` as a user runs it."""

import json
import subprocess

import pytest

from tests.service.command import command, fails, run, variables


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """Two plans from scores: 12 experts and 14 over three layers."""
    folder = tmp_path_factory.mktemp("plans")
    (folder / "scores.json").write_text("[1, 2, 3]")
    for budget in (12, 14):
        run("plan", "--scores", folder / "scores.json", "-b", budget,
            "--out", folder / f"[{budget}].json")  # fmt: skip
    return folder / "[12].json", folder / "[14].json"


def test_a_table_and_lines(plans):
    """Shares by 1, 2^2.5, 3^2.5, none below 1: 1 2.93 8.07 of 12, and 1 3.46 9.54 of 14."""
    found = run("compare", *plans)
    lines = found.stdout.splitlines()
    assert lines[1].split() == ["stack", "layer", "[12].json", "[14].json", "difference"]
    assert lines[2].split() == ["text", "0", "1", "1"]
    assert lines[3].split() == ["text", "1", "3", "3"]
    assert lines[4].split() == ["text", "2", "8", "10", "+2"]
    assert lines[5:7] == [
        "[12].json: alphalora, 12 experts",
        "[14].json: alphalora, 14 experts",
    ]
    assert "2 of 3 counts the same, sum of all changes 2, of all counts +2" in lines[7]
    assert "  budget: 12 → 14" in lines
    assert found.stderr == ""


def test_json_out_and_standard_input(plans, tmp_path):
    out = tmp_path / "comparison.json"
    found = subprocess.run(
        command("compare", "-", plans[1], "--json", "--out", out),
        input=plans[0].read_bytes(), capture_output=True, timeout=60, env=variables(), check=True,
    )  # fmt: skip
    document = json.loads(found.stdout)
    assert document["schema"] == "tailora.comparison/1"
    assert [plan["name"] for plan in document["plans"]] == ["-", "[14].json"]
    assert json.loads(out.read_text()) == document


def test_files_of_one_name(plans, tmp_path):
    copy = tmp_path / "[12].json"
    copy.write_bytes(plans[0].read_bytes())
    names = [plan["name"] for plan in json.loads(run("compare", plans[0], copy, plans[1],
                                                     "--json").stdout)["plans"]]  # fmt: skip
    assert names == [str(plans[0]), str(copy), "[14].json"]
    assert "1 expert" not in run("compare", plans[0], copy).stdout


def test_other_models_are_warned_of(plans, tmp_path):
    for name in "ab":
        text = plans[0].read_text().replace('"model": null', f'"model": "org/{name}"')
        (tmp_path / f"{name}.json").write_text(text)
    found = run("compare", tmp_path / "a.json", tmp_path / "b.json")
    assert "warning: a.json is a plan for org/a, b.json for org/b" in found.stderr


BAD_FILES = {
    "none": (None, "cannot read"),
    "binary": (b"\xff\xfe\x00\x01", "this is no plan"),
    "deep": (b"[" * 100_000, "this is no plan"),
    "other keys": (b'{"schema": "tailora.plan/1"}', "this is no plan: digest"),
    "empty": (b"", "this is no plan"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(plans, tmp_path, case):
    content, message = BAD_FILES[case]
    file, out = tmp_path / "bad.json", tmp_path / "out.json"
    if content is not None:
        file.write_bytes(content)
    error = fails("compare", plans[0], file, "--out", out, code=2, message=message)
    assert "bad.json" in error
    assert not out.exists()


def test_bad_requests(plans, tmp_path):
    fails("compare", plans[0], code=2, message="1 plan to compare; give at least two")
    fails("compare", plans[0], plans[0], code=2, message="is named twice")
    fails("compare", plans[0], tmp_path, code=2, message="cannot read")
    fails("compare", *plans, "--out", tmp_path / "no" / "x", code=2, message="another --out")
    fails("compare", plans[0], "/dev/zero", code=2, message="more than 64,000,000 bytes")
    changed = tmp_path / "changed.json"
    changed.write_text(plans[0].read_text().replace('"experts": 8', '"experts": 9'))
    fails("compare", plans[0], changed, code=2, message="was changed after it was made")
