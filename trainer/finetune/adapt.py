"""What a recipe puts on the base: the plan's mixtures, a LoRA of as many parameters, a prompt."""

from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model

from allocator.errors import PlanMismatch
from allocator.live import match_plan
from trainer.errors import ModelMismatch
from trainer.finetune.base import Loaded
from trainer.finetune.prompt import add_prompt
from trainer.recipe import Recipe
from trainer.tuner import MixtureConfig
from trainer.tuner.heads import widen

_TASK_TYPES = {"language": "CAUSAL_LM", "choice": "CAUSAL_LM", "classification": "SEQ_CLS"}


def adapt(loaded: Loaded, recipe: Recipe) -> PeftModel:
    """The adapted model; only adapter and new modules are trained. Raises ModelMismatch."""
    words: dict[str, Any] = {
        "task_type": _TASK_TYPES[recipe.task],
        "modules_to_save": list(loaded.new) or None,
    }
    adapted = _adapted(loaded, recipe, words)
    widen(adapted, "default")
    return adapted


def _adapted(loaded: Loaded, recipe: Recipe, words: dict[str, Any]) -> PeftModel:
    if recipe.mixture.kind == "prompt":
        return add_prompt(loaded.model, recipe, words)
    if recipe.mixture.kind == "lora":
        config: Any = LoraConfig(**_equal_lora(loaded, recipe), **words)
    else:
        options = recipe.mixture.model_dump(exclude={"kind", "mask_draws"})
        config = MixtureConfig.from_plan(recipe.plan, **options, **words)
    adapted: PeftModel = get_peft_model(loaded.model, config)
    return adapted


def _equal_lora(loaded: Loaded, recipe: Recipe) -> dict[str, Any]:
    """One LoRA a module, whose rank makes its parameters nearest to those of the mixture there."""
    try:
        modules = match_plan(recipe.plan, loaded.model).modules
    except PlanMismatch as error:
        raise ModelMismatch(str(error)) from error
    ranks = {}
    for name, module in modules.items():
        assert module.shape is not None
        assert module.trainable_parameters is not None
        ranks[name] = max(1, round(module.trainable_parameters / sum(module.shape)))
    scale = {name: module.lora_alpha / module.rank for name, module in modules.items()}
    escaped = {name: name.replace(".", r"\.") for name in ranks}
    mixture = recipe.mixture
    return {
        "r": min(ranks.values()),
        "target_modules": list(ranks),
        "rank_pattern": {escaped[name]: rank for name, rank in ranks.items()},
        "alpha_pattern": {escaped[name]: scale[name] * rank for name, rank in ranks.items()},
        "lora_dropout": mixture.mask_rate if mixture.mask == "dropout" else 0.0,
    }
