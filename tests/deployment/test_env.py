"""`make env`: secrets that are fresh, private, and never written over."""

import os
import re
import stat
import subprocess
import sys

import pytest

from tests.deployment.compose import ROOT, Compose

SECRETS = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "TAILORA_KEY_PEPPER"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / ".env.example").write_text((ROOT / ".env.example").read_text())
    return tmp_path


def make_env(folder):
    command = [sys.executable, str(ROOT / "scripts" / "make_env.py"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True)


def values(path) -> dict[str, str]:
    """The variables as Compose reads them."""
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_example_holds_no_secret():
    found = values(ROOT / ".env.example")
    assert {name for name, value in found.items() if not value} == SECRETS
    assert found["COMPOSE_PROFILES"] == "cpu"


def test_every_secret_that_compose_asks_for_is_made():
    rules = Compose.load().variables()
    assert {name for name, rule in rules.items() if ":?" in rule} == SECRETS


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


def test_a_fresh_env_has_strong_secrets_and_is_private(folder):
    old = os.umask(0)
    try:
        made = make_env(folder)
    finally:
        os.umask(old)
    assert made.returncode == 0, made.stderr
    path = folder / ".env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = values(path)
    secrets = [found[name] for name in sorted(SECRETS)]
    assert all(re.fullmatch(r"[0-9a-zA-Z]{32,}", secret) for secret in secrets)
    assert len(set(secrets)) == len(SECRETS)
    assert found["COMPOSE_PROFILES"] == "cpu"
    assert str(path) in made.stdout
    assert not [secret for secret in secrets if secret in made.stdout + made.stderr]
    Compose.load().interpolated(found)


def test_two_machines_get_different_secrets(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / ".env.example").write_text((folder / ".env.example").read_text())
    assert make_env(folder).returncode == make_env(other).returncode == 0
    first, second = values(folder / ".env"), values(other / ".env")
    assert not [name for name in SECRETS if first[name] == second[name]]


def test_an_env_that_exists_is_left_alone(folder):
    make_env(folder)
    path = folder / ".env"
    path.write_text(path.read_text() + "API_PORT=9000\n")
    before = path.read_bytes()
    again = make_env(folder)
    assert (again.returncode, path.read_bytes()) == (0, before)
    assert "left as it is" in again.stdout


@pytest.mark.parametrize("line", ["", "REDIS_PASSWORD=\n", "REDIS_PASSWORD=  # later\n"])
def test_what_an_env_lacks_is_named(folder, line):
    path = folder / ".env"
    path.write_text("POSTGRES_PASSWORD=p\nTAILORA_KEY_PEPPER=q\n" + line)
    before = path.read_bytes()
    found = make_env(folder)
    assert (found.returncode, path.read_bytes()) == (1, before)
    assert "has no REDIS_PASSWORD;" in found.stderr


def test_a_link_is_not_written_through(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "file"
    (folder / ".env").symlink_to(elsewhere)
    assert make_env(folder).returncode != 0
    assert not elsewhere.exists()


def test_git_and_the_image_never_see_it():
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_make_env_is_a_target_of_the_makefile():
    shown = subprocess.run(
        ["make", "--dry-run", "env"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "scripts/make_env.py" in shown.stdout
