"""`make env`: secrets that are fresh, private, and never written over."""

import os
import re
import stat
import subprocess
import sys

import pytest

from tests.deployment.compose import ROOT, Compose

RANDOM = {"postgres_password", "redis_password", "tailora_key_pepper"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / ".env.example").write_text((ROOT / ".env.example").read_text())
    return tmp_path


def make_env(folder):
    command = [sys.executable, str(ROOT / "scripts" / "make_env.py"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True)


def files(folder) -> dict[str, str]:
    return {path.name: path.read_text().strip() for path in (folder / "secrets").iterdir()}


def test_the_example_names_every_variable_of_compose():
    text = (ROOT / ".env.example").read_text()
    offered = set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE))
    compose = Compose.load()
    handed_on = {
        name
        for service in compose.services.values()
        for name, value in (service.get("environment") or {}).items()
        if value is None
    }
    assert offered == set(compose.variables()) | handed_on | {"COMPOSE_PROFILES"}
    assert "COMPOSE_PROFILES=cpu\n" in text


def test_fresh_secrets_are_strong_and_private(folder):
    old = os.umask(0)
    try:
        made = make_env(folder)
    finally:
        os.umask(old)
    assert made.returncode == 0, made.stderr
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in (folder / ".env", folder / "secrets", folder / "secrets" / "redis_acl")
    }
    assert modes == {".env": 0o600, "secrets": 0o700, "redis_acl": 0o444}
    assert (folder / ".env").read_text() == (folder / ".env.example").read_text()
    found = files(folder)
    secrets = [found[name] for name in sorted(RANDOM)]
    assert all(re.fullmatch(r"[0-9a-zA-Z]{32,}", secret) for secret in secrets)
    assert len(set(secrets)) == len(RANDOM)
    assert found["hf_token"] == ""
    assert found["postgres_password"] in found["tailora_database_url"]
    assert found["redis_password"] in found["tailora_broker_url"]
    assert found["redis_password"] not in found["redis_acl"]
    assert not [secret for secret in secrets if secret in made.stdout + made.stderr]


def test_two_machines_get_different_secrets(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / ".env.example").write_text((folder / ".env.example").read_text())
    assert make_env(folder).returncode == make_env(other).returncode == 0
    first, second = files(folder), files(other)
    assert not [name for name in RANDOM if first[name] == second[name]]


def test_what_exists_is_left_alone(folder):
    make_env(folder)
    with (folder / ".env").open("a") as file:
        file.write("API_PORT=9000\n")
    (folder / "secrets" / "hf_token").write_text("hf_mine")
    before = (files(folder), (folder / ".env").read_bytes())
    again = make_env(folder)
    assert (again.returncode, (files(folder), (folder / ".env").read_bytes())) == (0, before)
    assert "left as it is" in again.stdout


@pytest.mark.parametrize("missing", ["tailora_broker_url", "redis_acl", "tailora_database_url"])
def test_what_is_missing_is_made_from_the_rest(folder, missing):
    make_env(folder)
    before = files(folder)
    (folder / "secrets" / missing).unlink()
    assert make_env(folder).returncode == 0
    assert files(folder) == before


def test_a_password_that_changed_is_noticed(folder):
    make_env(folder)
    password = folder / "secrets" / "redis_password"
    password.unlink()
    password.write_text("another")
    found = make_env(folder)
    assert found.returncode == 1
    assert "redis_acl" in found.stderr
    assert "tailora_broker_url" in found.stderr
    assert "another" not in found.stderr
    for name in ("redis_acl", "tailora_broker_url"):
        (folder / "secrets" / name).unlink()
    assert make_env(folder).returncode == 0
    assert ":another@" in files(folder)["tailora_broker_url"]


@pytest.mark.parametrize("text", ["", "a@b", "two words"])
def test_a_password_that_no_address_can_hold_is_refused(folder, text):
    (folder / "secrets").mkdir()
    (folder / "secrets" / "postgres_password").write_text(text)
    found = make_env(folder)
    assert found.returncode == 1
    assert "postgres_password" in found.stderr


def test_a_link_is_not_written_through(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "file"
    (folder / ".env").symlink_to(elsewhere)
    make_env(folder)
    assert not elsewhere.exists()


def test_git_never_sees_them():
    assert {".env", "secrets/"} <= set((ROOT / ".gitignore").read_text().splitlines())


def test_make_env_is_a_target_of_the_makefile():
    shown = subprocess.run(
        ["make", "--dry-run", "env"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "scripts/make_env.py" in shown.stdout
