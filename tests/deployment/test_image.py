"""What the Dockerfile promises of both images."""

import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from importlib.metadata import distribution

from packaging.requirements import Requirement

from tests.deployment.compose import ROOT, Compose, Image

COMPOSE = Compose.load()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TARGETS = ("api", "worker", "trainer")
DIGEST = "@sha256:[0-9a-f]{64}"


def test_the_images_come_from_an_official_python():
    for target in TARGETS:
        assert Image.load(target).origin == "${PYTHON_IMAGE}"
    (default,) = re.findall(r"^ARG PYTHON_IMAGE=(.+)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert re.fullmatch(rf"python:3\.1[123]-slim-bookworm{DIGEST}", default)


def test_every_image_of_the_file_names_its_version_and_digest():
    images = {name: COMPOSE.services[name]["image"] for name in ("redis", "postgres")}
    major, minor = re.fullmatch(rf"redis:(\d+)\.(\d+){DIGEST}", images["redis"]).groups()
    assert (int(major), int(minor)) >= (8, 6)
    assert re.fullmatch(rf"postgres:\d+-bookworm{DIGEST}", images["postgres"])


def test_only_the_worker_installs_torch():
    assert set(Image.load("worker").stages) - set(Image.load("api").stages) == {
        "worker-packages",
        "worker",
    }
    listed = re.findall(
        r"list_requirements\.py ([a-z ]+) >/(\w+)\.txt",
        str(Image.load("requirements").instructions),
    )
    assert set(Image.load("trainer").stages) - set(Image.load("worker").stages) == {
        "trainer-packages",
        "trainer",
    }
    wanted = [("server plots", "api"), ("server analyze", "worker"), ("server train", "trainer")]
    assert listed == wanted
    assert "worker.txt" not in str(Image.load("api").instructions)


def test_the_packages_of_the_api_bring_no_torch():
    assert "torch" in reached(requirements("server", "analyze"))
    heavy = {"torch", "transformers", "triton", "scikit-learn"}
    assert not heavy & reached(requirements("server"))


def requirements(*extras: str) -> list[str]:
    """What the images install, as the Dockerfile finds out."""
    command = [sys.executable, str(ROOT / "scripts" / "list_requirements.py"), *extras]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def reached(lines: list[str]) -> set[str]:
    """The distributions that these requirements install, by what is installed here."""
    found: set[str] = set()
    waiting = [Requirement(line) for line in lines]
    while waiting:
        requirement = waiting.pop()
        extras = requirement.extras or {""}
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if all(f"{name}[{extra}]" in found for extra in extras):
            continue
        found |= {name, *(f"{name}[{extra}]" for extra in extras)}
        for line in distribution(name).requires or []:
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(needed)
    return found


def test_requirements_are_those_of_the_project():
    project = PROJECT["project"]
    optional = project["optional-dependencies"]
    assert requirements() == project["dependencies"]
    assert requirements("analyze") == project["dependencies"] + optional["analyze"]
    nested = requirements("dev")
    assert set(optional["analyze"] + optional["distributions"]) <= set(nested)
    assert not [line for line in nested if line.startswith(project["name"])]
    unknown = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "list_requirements.py"), "none"],
        capture_output=True,
        text=True,
    )
    assert unknown.returncode == 1
    assert "no extra none" in unknown.stderr


def test_the_build_sees_every_package_and_no_secret():
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert rules[0] == "*"
    kept = [rule[1:] for rule in rules if rule.startswith("!")]
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    files = ["pyproject.toml", "constraints.txt", "scripts/list_requirements.py"]
    assert set(packages + files) <= set(kept)
    assert {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]} <= set(kept)
    for unwanted in (".env", "secrets", ".git", ".venv", "tests", "models", ".env.example"):
        assert not [rule for rule in kept if fnmatch(unwanted, rule)]


def test_packages_are_installed_before_the_code():
    for target in TARGETS:
        words = [f"{word} {rest}" for word, rest in Image.load(target).instructions]
        code = words.index("COPY --from=code /install /usr/local")
        installs = [i for i, line in enumerate(words) if "pip install" in line]
        assert installs
        assert max(installs) < code
        assert all("--constraint" in words[i] for i in installs)
        assert not [line for line in words if re.match(r"COPY \. ", line)]
    assert "pip install --no-deps --prefix /install /source" in Image.load("code").all("RUN")[-1]


def test_nothing_is_compiled_at_run_time():
    for target in TARGETS:
        image = Image.load(target)
        assert "python -m compileall" in " ".join(image.all("RUN"))
        assert image.environment()["PYTHONDONTWRITEBYTECODE"] == "1"
