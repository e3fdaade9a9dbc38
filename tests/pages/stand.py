"""A whole service for the browser: `tailora serve`, models for each of its states, and a Hub."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.families import save_family
from tests.hub.server import HubDouble
from tests.models import write_sharded
from tests.service.cli_service import serving
from tests.trainer.runs import SMALL, pairs, write_lines
from tests.trainer.saved import save_tokenizer

DATA = "pairs.jsonl"
SHORT = {**SMALL, "schedule.steps": 6}
LONG = {**SMALL, "schedule.steps": 100_000, "checkpoints.every": 20}


@dataclass(frozen=True)
class Stand:
    """Where the service answers, and what it may read."""

    url: str
    minilm: Path
    folder: Path

    @property
    def llama(self) -> Path:
        """A tiny causal model with a tokenizer, that trains in a moment."""
        return self.folder / "llama"

    @property
    def damaged(self) -> Path:
        """Headers that promise more than the files hold: it fails once a worker reads it."""
        return self.folder / "damaged"

    @property
    def large(self) -> Path:
        """226 MB in 48 matrices: it is at work for long enough to be stopped."""
        return self.folder / "large"

    def ask(self, path: str, wait: int = 120, **body: Any) -> dict[str, Any]:
        """POST to the API; the job once it has ended, or after so many seconds."""
        words = {"headers": {"Prefer": f"wait={min(wait, 60)}"}, "timeout": 90}
        answer = httpx2.post(f"{self.url}/v1/{path}", json=body, **words)
        assert answer.is_success, answer.text
        job = answer.json()
        return self.until(job, lambda now: now["finished_at"], wait) if wait else job

    def until(
        self, job: dict[str, Any], happened: Callable[[dict[str, Any]], Any], seconds: float = 120
    ) -> dict[str, Any]:
        """The job as soon as something is so of it."""
        end = time.monotonic() + seconds
        while not happened(job):
            assert time.monotonic() < end, job
            time.sleep(0.2)
            job = self.get(job["links"]["self"])
        return job

    def get(self, path: str) -> dict[str, Any]:
        """What the API says."""
        return httpx2.get(f"{self.url}{path}", timeout=30).json()

    def plan(self, model: Path, budget: int) -> dict[str, Any]:
        """A finished plan."""
        return self.ask("plans", model=str(model), expert_budget=budget)

    def train(self, settings: dict[str, Any], wait: int = 120) -> dict[str, Any]:
        """A training of the tiny model."""
        plan = self.plan(self.llama, 5)
        return self.ask("trainings", wait, plan_id=plan["id"], dataset=DATA, settings=settings)

    def compare(self, settings: dict[str, Any]) -> dict[str, Any]:
        """A finished comparison of trainings of the tiny model."""
        plans = {"alphas": self.plan(self.llama, 5)["id"]}
        words = {"dataset": DATA, "settings": settings, "against": ["lora"], "seeds": [0, 1]}
        return self.ask("comparisons", plans=plans, **words)

    def cancel(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job once it has stopped."""
        assert httpx2.post(f"{self.url}{job['links']['cancel']}", timeout=30).is_success
        return self.until(job, lambda now: now["finished_at"])


@contextmanager
def standing(folder: Path, minilm: Path) -> Iterator[Stand]:
    """A service with a worker for analyses and one for trainings, until the context ends."""
    models, registered = folder / "models", folder / "registered"
    save_family("llama", models / "llama")
    save_tokenizer(models / "llama")
    write_sharded(models / "large", layers=12, width=1536)
    write_sharded(models / "damaged", layers=2, width=64, layers_per_shard=2)
    (weights,) = (models / "damaged").glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    registered.mkdir()
    write_lines(registered / DATA, pairs(48))
    own = {
        "TAILORA_MODELS": f"{models}:{minilm.parent}", "TAILORA_DATASETS": registered,
        "TAILORA_THREADS": "1", "TAILORA_LEASE": "6", "TAILORA_HEARTBEAT": "2",
    }  # fmt: skip
    with HubDouble() as hub:
        hub.add("org/gated", models / "llama", gated=True)
        own |= hub.environment(folder / "hf")
        with serving(folder, ready="devices=cpu", **own) as running:
            yield Stand(running.url, minilm, models)
