"""The frozen base sharded over processes (FSDP2), for models that one device cannot hold.

Only what is frozen is sharded. The adapter, small beside it, is whole on every process and its
gradients are averaged by DDP; so a step, a checkpoint and the saved adapter are those of a run
without sharding, and a run can go on with or without it. accelerate's own FSDP would gather the
whole base at every checkpoint, and does nothing on CPU processes.
"""

import os
from typing import Any

import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from trainer.errors import TrainingStopped
from trainer.recipe import Kind, Quantisation

_SWITCH, _OFFLOAD = "ACCELERATE_USE_FSDP", "FSDP_OFFLOAD_PARAMS"
_LAZY = "FSDP_CPU_RAM_EFFICIENT_LOADING"


def asked_for(option: bool) -> bool:
    """Whether the base is to be sharded: by the option, or by `accelerate launch --use_fsdp`.

    accelerate's switch is taken off, so that nothing is sharded twice. Raises TrainingStopped
    where it asks for weights that lie in memory beside the device.
    """
    launched = _is_on(_SWITCH)
    if launched and _is_on(_OFFLOAD):
        raise TrainingStopped(
            f"{_OFFLOAD} is set, and weights beside the device are not supported; unset it, and "
            "shard over more processes, or take base.quantisation=nf4 without FSDP"
        )
    for name in (_SWITCH, _LAZY):
        os.environ.pop(name, None)
    return option or launched


def _is_on(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true", "yes")


def check(processes: int, quantisation: Quantisation, kind: Kind = "mixture") -> None:
    """Raise TrainingStopped where a base cannot be sharded."""
    if processes < 2:
        raise TrainingStopped(
            "--fsdp shards the base over processes, and there is one; start it by "
            "`torchrun --nproc-per-node N -m service.cli train …`, or leave --fsdp out"
        )
    if kind == "prompt":
        raise TrainingStopped(
            "a base that a prompt stands before cannot be sharded: PEFT reads its embeddings "
            "outside of its passes; leave --fsdp out, which is DDP"
        )
    if quantisation != "none":
        raise TrainingStopped(
            f"a base in {quantisation} cannot be sharded; take base.quantisation=none, or leave "
            "--fsdp out"
        )


def shard(model: Any, device: torch.device) -> int:
    """Shard what is frozen of a PEFT model, in place, block by block; bytes held by this process.

    What is trained moves to the device whole. All processes call it.
    """
    trained = {each for each in model.parameters() if each.requires_grad}
    for parameter in trained:
        parameter.data = parameter.data.to(device)
    base = model.get_base_model()
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    classes = set(getattr(base, "_no_split_modules", None) or ())
    blocks = [each for each in base.modules() if type(each).__name__ in classes]
    for module in (*blocks, base):
        fully_shard(module, mesh=mesh, ignored_params=trained)
    frozen = (each for each in model.parameters() if not each.requires_grad)
    return sum(each.to_local().nbytes for each in frozen)


def is_sharded(model: nn.Module) -> bool:
    """Whether `shard` was at work on it."""
    return any(isinstance(module, FSDPModule) for module in model.modules())


def averaged(model: nn.Module) -> nn.Module:
    """The model of `shard` with the gradients of what is trained averaged over processes."""
    frozen = [name for name, each in model.named_parameters() if not each.requires_grad]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, frozen)
    return DistributedDataParallel(model, broadcast_buffers=False)
