"""docker-compose.yml and the Dockerfile as a test reads them: services as plain processes.

    compose = Compose.load()
    compose.command("api")                        ['tailora', 'api']
    compose.environment("api", {"API_PORT": "9000", …})
    compose.secrets("api")                        ['tailora_database_url', …]

Interpolation is Compose's (${NAME}, ${NAME:-default}, ${NAME:?message}, …, $$), but stricter in one
point: a name without a value or default is an error, where Compose warns and takes nothing.
"""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]

VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<plain>\w+)|\{(?P<name>\w+)(?:(?P<rule>:?[-?+])(?P<rest>[^{}]*))?\})"
)
"""One interpolated variable."""


class Missing(Exception):
    """A variable has no value; the text is the message of docker-compose.yml."""


@dataclass(frozen=True)
class Compose:
    """The file with anchors and merges resolved, variables not yet."""

    document: dict[str, Any]

    @classmethod
    def load(cls, path: Path = ROOT / "docker-compose.yml") -> "Compose":
        """Read the file."""
        return cls(yaml.safe_load(path.read_text()))

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        """Every service by name."""
        return self.document["services"]

    def started(self, profiles: set[str]) -> set[str]:
        """The services that `docker compose up` starts under these profiles."""
        return {
            name
            for name, service in self.services.items()
            if not service.get("profiles") or profiles & set(service["profiles"])
        }

    def command(self, service: str, variables: Mapping[str, str] | None = None) -> list[str]:
        """What the container runs: entrypoint and command."""
        found = self.services[service]
        words = _words(found.get("entrypoint")) + _words(found.get("command"))
        return [interpolate(word, variables or {}) for word in words]

    def secrets(self, service: str) -> list[str]:
        """The files that the service sees below /run/secrets."""
        return list(self.services[service].get("secrets", []))

    def environment(self, service: str, variables: Mapping[str, str]) -> dict[str, str]:
        """The service's variables.

        A name without a value is taken from `variables`, or left out where they lack it.
        """
        declared = self.services[service].get("environment") or {}
        if isinstance(declared, list):
            declared = {
                name: value for name, _, value in (line.partition("=") for line in declared)
            }
        return {
            name: interpolate(str(value), variables) if value is not None else variables[name]
            for name, value in declared.items()
            if value is not None or name in variables
        }

    def interpolated(self, variables: Mapping[str, str]) -> "Compose":
        """The same with every variable filled in, as `docker compose config` shows it."""
        return Compose(_interpolated(self.document, variables))

    def variables(self) -> dict[str, set[str]]:
        """Every variable of the file with the rules it is used under ('', ':-', ':?', …)."""
        found: dict[str, set[str]] = {}
        for match in VARIABLE.finditer(json.dumps(self.document, ensure_ascii=False)):
            name = match["plain"] or match["name"]
            if name:
                found.setdefault(name, set()).add(match["rule"] or "")
        return found


@dataclass(frozen=True)
class Image:
    """One target of the Dockerfile: the instructions of its stages, from the first one on."""

    origin: str
    stages: list[str]
    instructions: list[tuple[str, str]]

    @classmethod
    def load(cls, target: str, path: Path = ROOT / "Dockerfile") -> "Image":
        """Read a target and all that it is built upon."""
        text = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE))
        stages: dict[str, tuple[str, list[tuple[str, str]]]] = {}
        current: list[tuple[str, str]] = []
        for line in filter(None, map(str.strip, text.splitlines())):
            word, _, rest = line.partition(" ")
            if word == "FROM":
                origin, _, name = rest.partition(" AS ")
                current = []
                stages[name] = (origin, current)
            else:
                current.append((word, rest.strip()))
        names, instructions = [target], list(stages[target][1])
        while (origin := stages[names[0]][0]) in stages:
            names.insert(0, origin)
            instructions = stages[origin][1] + instructions
        return cls(origin, names, instructions)

    def all(self, word: str) -> list[str]:
        """What follows each instruction of this kind, in order."""
        return [rest for found, rest in self.instructions if found == word]

    def environment(self) -> dict[str, str]:
        """Its ENV."""
        pairs = [pair for rest in self.all("ENV") for pair in shlex.split(rest)]
        return dict(pair.split("=", 1) for pair in pairs)


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """The text with its variables filled in. Raises Missing."""

    def value(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        name, rule, rest = match["plain"] or match["name"], match["rule"] or "", match["rest"] or ""
        found = variables.get(name)
        there = bool(found) if rule.startswith(":") else found is not None
        if rule.endswith("+"):
            return rest if there else ""
        if there:
            return str(found)
        if rule.endswith("-"):
            return rest
        raise Missing(f"{name} {rest}".strip())

    return VARIABLE.sub(value, text)


def _words(command: str | list[str] | None) -> list[str]:
    return shlex.split(command) if isinstance(command, str) else list(command or [])


def _interpolated(part: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(part, dict):
        return {name: _interpolated(value, variables) for name, value in part.items()}
    if isinstance(part, list):
        return [_interpolated(value, variables) for value in part]
    return interpolate(part, variables) if isinstance(part, str) else part
