"""Names of modules in trainers that take them for the whole model.

Such a trainer adapts every module whose full name ends with one of the names, in any layer and
stack, so a name must hit what is planned and nothing else.
"""

import keyword
from collections.abc import Sequence

from allocator.errors import NotExpressible
from allocator.forms.table import Block
from allocator.plan import Plan
from analyzer.text import shown

SEVEN = ("q_proj", "v_proj", "k_proj", "o_proj", "gate_proj", "down_proj", "up_proj")
"""The linear modules of Llama, Mistral and Gemma, as MoLA's own default lists them."""


def last_names(plan: Plan, blocks: Sequence[Block], target: str) -> list[str]:
    """The last parts of the modules' names, which hit the planned modules alone.

    One may stand for several planned modules of a layer (`c_proj` in GPT-2): the targets that
    take such names give all of them the same. Raises NotExpressible where the plan names no
    modules, where a name would hit one outside the plan, or is not a plain word.
    """
    names = {module.name.rpartition(".")[2]: None for block in blocks for module in block.modules}
    if not names:
        raise NotExpressible(
            f"{target} needs the names of modules, and this plan has none; "
            "import it with --model, or plan from a model"
        )
    for name in names:
        _check_word(name, target)
    _check_alone(plan, list(names), target)
    return list(names)


def unplanned(plan: Plan) -> list[str]:
    """Full names of the weight-carrying modules that the plan leaves out."""
    names = [s.tensor.rpartition(".")[0] for s in plan.skipped if len(s.shape) > 1]
    planned = set(planned_names(plan))
    return [name for name in names if name and name not in planned]


def planned_names(plan: Plan) -> list[str]:
    """Full names of the planned modules in the file; empty where stacks are not known."""
    prefixes = {stack.name: stack.prefix for stack in plan.stacks}
    return [
        f"{prefixes[layer.stack]}.{layer.layer}.{module.name}"
        for layer in plan.layers
        if layer.stack in prefixes
        for module in layer.modules
    ]


def _check_word(name: str, target: str) -> None:
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
        raise NotExpressible(
            f"{target} would not read the module name {shown(name)} as a name; "
            "plan with --modules without it, or export to peft"
        )


def _check_alone(plan: Plan, names: Sequence[str], target: str) -> None:
    for other in unplanned(plan):
        for name in names:
            if other.endswith(name):
                raise NotExpressible(
                    f"{target} would adapt {shown(other)} too, which is not in the plan, because "
                    f"it ends with {name}; plan with --modules without {name}, or export to peft"
                )
