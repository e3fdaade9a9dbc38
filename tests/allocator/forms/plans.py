"""Plans of real architectures, made once a session, and what two plans have in common."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from allocator.plan import Plan
from allocator.planner import plan
from analyzer.api import outline
from analyzer.outline import Outline
from tests.families import save_family


@cache
def outline_of(family: str) -> Outline:
    with TemporaryDirectory() as folder:
        save_family(family, Path(folder))
        return outline(folder)


def slots(family: str, *, per_module: bool, **words: Any) -> int:
    made = plan(outline_of(family), method="uniform", budget=4, per_module=per_module, **words)
    return len(made.counts)


def varied(family: str, *, per_module: bool = False, several_ranks: bool = False, **words) -> Plan:
    """A plan in which neighbours differ: counts 1 3 5 2 4 …, and ranks 4 8 16 … where asked."""
    size = slots(family, per_module=per_module, **words)
    parameters: dict[str, Any] = {"counts": [1 + (2 * at) % 5 for at in range(size)]}
    if several_ranks:
        parameters["ranks"] = [4 << at % 3 for at in range(size)]
    given = {"method": "custom", "parameters": parameters, "per_module": per_module, **words}
    return plan(outline_of(family), **given)


def even(family: str, experts: int = 3, **words: Any) -> Plan:
    layers = slots(family, per_module=False)
    return plan(outline_of(family), method="uniform", budget=experts * layers, **words)


def given(plan: Plan) -> dict[tuple[str, int, str], tuple[int, int, int, float]]:
    """(experts, top_k, rank, lora_alpha) by (stack, layer, module)."""
    return {
        (layer.stack, layer.layer, module.name): (
            module.experts, module.top_k, module.rank, module.lora_alpha,
        )
        for layer in plan.layers for module in layer.modules
    }  # fmt: skip


def short(mixtures: dict) -> dict:
    """The same by the last part of the module's name."""
    return {(s, ly, name.rpartition(".")[2]): value for (s, ly, name), value in mixtures.items()}
