"""What docker-compose.yml sets, and how its variables are filled in."""

import json
import os
import re
import shutil
import subprocess

import pytest

from ledger.settings import load_settings
from tests.deployment.compose import ROOT, Image, Missing, interpolate
from tests.deployment.test_compose import COMPOSE, OURS, SERVICES, VALUES, WORKERS, target_of

# Settings


@pytest.mark.parametrize("service", sorted(OURS))
def test_every_setting_is_one_that_the_program_knows(service, monkeypatch, tmp_path, secrets):
    for name in [name for name in os.environ if name.startswith("TAILORA_")]:
        monkeypatch.delenv(name)
    environment = Image.load(target_of(service)).environment()
    environment |= COMPOSE.environment(service, VALUES)
    for name in {"TAILORA_MODELS", "TAILORA_DATASETS"} & environment.keys():
        environment[name] = str(tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for path in secrets.iterdir():
        if path.name not in COMPOSE.secrets(service):
            path.unlink()
    monkeypatch.setenv("TAILORA_SECRETS_DIR", str(secrets))
    found = load_settings()
    assert re.fullmatch(
        r"postgresql\+psycopg://tailora:\w{48}@postgres:5432/tailora", found.database
    )
    sends = "tailora_broker_url" in COMPOSE.secrets(service)
    broker = r"redis://tailora:\w{48}@redis:6379/0" if sends else "filesystem://localhost"
    assert re.fullmatch(broker, found.broker)
    assert str(found.data) == "/data"
    assert found.log_format == "json"
    assert found.on_loopback == (service != "api")


def test_what_the_hub_needs_is_handed_on_only_where_it_is_set():
    for service in {"api"} | WORKERS:
        assert "HF_ENDPOINT" not in COMPOSE.environment(service, VALUES)
        given = COMPOSE.environment(service, {**VALUES, "HF_ENDPOINT": "https://hub"})
        assert given["HF_ENDPOINT"] == "https://hub"
        assert given["HF_TOKEN_PATH"] == "/run/secrets/hf_token"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A-${A}", "a-a"),
        ("$$A ${EMPTY:-d} ${EMPTY-d}|", "$A d |"),
        ("${NONE:-d:e/f} ${NONE-d}", "d:e/f d"),
        ("${A:+yes}${EMPTY:+no}${EMPTY+set}${NONE+no}", "yesset"),
        ("${A:?never} ${EMPTY?never}|", "a |"),
    ],
)
def test_interpolation_is_that_of_compose(text, expected):
    assert interpolate(text, {"A": "a", "EMPTY": ""}) == expected


def test_docker_compose_reads_the_same(tmp_path):
    docker = ["docker", "compose"]
    if (
        not shutil.which("docker")
        or subprocess.run([*docker, "version"], capture_output=True).returncode
    ):
        pytest.skip("docker compose is not installed")
    variables = {
        **VALUES,
        "HF_ENDPOINT": "https://hub",
        "API_PORT": "9000",
        "MODELS_DIR": "/srv/models",
        "DATASETS_DIR": "/srv/datasets",
    }
    (tmp_path / "env").write_text("".join(f"{n}={v}\n" for n, v in variables.items()))
    files = ["--file", str(ROOT / "docker-compose.yml"), "--env-file", str(tmp_path / "env")]
    shown = subprocess.run(
        [*docker, *files, "--profile", "*", "config", "--format", "json"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    theirs = json.loads(shown.stdout)["services"]
    assert set(theirs) == set(SERVICES)
    for name, service in theirs.items():
        words = [*(service.get("entrypoint") or []), *(service.get("command") or [])]
        assert [word.replace("$$", "$") for word in words] == COMPOSE.command(name, variables)
        there = {n: v for n, v in service["environment"].items() if v is not None}
        assert there == COMPOSE.environment(name, variables)


@pytest.mark.parametrize("text", ["${NONE}", "$NONE", "${NONE?why}", "${EMPTY:?why}"])
def test_a_variable_without_a_value_is_an_error(text):
    with pytest.raises(Missing, match=r"NONE|EMPTY why"):
        interpolate(text, {"EMPTY": ""})
