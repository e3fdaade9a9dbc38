"""`tailora serve` and its parts as processes, for tests of the commands that talk to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.ports import free_port
from tests.servers.processes import Process
from tests.service.command import TAILORA, variables


@dataclass(frozen=True)
class Running:
    """A service that answers."""

    process: Process
    data: Path
    url: str

    @property
    def remote(self) -> dict[str, str]:
        """The environment of a command that talks to it."""
        return {"TAILORA_URL": self.url}

    @property
    def local(self) -> dict[str, str]:
        """The environment of a command that looks into its ledger."""
        return {"TAILORA_DATA": str(self.data)}


@contextmanager
def serving(
    folder: Path, *words: object, command: str = "serve", ready: str = "worker_ready", **environment
) -> Iterator[Running]:
    """A service in a folder of its own, ready as its log says it is."""
    port = free_port()
    own = {"TAILORA_DATA": str(folder / "data"), "TAILORA_PORT": str(port), **environment}
    with process(folder, command, *words, **own) as found:
        found.wait_for(f":{port}")
        found.wait_for(ready)
        yield Running(found, folder / "data", f"http://127.0.0.1:{port}")


def process(folder: Path, command: str, *words: object, **environment) -> Process:
    """A command as a process; its log lies in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return Process(
        *TAILORA, command, *words, log=folder / f"{command}.log",
        environment=variables(**environment),
    )  # fmt: skip
