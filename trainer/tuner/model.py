"""PEFT's tuner model: puts mixtures into a model, and checks what is loaded into them."""

from collections.abc import Mapping
from typing import Any

from peft.tuners.tuners_utils import BaseTuner
from torch import Tensor, nn

from trainer.balance import Balance
from trainer.errors import BadAdapter
from trainer.initial import start_singular
from trainer.masks import Mask
from trainer.mixture import Mixture
from trainer.tuner.config import MixtureConfig
from trainer.tuner.heads import widen
from trainer.tuner.layer import MixtureLayer
from trainer.tuner.register import PREFIX
from trainer.tuner.resolve import layer_of, resolve
from trainer.tuner.sides import sides_of, watch


class MixtureModel(BaseTuner):
    """A model with mixtures of LoRA experts; what `get_peft_model` makes of a MixtureConfig."""

    prefix = PREFIX
    tuner_layer_cls = MixtureLayer
    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012 - as PEFT declares it

    def inject_adapter(
        self, model: nn.Module, adapter_name: str, *arguments: Any, **words: Any
    ) -> None:
        """Bring config and model together first: nothing is replaced where they differ.

        Raises ModelMismatch and InvalidMixture.
        """
        config = self.peft_config[adapter_name]
        resolve(config, model)
        self._sides = sides_of(model, config.modules)
        super().inject_adapter(model, adapter_name, *arguments, **words)
        if words.get("autocast_adapter_dtype", True):
            widen(model, adapter_name)

    @staticmethod
    def _check_target_module_exists(peft_config: MixtureConfig, key: str) -> bool:
        return key in peft_config.modules

    def _prepare_adapter_config(
        self, peft_config: MixtureConfig, model_config: dict[str, Any]
    ) -> MixtureConfig:
        return peft_config

    def _check_target_module_compatiblity(self, *_: Any, **__: Any) -> None:
        """PEFT's list of modules that LoRA cannot have; ours are those of the plan."""

    def _create_and_replace(
        self,
        peft_config: Any,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        layer = target if isinstance(target, MixtureLayer) else MixtureLayer(target)
        mixture = self._mixture(peft_config, adapter_name, layer, current_key)
        if layer is not target:
            layer.set_adapter(self.active_adapters)
            self._replace_module(parent, target_name, layer, target)
        layer.add(adapter_name, mixture, inference_mode=peft_config.inference_mode)
        if adapter_name not in self.active_adapters:
            mixture.requires_grad_(False)
        if peft_config.init == "singular" and not mixture.experts_A.is_meta:
            start_singular(mixture, layer.base_layer)

    def _mixture(
        self, config: MixtureConfig, adapter_name: str, layer: MixtureLayer, name: str
    ) -> Mixture:
        step = watch(self.model).step
        weight = config.balance_coefficient
        if config.balance != "mola":
            weight /= max(1, sum(entry["experts"] > 1 for entry in config.modules.values()))
        return Mixture(
            layer.in_features,
            layer.out_features,
            config.shape_of(name),
            gate=config.gate,
            threshold_max=config.threshold_max,
            balance=Balance(config.balance, weight, f"{adapter_name} {layer_of(name)}"),
            mask=Mask(config.mask, config.mask_rate, config.mask_rescale),
            form=config.form,
            step=step,
            side=self._sides[name],
        )

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Tensor], prefix: str, *arguments: Any, **words: Any
    ) -> None:
        """Refuse an adapter file that lacks something, or is for other sizes. Raises BadAdapter."""
        for name in self.peft_config:
            part = f".tailora_mixture.{name}."
            if any(part in key for key in state_dict):
                self._check_complete(state_dict, prefix, part)
        super()._load_from_state_dict(state_dict, prefix, *arguments, **words)

    def _check_complete(self, found: Mapping[str, Tensor], prefix: str, part: str) -> None:
        for name, parameter in self.named_parameters():
            if part not in f".{name}":
                continue
            saved = name.replace(part, ".tailora_mixture.")
            if prefix + name not in found:
                raise BadAdapter(
                    f"the adapter file lacks {saved}: it is damaged, or belongs to another config; "
                    "save the adapter again, or fetch it anew"
                )
            shape = tuple(found[prefix + name].shape)
            if shape != tuple(parameter.shape):
                raise BadAdapter(
                    f"{saved} is {shape} in the adapter file, and {tuple(parameter.shape)} by its "
                    "config; both must be of one training"
                )
