"""Whose padding mask a module goes by.

A wrapped linear layer never sees the mask, so a hook on the model hands it out before each forward
pass: `attention_mask` to the only stack or the encoder, `decoder_attention_mask` to the decoder,
the encoder's to the keys and values of cross attention, none to vision and audio.
"""

import re
from collections.abc import Iterable, Mapping
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from analyzer.architecture import Architecture
from analyzer.naming import find_stacks, split_block_name
from trainer.step import Side, Step

_CROSS = re.compile(
    r"(encdecattention|encoder_attn|cross_?att\w*)\.(.*\.)?(k|v|key|value|k_proj|v_proj)$",
    re.IGNORECASE,
)


def sides_of(model: nn.Module, names: Iterable[str]) -> dict[str, Side]:
    """The side of each named module of a live model."""
    config = getattr(model, "config", None)
    words = config.to_dict() if config is not None and hasattr(config, "to_dict") else {}
    names = list(names)
    kinds = {
        prefix: stack.kind
        for prefix, stack in find_stacks(names, Architecture(words), gaps=True).items()
    }
    paired = bool(getattr(config, "is_encoder_decoder", False))
    return {name: _side(name, kinds, paired) for name in names}


def _side(name: str, kinds: Mapping[str, str], paired: bool) -> Side:
    block = split_block_name(name)
    if block is not None and kinds.get(block.prefix, "text") != "text":
        return "none"
    if not paired:
        return "main"
    in_decoder = "decoder" in name.split(".")
    return "decoder" if in_decoder and not _CROSS.search(name) else "encoder"


class Watch:
    """Shows a model's padding masks to a Step; one for each model that carries mixtures."""

    def __init__(self, model: nn.Module) -> None:
        """Hook into the forward pass of the model, and of its encoder: `generate` calls that."""
        self.step = Step()
        self._paired = bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))
        self._before = self.step.current
        self._depth = 0
        self._hook(model)
        encoder = getattr(model, "get_encoder", None)
        if self._paired and callable(encoder):
            self._hook(encoder())

    def _hook(self, model: nn.Module) -> None:
        names = list(signature(model.forward).parameters)
        model.register_forward_pre_hook(partial(self.enter, names), with_kwargs=True)
        model.register_forward_hook(self.leave, always_call=True)

    def enter(
        self, names: list[str], _: nn.Module, arguments: tuple[Any, ...], words: dict[str, Any]
    ) -> None:
        """Before a forward pass."""
        self._depth += 1
        if self._depth > 1:
            return
        given = {**dict(zip(names, arguments, strict=False)), **words}
        mask = _tensor(given.get("attention_mask"))
        if self._paired:
            decoder = _tensor(given.get("decoder_attention_mask"))
            self._before = self.step.see({"encoder": mask, "decoder": decoder})
        else:
            self._before = self.step.see({"main": mask})

    def leave(self, *_: Any) -> None:
        """After it: one without gradients leaves things as they were, for a backward pass."""
        self._depth -= 1
        if self._depth == 0 and not torch.is_grad_enabled():
            self.step.current = self._before


def _tensor(value: Any) -> Tensor | None:
    return value if isinstance(value, Tensor) else None


def watch(model: nn.Module) -> Watch:
    """The model's one Watch, made where it has none."""
    for hook in model._forward_hooks.values():
        owner = getattr(hook, "__self__", None)
        if isinstance(owner, Watch):
            return owner
    return Watch(model)
