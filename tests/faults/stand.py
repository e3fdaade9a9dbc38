"""Servers with a cluster over them, for many tests one after another, and its undisturbed run."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from tests.faults.cluster import Cluster
from tests.faults.scale import Run, Scale
from tests.faults.tally import Calm, Tally, count, wall
from tests.models import write_sharded
from tests.servers.models import write_matrices
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy
from tests.servers.redis import Redis


class Models:
    """Models of a scale, in a folder that the service may read."""

    def __init__(self, folder: Path, scale: Scale) -> None:
        folder.mkdir(parents=True)
        self.folder, self._scale = folder, scale

    @cached_property
    def main(self) -> Path:
        scale = self._scale
        write_matrices(self.folder / "main", scale.matrices, scale.side, layers=scale.layers)
        return self.folder / "main"

    @cached_property
    def tiny(self) -> list[Path]:
        """Many models of two matrices."""
        found = [self.folder / f"tiny-{i:03}" for i in range(self._scale.submissions)]
        for number, folder in enumerate(found):
            write_matrices(folder, 2, 48, seed=number)
        return found

    @cached_property
    def served(self) -> Path:
        write_matrices(self.folder / "served", self._scale.served, self._scale.served_side)
        return self.folder / "served"

    @property
    def poison(self) -> str:
        """The matrix of the poisoned model that kills whoever is about to solve it."""
        return f"model.layers.{self._scale.layers}.mlp.gate_proj.weight"

    @cached_property
    def poisoned(self) -> Path:
        """The main model's own files, and one more layer with the poison."""
        folder = self.folder / "poisoned"
        write_sharded(folder, layers=1, width=64, linear=["mlp.gate_proj"], seed=7)
        (extra,) = folder.glob("*.safetensors")
        (weight,) = [w for name, w in load_file(extra).items() if "gate_proj" in name]
        save_file({self.poison: weight}, extra)
        (folder / "model.safetensors.index.json").unlink()
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(
            json.dumps({**config, "num_hidden_layers": self._scale.layers + 1})
        )
        for file in self.main.glob("*.safetensors"):
            os.link(file, folder / f"main-{file.name}")
        return folder


class Stand:
    """One at a time, for the runs of one scale on one kind of database."""

    def __init__(self, folder: Path, run: Run, postgres: Postgres | None) -> None:
        self.run, self.postgres = run, postgres
        self.models = Models(folder / "models", run.scale)
        self._folder, self._calm = folder, None
        self._stack = ExitStack()
        self._databases = 0
        self.redis = self._stack.enter_context(Redis())
        self.proxy = self._stack.enter_context(Proxy(self.redis.port))
        self.cluster = self._stack.enter_context(self._cluster())

    def close(self) -> None:
        self._stack.close()

    def renew(self, run: Run) -> None:
        """Everything runs and is empty, whatever the test before left."""
        self.run = run
        self._repair()
        self.redis.flush()
        self.cluster.renew()

    def _repair(self) -> None:
        self.proxy.switch("pass")
        self.redis.start()
        if self.postgres is not None:
            self.postgres.resume()
            self.postgres.start()

    @property
    def calm(self) -> Calm:
        """The run that nobody disturbs."""
        if self._calm is None:
            self._calm = self._measure_calm()
            self.cluster.renew()
        return self._calm

    def _measure_calm(self) -> Calm:
        """All other models, so that every process is warm, then the main one."""
        others = [self.cluster.submit(model) for model in self.models.tiny]
        self.cluster.wait_ended(*others)
        main = self.cluster.submit(self.models.main)
        self.cluster.wait_ended(main)
        seconds = wall([self.cluster.rows.jobs()[main]])
        spectra = self.cluster.rows.spectra()
        assert len(spectra) == self.run.scale.matrices + 2 * len(others)
        return Calm(
            {digest: row["artifact"] for digest, row in spectra.items()},
            {digest: row["model"] for digest, row in spectra.items()},
            seconds,
        )

    @contextmanager
    def other_cluster(self, **how: Any) -> Iterator[Cluster]:
        """Another cluster on a fresh database, with faults of its own."""
        with self._cluster(**how) as cluster:
            yield cluster

    def tally(
        self, row: str, plans: Sequence[str], fired: int, cluster: Cluster | None = None, **how: Any
    ) -> Tally:
        return count(
            cluster or self.cluster, self.run, row, calm=self.calm, plans=plans, fired=fired, **how
        )

    def _cluster(self, **how: Any) -> Cluster:
        self._databases += 1
        name = f"stand_{self._databases}"
        folder = self._folder / name
        folder.mkdir(parents=True)
        if self.postgres is not None:
            self.postgres.start()
            database = self.postgres.create(name)
        else:
            database = f"sqlite:///{folder / 'tailora.db'}"
        pause = f"tests.servers.faults:slow:{self.run.scale.pause}"
        poison = f"tests.servers.faults:poison:{self.models.poison}"
        faults = [*how.pop("faults", ()), poison, pause]
        number = (self._databases - 1) % 16
        # Whose workers would take each other's messages, had they one queue.
        broker = f"{self.proxy.url(self.redis.url).removesuffix('/0')}/{number}"
        return Cluster(
            folder, self.models.folder, database=database, broker=broker, faults=faults, **how
        )
