"""A step on two processes, against the same micro-batches on one by plain autograd."""

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from tests.servers.processes import Process
from tests.trainer.plain import Plain
from tests.trainer.processes import WAYS, WORLD, batches_of
from tests.trainer.small import micro_batches, planned, small_model, starve

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Gradients by plain autograd on this process, the starved module, and the plan."""
    made = planned(tmp_path_factory.mktemp("model"))
    model = small_model(made)
    starved = starve(model)
    return Plain(model).gradients(micro_batches()), starved, made


@pytest.fixture(scope="module")
def folder(tmp_path_factory, alone):
    """What both processes wrote, for as many ways as they got through."""
    folder = tmp_path_factory.mktemp("processes")
    (folder / "plan.json").write_text(alone[2].model_dump_json())
    few = {"OMP_NUM_THREADS": "1", "TAILORA_CACHE": str(folder / "cache")}
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                Process(
                    sys.executable, "-m", "tests.trainer.processes", folder, rank,
                    log=folder / f"log {rank}", environment=few, folder=ROOT,
                )
            )
            for rank in range(WORLD)
        ]  # fmt: skip
        for process in started:
            process.wait(timeout=150)
    return folder


def written(folder, way, rank):
    file = folder / f"{way} {rank}.pt"
    assert file.exists(), (folder / f"log {rank}").read_text()
    return torch.load(file)


@pytest.mark.parametrize("rank", range(WORLD))
@pytest.mark.parametrize("way", WAYS)
def test_gradients_are_the_mean_over_processes(folder, alone, way, rank):
    wanted, starved, _ = alone
    found, _, _ = written(folder, way, rank)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, atol=TOLERANCE, rtol=0)
    for matrices in ("experts_A", "experts_B"):
        by_expert = found[f"base_model.model.{starved}.tailora_mixture.default.{matrices}"]
        assert by_expert[-1].abs().max() == 0
        assert by_expert[:-1].flatten(1).abs().amax(1).min() > TOLERANCE


@pytest.mark.parametrize("rank", range(WORLD))
@pytest.mark.parametrize("way", WAYS)
def test_each_process_counts_its_own_tokens_once(folder, alone, way, rank):
    _, starved, _ = alone
    _, tokens, shares = written(folder, way, rank)
    number = sum(int(batch["attention_mask"].sum()) for batch in batches_of(rank))
    assert set(tokens.values()) == {number}
    assert shares[starved][-1] == 0
