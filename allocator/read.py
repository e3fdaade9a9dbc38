"""Read a plan back from its document, and refuse one that was changed since it was made."""

from typing import Any

from pydantic import ValidationError

from allocator.errors import UnreadablePlan
from allocator.plan import Plan, PlanLayer, digest_of
from allocator.request import trainable_parameters
from allocator.slots import own_parameter
from analyzer.text import shown

_WAY_OUT = "make one with `tailora plan --out FILE`, or read another form with `tailora import`"


def read_plan(text: str | bytes) -> Plan:
    """The plan in a JSON document (`tailora.plan/1`).

    Raises UnreadablePlan for another document, and where counts, ranks or top_k do not fit the
    plan's digest and parameters.
    """
    try:
        plan = Plan.model_validate_json(text)
    except ValidationError as error:
        raise UnreadablePlan(f"this is no plan: {_reason(error)}; {_WAY_OUT}") from error
    changed = _changed(plan)
    if changed is not None:
        raise UnreadablePlan(
            f"the plan was changed after it was made: {changed}; make it anew, for example with "
            "--method custom --counts"
        )
    return plan


def _reason(error: ValidationError) -> str:
    errors = error.errors()
    for each in errors:
        if each["type"] == "json_invalid":
            return "it is not JSON"
        if each["loc"] == ("schema",) and isinstance(each["input"], str):
            return f"it is a document of {shown(each['input'], 60)}, not of tailora.plan/1"
    place = ".".join(str(part) for part in errors[0]["loc"]) or "the document"
    if errors[0]["type"] == "missing":
        return f"{shown(place)} is missing"
    return f"{shown(place)}: {shown(errors[0]['msg'])}"


def _changed(plan: Plan) -> str | None:
    """What does not fit the digest or the parameters; None where all does."""
    try:
        digest = digest_of(plan.weights, plan.method, plan.parameters, plan.counts)
    except ValueError:  # a parameter is NaN or infinite, which no digest can hold
        digest = ""
    if plan.digest != digest:
        return "its digest does not fit its counts and parameters"
    slot = 0
    for layer in plan.layers:
        odd = _odd(plan, layer, slot)
        if odd is not None:
            return f"the {odd} in layer {layer.layer} of {shown(layer.stack)} does not fit"
        slot += 1 if layer.experts is not None else len(layer.modules)
    if plan.trainable_parameters != trainable_parameters(plan.layers):
        return "its trainable parameters are not those of its modules"
    return None


def _odd(plan: Plan, layer: PlanLayer, slot: int) -> str | None:
    """What of a layer is not as its count and the parameters say; `slot` is its first count's."""
    own = plan.parameters
    whole = layer.experts is not None
    if whole and layer.top_k != own_parameter(plan, "top_ks", slot, _capped(own, layer.experts)):
        return "top_k"
    for position, module in enumerate(layer.modules):
        at = slot if whole else slot + position
        expected = {
            "experts": layer.experts if whole else module.experts,
            "top_k": own_parameter(plan, "top_ks", at, _capped(own, module.experts)),
            "rank": own_parameter(plan, "ranks", at, own.get("rank")),
            "lora_alpha": own.get("lora_alpha"),
        }
        for name, value in expected.items():
            if getattr(module, name) != value:
                return f"{name} of {shown(module.name)}"
    return None


def _capped(parameters: dict[str, Any], experts: int | None) -> object:
    top_k = parameters.get("top_k")
    return min(top_k, experts) if isinstance(top_k, int) and experts is not None else top_k
