"""`tailora keys`: shown once, kept as a hash, and worth nothing once revoked."""

import json

import pytest

from tests.service.cli_service import serving
from tests.service.command import fails, run

PEPPER = "pepper-of-this-test"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """An API that others can reach, so that it asks for keys."""
    folder = tmp_path_factory.mktemp("guarded")
    own = {"TAILORA_KEY_PEPPER": PEPPER, "TAILORA_HOST": "0.0.0.0"}
    run("db", "upgrade", TAILORA_DATA=folder / "data")
    with serving(folder, command="api", ready="listening", **own) as found:
        yield found


@pytest.fixture
def ours(guarded):
    return {**guarded.local, "TAILORA_KEY_PEPPER": PEPPER}


def listed(environment) -> dict[str, dict]:
    found = json.loads(run("keys", "list", "--json", **environment).stdout)["data"]
    return {key["id"]: key for key in found}


def test_a_key_is_shown_once_and_works_until_it_is_revoked(guarded, ours):
    made = run("keys", "create", "one", **ours)
    key = made.stdout.removesuffix("\n")
    (key_id,) = [id for id, each in listed(ours).items() if each["name"] == "one"]
    assert made.stderr == f"keep it now: one ({key_id}) is not shown again\n"
    shown = run("keys", "list", **ours).stdout + run("keys", "list", "--json", **ours).stdout
    files = [path.read_bytes() for path in guarded.data.rglob("*") if path.is_file()]
    assert files
    assert not [content for content in [shown.encode(), *files] if key[4:].encode() in content]

    words = ("jobs", "list")
    assert run(*words, TAILORA_API_KEY=key, **guarded.remote).stdout == "no jobs\n"
    for wrong in ({}, {"TAILORA_API_KEY": key[:-1]}, {"TAILORA_API_KEY": key.swapcase()}):
        fails(*words, code=2, message="send a valid key", **wrong, **guarded.remote)
    assert run("keys", "revoke", "one", **ours).stdout == f"{key_id} revoked\n"
    fails(*words, code=2, message="send a valid key", TAILORA_API_KEY=key, **guarded.remote)
    assert listed(ours)[key_id]["revoked_at"]
    fails("keys", "revoke", "one", code=4, message="no valid key one", **ours)
    assert key not in guarded.process.text()


def test_keys_have_owners(ours):
    first = json.loads(run("keys", "create", "a", "--owner", "team", "--json", **ours).stdout)
    second = json.loads(run("keys", "create", "b", "--owner", "team", "--json", **ours).stdout)
    assert first["key"] != second["key"]
    assert first.pop("key").startswith("tlr_")
    assert (first["name"], first["owner"], first["revoked_at"]) == ("a", "team", None)
    assert listed(ours)[first["id"]] == first
    run("keys", "revoke", first["id"], **ours)
    assert listed(ours)[second["id"]]["revoked_at"] is None


def test_a_key_without_the_pepper_says_so(guarded):
    made = run("keys", "create", "plain", **guarded.local)
    assert "TAILORA_KEY_PEPPER" in made.stderr
    key = made.stdout.strip()
    fails("jobs", "list", code=2, message="valid key", TAILORA_API_KEY=key, **guarded.remote)


@pytest.mark.parametrize("name", ["", "two words", "a" * 65, "-x", "Jürgen", "a\nb"])
def test_a_name_that_cannot_be(ours, name):
    fails("keys", "create", "--", name, code=2, message="use 1 to 64 letters", **ours)
    fails("keys", "create", "fine", f"--owner={name}", code=2, message="--owner", **ours)


def test_beyond_this_machine_a_pepper_is_asked_for(tmp_path):
    run("db", "upgrade", TAILORA_DATA=tmp_path)
    for words in (("api",), ("serve", "--host", "0.0.0.0")):
        fails(*words, code=2, message="TAILORA_KEY_PEPPER", TAILORA_HOST="0.0.0.0",
              TAILORA_DATA=tmp_path)  # fmt: skip
