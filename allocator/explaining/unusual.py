"""What is unusual in this plan."""

from collections.abc import Iterator

from allocator.explaining.reading import Reading
from allocator.explaining.untrained import Shapes
from allocator.explanation import Sentence
from allocator.wording import counted, sentence
from analyzer.aspect import marchenko_pastur_hill
from analyzer.text import shown

MOST_WARNINGS = 5

_LEFT_OUT = {
    "expert": "of the model's own experts: measured at most, never adapted",
    "router": "of the model's own routers: measured at most, never adapted",
    "quantised": "whose format cannot be dequantised",
    "extra_layer": "of layers beyond those of the config (multi-token prediction)",
    "adapter": "of a LoRA adapter inside the checkpoint",
    "not_selected": "in modules or stacks that were not chosen",
}


def unusual(reading: Reading) -> Iterator[Sentence]:
    """Warnings, what was left out, unchecked weights, mixed shapes, layers without a router."""
    found = [
        *_warnings(reading),
        *_left_out(reading),
        *_unverified(reading),
        *_shapes(reading),
        *_routers(reading),
    ]
    for text in found or ["nothing in this plan stands out"]:
        yield Sentence(text=sentence(text))


def _warnings(reading: Reading) -> Iterator[str]:
    warnings = reading.plan.warnings
    if not warnings:
        return
    yield f"the plan carries {counted(len(warnings), 'warning')}:"
    yield from (f"warning: {shown(warning, 400)}" for warning in warnings[:MOST_WARNINGS])
    rest = len(warnings) - MOST_WARNINGS
    if rest > 0:
        yield f"there {'is' if rest == 1 else 'are'} {rest} more in the document"


def _left_out(reading: Reading) -> Iterator[str]:
    codes = [skipped.code for skipped in reading.plan.skipped]
    for code, words in _LEFT_OUT.items():
        if number := codes.count(code):
            yield f"left out: {counted(number, 'tensor')} {words}"


def _unverified(reading: Reading) -> Iterator[str]:
    if reading.by_alpha and reading.plan.provenance.verified is False:
        yield "the weights were read without a check of their sha256: a flipped bit goes unseen"


def _shapes(reading: Reading) -> Iterator[str]:
    """Modules of several shapes whose alphas are compared without correction."""
    shapes = Shapes(reading)
    if not shapes.by_hill or not shapes.mixed:
        return
    low, high = shapes.ratios[0], shapes.ratios[-1]
    yield (
        f"adapted modules differ in shape (long side over short side: {low:.3g} to {high:.3g}), "
        "and hill reads a larger alpha from a longer matrix before any training: "
        f"{marchenko_pastur_hill(low):.2f} against {marchenko_pastur_hill(high):.2f} if random"
    )
    if reading.plan.per_module:
        yield "so part of the difference between kinds of modules may be shape, not training"
    elif not shapes.alike:
        yield "layers do not all have the same shapes, so part of their difference may be shape"
    elif shapes.complete:
        yield "all layers have the same shapes, so their alphas can be compared with each other"


def _routers(reading: Reading) -> Iterator[str]:
    single = reading.with_count(1)
    if len(single) == len(reading.slots):
        yield f"every {reading.unit} has one expert, so there is no router: this is plain LoRA"
    elif single:
        yield f"one expert, hence no router but plain LoRA: {reading.places(single)}"
    maximum = reading.parameter("max_experts")
    full = reading.with_count(maximum) if isinstance(maximum, int) else []
    if full:
        yield f"at the bound of {counted(maximum, 'expert')}: {reading.places(full)}"
