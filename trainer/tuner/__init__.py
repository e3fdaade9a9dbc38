"""The mixture as a PEFT method: registered by importing this package.

config: MixtureConfig, what adapter_config.json holds, and its checks
layer, model: PEFT's tuner layer and tuner model
resolve: a plan, or a loaded config, brought together with a live model
sides: whose padding mask a module goes by, and the hook that hands masks out
register: how PEFT learns of a method from outside
facts: step, statistics and balance losses of a model that carries mixtures
"""

from trainer.tuner.config import MixtureConfig
from trainer.tuner.model import MixtureModel
from trainer.tuner.register import register

register(MixtureConfig, MixtureModel)

__all__ = ["MixtureConfig", "MixtureModel"]
