"""A service that asks for keys, and one of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.service.api.keys import PEPPER
from tests.service.cli_service import serving
from tests.service.command import run


@dataclass(frozen=True)
class Guarded:
    """Where it answers, and what it opens for."""

    url: str
    key: str


@contextmanager
def guarding(folder: Path) -> Iterator[Guarded]:
    """The API and the page alone: no worker is needed to be let in."""
    own = {"TAILORA_KEY_PEPPER": PEPPER, "TAILORA_HOST": "0.0.0.0"}
    run("db", "upgrade", TAILORA_DATA=folder / "data")
    made = run("keys", "create", "page", TAILORA_DATA=folder / "data", **own)
    with serving(folder, command="api", ready="listening", **own) as found:
        yield Guarded(found.url, made.stdout.strip())
