"""Tiny models with plans, and adapters with B that is not zero."""

import pytest
import torch
from peft import get_peft_model
from torch import nn

from allocator.planner import plan
from analyzer.api import outline
from tests.families import save_family
from trainer.tuner import MixtureConfig
from trainer.tuner.facts import mixtures


@pytest.fixture
def family(tmp_path):
    """`family("llama")`: a model, and a plan of five experts a layer of which layer 0 has one."""

    def make(name, counts=(1, 5), **words):
        folder = tmp_path / name
        model = save_family(name, folder)
        words = {"method": "custom", "parameters": {"counts": list(counts)}, **words}
        return model, plan(outline(folder), **words)

    return make


@pytest.fixture
def adapted(family):
    """`adapted("llama")`: the same, adapted, as if trained."""

    def make(name="llama", counts=(1, 5), **options):
        model, made = family(name, counts)
        return randomise(get_peft_model(model, MixtureConfig.from_plan(made, **options)))

    return make


def randomise(model, adapter="default", seed=0):
    torch.manual_seed(seed)
    for mixture in mixtures(model, adapter).values():
        nn.init.normal_(mixture.experts_B, std=0.2)
    return model
