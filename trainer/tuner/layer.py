"""A linear layer with the mixtures of one or several adapters, as PEFT's tuners handle it."""

from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer, check_adapters_to_merge
from torch import Tensor, nn

from allocator.live import linear_shape
from trainer.errors import NotExportable
from trainer.mixture import Mixture


class MixtureLayer(nn.Module, BaseTunerLayer):
    """`base_layer`, and a Mixture for each adapter in `tailora_mixture`."""

    adapter_layer_names = ("tailora_mixture",)
    other_param_names = ()

    def __init__(self, base_layer: nn.Module) -> None:
        """No adapter yet; `add` gives it one."""
        super().__init__()
        self.base_layer = base_layer
        self.tailora_mixture = nn.ModuleDict()
        self._disable_adapters = False
        self.merged_adapters: list[str] = []
        shape = linear_shape(self.get_base_layer())
        assert shape is not None, "checked by resolve"
        self.out_features, self.in_features = shape

    def add(self, name: str, mixture: Mixture, *, inference_mode: bool) -> None:
        """Take up one adapter's mixture, on the base layer's device."""
        self.tailora_mixture[name] = mixture
        self._move_adapter_to_device_of_base_layer(name)
        self.set_adapter(self.active_adapters, inference_mode=inference_mode)

    def forward(self, x: Tensor, *arguments: Any, **words: Any) -> Tensor:
        """The base layer's output, with the update of each active adapter that is not merged."""
        if self.disable_adapters and self.merged:
            self.unmerge()
        output: Tensor = self.base_layer(x, *arguments, **words)
        if self.disable_adapters or self.merged:
            return output
        for name in self.active_adapters:
            if name in self.tailora_mixture:
                output = self.tailora_mixture[name](x, output)
        return output

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Add the update to the base weight: exact for one expert.

        Raises NotExportable where a router decides by token, where the weight is quantised, and
        under `safe_merge` where the sum is not finite.
        """
        for name in check_adapters_to_merge(self, adapter_names):
            if name not in self.tailora_mixture:
                continue
            weight = self._weight()
            merged = weight + self._delta(name)
            if safe_merge and not torch.isfinite(merged).all():
                raise NotExportable(f"adapter {name} holds values that are not finite")
            weight.copy_(merged)  # rounded once, to the base's dtype
            self.merged_adapters.append(name)

    def unmerge(self) -> None:
        """Take the merged updates out again."""
        while self.merged_adapters:
            weight = self._weight()
            weight.copy_(weight - self._delta(self.merged_adapters.pop()))

    def _weight(self) -> Tensor:
        weight = self.get_base_layer().weight
        if not isinstance(weight, Tensor) or not weight.dtype.is_floating_point:
            raise NotExportable(
                "the base weight is quantised, and a sum would have to be quantised anew; merge "
                "into the model in its original precision"
            )
        return weight.data

    def _delta(self, name: str) -> Tensor:
        """The update as a weight, in the base weight's orientation."""
        mixture = self.tailora_mixture[name]
        assert isinstance(mixture, Mixture)
        if mixture.shape.routed:
            raise NotExportable(
                f"a mixture of {mixture.shape.experts} experts is no fixed weight: its router "
                "decides by token. Only modules with one expert can be merged; "
                "`tailora to-lora` makes a plain LoRA of the mean gates"
            )
        delta = (mixture.experts_A[0].T @ mixture.experts_B[0]).data * mixture.shape.scale
        transposed = hasattr(self.get_base_layer(), "nf")
        return delta if transposed else delta.T

    def __repr__(self) -> str:
        """As PEFT prints its own."""
        return "tailora." + super().__repr__()
