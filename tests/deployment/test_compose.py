"""What docker-compose.yml promises, one by one, and where it has to agree with the Dockerfile."""

import json
import re
from pathlib import Path

import pytest

from tests.deployment.compose import Compose, Image

COMPOSE = Compose.load()
SERVICES = sorted(COMPOSE.services)
VALUES: dict[str, str] = {}
"""Variables of .env: none is needed."""

FILLED = COMPOSE.interpolated(VALUES)
ONE_SHOT = {"migrate"}
ANALYZERS = {"worker-analyze-cpu", "worker-analyze"}
TRAINERS = {"worker-train-cpu", "worker-train"}
WORKERS = ANALYZERS | TRAINERS
OURS = {"migrate", "api", "dispatcher"} | WORKERS
TARGETS = ("api", "worker", "trainer")
ON_THE_HUB = {
    # Users of these images, and the only folders that they write to.
    "redis": ("redis", {"/data"}),
    "postgres": ("postgres", {"/var/lib/postgresql/data", "/run/postgresql"}),
}


def target_of(service: str) -> str:
    return COMPOSE.services[service]["build"]["target"]


def volumes(service: str) -> dict[str, tuple[str, str]]:
    """(source, mode) by the folder where it is mounted."""
    lines = [line.split(":") for line in FILLED.services[service].get("volumes", [])]
    return {parts[1]: (parts[0], parts[2] if parts[2:] else "rw") for parts in lines}


def seconds(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


def test_nothing_else_is_started():
    assert set(SERVICES) == OURS | set(ON_THE_HUB)


# Secrets


def test_secrets_are_the_files_that_make_env_writes(secrets):
    declared = {name: found["file"] for name, found in COMPOSE.document["secrets"].items()}
    assert declared == {path.name: f"./secrets/{path.name}" for path in secrets.iterdir()}


def test_no_secret_is_a_variable_or_written_in_a_file():
    wanted = "PASSWORD|PEPPER|SECRET|TOKEN|KEY|AUTH|_URL"
    assert not [name for name in COMPOSE.variables() if re.search(wanted, name)]
    for service in COMPOSE.services.values():
        for name, value in (service.get("environment") or {}).items():
            if re.search(wanted, name):
                assert name.endswith(("_FILE", "_PATH"))
                assert value.startswith("/run/secrets/")
    for target in TARGETS:
        assert not [n for n in Image.load(target).environment() if re.search("PASS|TOKEN|KEY", n)]


def test_every_variable_has_a_default():
    assert all(rule and rule <= {":-"} for rule in COMPOSE.variables().values())


def test_each_service_holds_only_the_secrets_it_needs():
    def holders(secret: str) -> set[str]:
        return {service for service in SERVICES if secret in COMPOSE.secrets(service)}

    assert {secret: holders(secret) for secret in COMPOSE.document["secrets"]} == {
        "postgres_password": {"postgres"},
        "redis_password": {"redis"},
        "redis_acl": {"redis"},
        "tailora_database_url": OURS,
        "tailora_broker_url": {"dispatcher"} | WORKERS,
        "tailora_key_pepper": {"api"},
        "hf_token": {"api"} | WORKERS,
    }


@pytest.mark.parametrize("service", SERVICES)
def test_files_that_a_service_names_are_its_secrets(service):
    named = re.findall(r"/run/secrets/(\w+)", json.dumps(COMPOSE.services[service]))
    assert set(named) <= set(COMPOSE.secrets(service))


def test_postgres_asks_for_its_password_everywhere():
    environment = COMPOSE.environment("postgres", VALUES)
    assert "--auth=scram-sha-256" in environment["POSTGRES_INITDB_ARGS"].split()
    assert "POSTGRES_HOST_AUTH_METHOD" not in environment


# What can be reached


def test_one_port_is_published_and_on_loopback():
    published = [p for service in FILLED.services.values() for p in service.get("ports", [])]
    assert published == ["127.0.0.1:8000:8000"]
    there = FILLED.services["api"]["environment"]
    assert published[0].rsplit(":", 1)[1] == str(there["TAILORA_PORT"])
    assert not [s for s in COMPOSE.services.values() if s.get("network_mode") or s.get("pid")]


def test_address_and_port_are_variables():
    moved = COMPOSE.interpolated({**VALUES, "API_ADDRESS": "0.0.0.0", "API_PORT": "9000"})
    assert moved.services["api"]["ports"] == ["0.0.0.0:9000:8000"]


def test_the_api_listens_beyond_loopback_so_that_it_asks_for_keys():
    environment = COMPOSE.environment("api", VALUES)
    assert environment["TAILORA_HOST"] == "0.0.0.0"
    assert "tailora_key_pepper" in COMPOSE.secrets("api")


NETWORKS = {
    "postgres": {"ledger"}, "migrate": {"ledger"}, "redis": {"broker"},
    "dispatcher": {"ledger", "broker"}, "api": {"ledger", "hub"},
} | {worker: {"ledger", "broker", "hub"} for worker in WORKERS}  # fmt: skip


def test_only_who_asks_the_hub_reaches_out():
    assert {name: set(s["networks"]) for name, s in COMPOSE.services.items()} == NETWORKS
    networks = COMPOSE.document["networks"]
    open_ones = {name for name, rule in networks.items() if not (rule or {}).get("internal")}
    assert open_ones == {"hub"}
    assert set(networks) == {"ledger", "broker", "hub"}


# Rights


@pytest.mark.parametrize("service", SERVICES)
def test_the_root_file_system_is_read_only(service):
    assert COMPOSE.services[service]["read_only"] is True
    assert "/tmp" in COMPOSE.services[service]["tmpfs"]


@pytest.mark.parametrize("service", SERVICES)
def test_no_process_gains_rights(service):
    assert "no-new-privileges:true" in COMPOSE.services[service]["security_opt"]
    assert COMPOSE.services[service]["cap_drop"] == ["ALL"]
    assert not {"privileged", "cap_add", "devices"} & set(COMPOSE.services[service])
    assert not [m for m in volumes(service).values() if "docker.sock" in m[0]]


@pytest.mark.parametrize("service", SERVICES)
def test_processes_and_memory_are_bounded(service):
    found = FILLED.services[service]
    assert 0 < found["pids_limit"] <= 4096
    assert re.fullmatch(r"[1-9]\d*[mg]", found["mem_limit"])
    smaller = COMPOSE.interpolated({"WORKER_MEMORY": "3g"}).services[service]["mem_limit"]
    assert (smaller == "3g") == (service in WORKERS)


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_runs_as_root(service):
    user = COMPOSE.services[service].get("user")
    if service in ON_THE_HUB:
        assert user == ON_THE_HUB[service][0]
    else:
        assert user is None
        (number,) = Image.load(target_of(service)).all("USER")
        assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", number)
        assert f"--uid {number.partition(':')[0]}" in " ".join(Image.load("base").all("RUN"))


@pytest.mark.parametrize("service", sorted(ON_THE_HUB))
def test_the_folders_that_other_images_write_to_are_mounted(service):
    mounted = set(volumes(service)) | set(COMPOSE.services[service]["tmpfs"])
    assert ON_THE_HUB[service][1] <= mounted


# Data


@pytest.mark.parametrize("service", sorted({"api"} | WORKERS))
def test_what_is_written_lies_in_named_volumes(service):
    environment = Image.load(target_of(service)).environment()
    environment |= COMPOSE.environment(service, VALUES)
    for name in ("TAILORA_DATA", "HF_HOME", "XDG_CACHE_HOME"):
        folder = Path(environment[name])
        (home,) = [m for m in volumes(service) if folder.is_relative_to(m)]
        source, mode = volumes(service)[home]
        assert (source in COMPOSE.document["volumes"], mode) == (True, "rw")


def test_each_kind_of_data_has_one_volume():
    sources = {source for s in SERVICES for source, _ in volumes(s).values()}
    assert sources == set(COMPOSE.document["volumes"])
    for service in ON_THE_HUB:
        users = [s for s in SERVICES if service in {source for source, _ in volumes(s).values()}]
        assert users == [service]


@pytest.mark.parametrize("service", sorted({"api"} | WORKERS))
def test_local_models_and_datasets_are_read_only(service):
    environment = COMPOSE.environment(service, VALUES)
    assert volumes(service)[environment["TAILORA_MODELS"]] == ("models", "ro")
    assert volumes(service)[environment["TAILORA_DATASETS"]] == ("datasets", "ro")
    own = {"MODELS_DIR": "/srv/models", "DATASETS_DIR": "/srv/datasets"}
    chosen = COMPOSE.interpolated({**VALUES, **own}).services[service]["volumes"]
    assert {"/srv/models:/models:ro", "/srv/datasets:/datasets:ro"} <= set(chosen)


# Start, health, stop


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_says_whether_it_is_well(service):
    check = COMPOSE.services[service]["healthcheck"]
    if service in ONE_SHOT:
        assert check == {"disable": True}
        return
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert check["retries"] >= 3
    assert 0 < seconds(check["timeout"]) <= seconds(check["interval"]) * 2
    assert seconds(check["start_period"]) >= 30


def test_health_is_asked_of_the_service_itself():
    tests = {s: COMPOSE.services[s]["healthcheck"].get("test", []) for s in SERVICES}
    port = COMPOSE.environment("api", VALUES)["TAILORA_PORT"]
    assert f"http://127.0.0.1:{port}/healthz" in tests["api"][-1]
    assert tests["dispatcher"] == ["CMD", "tailora", "dispatcher", "--check"]
    for worker in ANALYZERS:
        assert tests[worker] == ["CMD", "tailora", "worker", "--check"]
    for worker in TRAINERS:
        assert tests[worker] == ["CMD", "tailora", "worker", "--queue", "train", "--check"]
    assert {"pg_isready", "--host=127.0.0.1"} <= set(tests["postgres"])
    assert tests["redis"][0] == "CMD-SHELL"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_ends_is_started_again(service):
    expected = "no" if service in ONE_SHOT else "unless-stopped"
    assert COMPOSE.services[service]["restart"] == expected


def test_services_start_in_order():
    def waits(service: str) -> dict[str, str]:
        needs = COMPOSE.services[service].get("depends_on", {})
        return {name: need["condition"] for name, need in needs.items()}

    assert waits("migrate") == {"postgres": "service_healthy"}
    database = {"migrate": "service_completed_successfully", "postgres": "service_healthy"}
    assert waits("api") == database
    for service in {"dispatcher"} | WORKERS:
        assert waits(service) == database | {"redis": "service_healthy"}


def test_workers_may_end_what_they_are_at():
    for worker in WORKERS:
        assert seconds(COMPOSE.services[worker]["stop_grace_period"]) == 90
    for service in ("api", "dispatcher", "redis", "postgres"):
        assert seconds(COMPOSE.services[service]["stop_grace_period"]) >= 30
    assert all(COMPOSE.services[s]["init"] is True for s in SERVICES)


@pytest.mark.parametrize("target", TARGETS)
def test_the_stop_signal_reaches_the_process(target):
    image = Image.load(target)
    assert image.all("STOPSIGNAL") == ["SIGTERM"]
    assert not image.all("ENTRYPOINT")
    assert json.loads(image.all("CMD")[-1])[0] == "tailora"
    assert json.loads(image.all("HEALTHCHECK")[-1].partition(" CMD ")[2])[0] != "sh"
    for service in OURS:
        assert isinstance(COMPOSE.services[service]["command"], list)
        assert "entrypoint" not in COMPOSE.services[service]


@pytest.mark.parametrize("service", sorted(OURS - {"migrate", "dispatcher"}))
def test_image_and_compose_agree(service):
    image = Image.load(target_of(service))
    assert json.loads(image.all("CMD")[-1]) == COMPOSE.command(service)
    check = COMPOSE.services[service]["healthcheck"]
    words = image.all("HEALTHCHECK")[-1]
    assert ["CMD", *json.loads(words.partition(" CMD ")[2])] == check["test"]
    for option in ("interval", "timeout", "start_period", "retries"):
        assert f"--{option.replace('_', '-')}={check[option]} " in words + " "


# Workers


def test_profiles_choose_the_workers():
    others = set(SERVICES) - WORKERS
    assert COMPOSE.started(set()) == others
    assert COMPOSE.started({"cpu"}) == others | {"worker-analyze-cpu"}
    assert COMPOSE.started({"gpu"}) == others | {"worker-analyze"}
    assert COMPOSE.started({"train"}) == others | {"worker-train"}
    assert COMPOSE.started({"train-cpu"}) == others | {"worker-train-cpu"}


def test_workers_can_be_multiplied():
    for worker in WORKERS:
        assert not {"container_name", "hostname", "ports"} & set(COMPOSE.services[worker])
    assert not [s for s in COMPOSE.services.values() if "container_name" in s]


@pytest.mark.parametrize("kind", ["analyze", "train"])
def test_the_gpu_worker_reserves_gpus_and_the_other_none(kind):
    worker, variable = f"worker-{kind}", f"TAILORA_{kind.upper()}_DEVICES"
    (device,) = COMPOSE.services[worker]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"], device["capabilities"]) == ("nvidia", "all", ["gpu"])
    assert "deploy" not in COMPOSE.services[f"{worker}-cpu"]
    assert COMPOSE.environment(worker, VALUES)[variable] == "auto"
    assert COMPOSE.environment(f"{worker}-cpu", VALUES)[variable] == "cpu"


def test_only_workers_run_the_image_with_torch():
    assert {s for s in OURS if target_of(s) == "worker"} == ANALYZERS
    assert {s for s in OURS if target_of(s) == "trainer"} == TRAINERS
    assert {s for s in OURS if target_of(s) == "api"} == OURS - WORKERS


@pytest.mark.parametrize(("kind", "target"), [("analyze", "worker"), ("train", "trainer")])
def test_the_two_workers_differ_in_their_torch_alone(kind, target):
    gpu, cpu = f"worker-{kind}", f"worker-{kind}-cpu"
    arguments = {w: FILLED.services[w]["build"].get("args", {}) for w in (gpu, cpu)}
    assert arguments[gpu] == {}
    assert arguments[cpu]["TORCH_INDEX"].endswith("/whl/cpu")
    assert "TORCH_INDEX=" in Image.load(target).all("ARG")
    assert len({COMPOSE.services[w]["image"] for w in WORKERS}) == 4
