"""`tailora datasets`, of a service that registered one."""

import json

import pytest

from tests.service.cli_service import serving
from tests.service.command import fails, run

LINE = b'{"text": "a"}\n'


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets")
    registered = folder / "registered"
    registered.mkdir()
    (registered / "texts.csv").write_text("text\na\nb\n")
    run("db", "upgrade", TAILORA_DATA=folder / "data")
    own = {"TAILORA_DATASETS": str(registered)}
    with serving(folder, command="api", ready="listening", **own) as found:
        yield found


def test_a_dataset_from_upload_to_delete(running, tmp_path):
    file = tmp_path / "ä b.jsonl"
    file.write_bytes(LINE * 2)
    made = run("datasets", "upload", file, **running.remote).stdout.strip()
    assert made.startswith("dts_")
    shown = json.loads(run("datasets", "show", made, "--json", **running.remote).stdout)
    assert (shown["name"], shown["bytes"], shown["form"]) == ("ä b.jsonl", 2 * len(LINE), "text")
    words = ("upload", file, "--name", "x", "--format", "jsonl", "--json")
    other = json.loads(run("datasets", *words, **running.remote).stdout)
    assert (other["name"], other["sha256"]) == ("x", shown["sha256"])
    every = json.loads(run("datasets", "list", "--json", **running.remote).stdout)["data"]
    assert [one["id"] for one in every[:2]] == [other["id"], made]
    assert [one["name"] for one in every if one["source"] == "registered"] == ["texts.csv"]
    table = run("datasets", "list", **running.remote).stdout
    assert "ä b.jsonl" in table
    assert "texts.csv" in table
    assert "columns   text" in run("datasets", "show", "texts.csv", **running.remote).stdout
    for each in (made, other["id"]):
        assert run("datasets", "delete", each, **running.remote).stdout == f"{each} deleted\n"
    fails("datasets", "show", made, code=4, message="upload it again", **running.remote)


def test_what_the_command_cannot_do(running, tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"q": 1}\n')
    fails("datasets", "upload", file, code=2, message="columns q;", **running.remote)
    fails("datasets", "upload", tmp_path / "no", code=2, message="No such file", **running.remote)
    fails("datasets", "upload", tmp_path, code=2, message="Is a directory", **running.remote)
    fails("datasets", "delete", "texts.csv", code=2, message="operator", **running.remote)
    fails("datasets", "list", code=2, message="TAILORA_URL")
