"""One process of two that take a step together: `python -m tests.trainer.processes FOLDER RANK`.

Gradients and statistics of each way to do it are written into the folder.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor, distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from allocator.read import read_plan
from tests.trainer.small import Batch, micro_batches, small_model, starve
from trainer.tuner.facts import statistics, step_of

WORLD = 2
PATIENCE = timedelta(seconds=60)


def batches_of(rank: int) -> list[Batch]:
    """Every other micro-batch: two for each process."""
    return micro_batches()[rank::WORLD]


def replicated(model: PeftModel, batches: Sequence[Batch]) -> dict[str, Tensor]:
    wrapped = DistributedDataParallel(model)
    for number, batch in enumerate(batches, 1):
        with nullcontext() if number == len(batches) else wrapped.no_sync():
            (wrapped(**batch).loss / len(batches)).backward()
    return {name: parameter.grad for name, parameter in trained(model)}


def sharded(model: PeftModel, batches: Sequence[Batch]) -> dict[str, Tensor]:
    mesh = init_device_mesh("cpu", (WORLD,))
    for layer in model.base_model.model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    for number, batch in enumerate(batches, 1):
        model.set_requires_gradient_sync(number == len(batches))
        (model(**batch).loss / len(batches)).backward()
    return {name: parameter.grad.full_tensor() for name, parameter in trained(model)}


def trained(model: PeftModel) -> Iterator[tuple[str, Tensor]]:
    return ((name, each) for name, each in model.named_parameters() if each.requires_grad)


Way = Callable[[PeftModel, Sequence[Batch]], dict[str, Tensor]]
WAYS: dict[str, tuple[Way, bool]] = {
    "DDP": (replicated, False),
    "DDP, recomputed": (replicated, True),
    "FSDP2": (sharded, False),
    "FSDP2, recomputed": (sharded, True),
}
"""How, and whether activations are computed again in the backward pass."""


def main(folder: Path, rank: int) -> None:
    meeting = f"file://{folder / 'meeting'}"
    distributed.init_process_group(
        "gloo", init_method=meeting, rank=rank, world_size=WORLD, timeout=PATIENCE
    )
    made, batches = read_plan((folder / "plan.json").read_bytes()), batches_of(rank)
    for name, (take, recomputed) in WAYS.items():
        model = small_model(made)
        starve(model)
        if recomputed:
            words = {"use_reentrant": False}
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=words)
        step_of(model).begin(micro_batches=len(batches))
        found = take(model, batches)
        tokens = {module: each.tokens for module, each in statistics(model).items()}
        shares = {module: each.load_share for module, each in statistics(model).items()}
        torch.save((found, tokens, shares), folder / f"{name} {rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
