"""What the plan is."""

from collections.abc import Iterator

from allocator.explaining.reading import Reading
from allocator.explanation import Sentence
from allocator.methods import METHODS
from allocator.wording import counted, sentence, setting, shortened, spanned
from analyzer.text import shown

_TOLD_ELSEWHERE = ("counts", "ranks", "top_ks", "per_module")
"""Parameters that other sentences tell."""


def what_it_is(reading: Reading) -> Iterator[Sentence]:
    """Model, budget, method, what an expert is, size and parameters."""
    for text in (
        *_subject(reading),
        *_budget(reading),
        *_method(reading),
        *_expert(reading),
        *_size(reading),
        *_parameters(reading),
    ):
        yield Sentence(text=sentence(text))


def _subject(reading: Reading) -> Iterator[str]:
    plan = reading.plan
    layers = counted(len(plan.layers), "layer")
    where = f"the {layers}"
    if plan.per_module:
        where = f"{counted(len(reading.slots), 'adapted module')} in {layers}"
    if plan.model is not None:
        kind = f" ({shown(plan.model_type)})" if plan.model_type else ""
        of = f" of {shown(plan.model)}{kind}"
    else:
        of = " of a model that it does not name"
    yield f"this plan divides {counted(plan.budget.allocated, 'LoRA expert')} over {where}{of}"
    if plan.revision is not None:
        yield f"it was made for commit {shown(plan.revision)[:12]}"
    elif plan.weights:
        files = counted(len(plan.weights), "weight file")
        yield f"it names no commit, but the sha256 of {files}"
    elif plan.model is not None:
        yield "it names neither a commit nor the sha256 of the weights"


def _budget(reading: Reading) -> Iterator[str]:
    budget = reading.plan.budget
    low, high = min(reading.counts), max(reading.counts)
    mean = sum(reading.counts) / len(reading.counts)
    each = f"{low} to {high} experts, {mean:.2f} on average"
    if low == high:
        each = counted(low, "expert")
    yield f"each {reading.unit} gets {each}"
    if reading.plan.per_module and budget.experts != budget.allocated:
        yield (
            f"the budget counts experts by layer, {budget.experts:,} in all; over the modules that "
            f"makes {budget.allocated:,}"
        )
    if budget.requested is None:
        yield "the budget came with the method"
    elif budget.kind == "parameters":
        yield f"it was asked for as at most {budget.requested:,.0f} trainable parameters"
    elif budget.kind == "mean":
        yield f"it was asked for as a mean of {budget.requested:g} a layer"


def _method(reading: Reading) -> Iterator[str]:
    name = shown(reading.plan.method)
    if reading.valued and not reading.by_alpha:
        yield f"the method is {name}, with given scores in the place of alphas"
    elif reading.known_method:
        yield f"the method is {name}: {METHODS[reading.plan.method].summary}"
    else:
        yield f"the method, {name}, is not one that this version knows"


def _expert(reading: Reading) -> Iterator[str]:
    names = [shown(name) for name in reading.module_names()]
    ranks = _ranks(reading)
    rank = f" of rank {spanned(str(min(ranks)), str(max(ranks)))}" if ranks else ""
    scale = reading.parameter("lora_alpha")
    scaled = f" (lora_alpha {setting(scale)})" if scale is not None else ""
    beside = "its module" if reading.plan.per_module else "every adapted module of its layer"
    listed = f": {shortened(names)}" if names else ""
    yield f"an expert is a pair of small matrices{rank}{scaled} beside {beside}{listed}"
    if reading.top_ks:
        used = spanned(str(reading.top_ks[0]), str(reading.top_ks[-1]))
        yield f"where there are several, a router picks {used} of them for every token (top-k)"


def _ranks(reading: Reading) -> list[int]:
    """Every rank that the plan names."""
    in_modules = [module.rank for layer in reading.plan.layers for module in layer.modules]
    if in_modules:
        return in_modules
    own = reading.parameter("ranks") or [reading.parameter("rank")]
    return [rank for rank in own if isinstance(rank, int)] if isinstance(own, list | tuple) else []


def _size(reading: Reading) -> Iterator[str]:
    number = reading.plan.trainable_parameters
    if number is None:
        yield "how many parameters that trains is not known, since the plan has no module shapes"
    else:
        yield f"that makes {counted(number, 'trainable parameter')}"


def _parameters(reading: Reading) -> Iterator[str]:
    told = [
        f"{shown(name)} {setting(value)}"
        for name, value in reading.plan.parameters.items()
        if value is not None and name not in _TOLD_ELSEWHERE
    ]
    if told:
        yield f"its parameters: {', '.join(told)}"
