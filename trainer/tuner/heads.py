"""New modules, such as a head, are trained in float32 on a half-precision base, as experts are."""

from typing import Any

import torch
from peft.utils import ModulesToSaveWrapper
from torch import Tensor, nn

_HALF = (torch.float16, torch.bfloat16)


def widen(model: nn.Module, adapter: str) -> None:
    """Make an adapter's copies of whole modules float32, and let them take what the base gives.

    What they give is float32 too, so that a loss on it is.
    """
    for wrapper in model.modules():
        if not isinstance(wrapper, ModulesToSaveWrapper) or adapter not in wrapper.modules_to_save:
            continue
        module = wrapper.modules_to_save[adapter]
        if any(parameter.dtype in _HALF for parameter in module.parameters()):
            module.float()
            module.register_forward_pre_hook(_widened)


def _widened(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        each.float() if isinstance(each, Tensor) and each.dtype in _HALF else each
        for each in arguments
    )
