"""Command lines that make a plan like this one."""

from dataclasses import fields
from shlex import join
from typing import Any

from allocator.explaining.reading import Reading
from allocator.options import PlanOptions
from analyzer.text import shown

_ALWAYS = (
    "rounding",
    "min_experts",
    "max_experts",
    "top_k",
    "rank",
    "lora_alpha",
    "modules",
    "stack",
)
_BY_ALPHA = ("estimator", "aspect", "weighting")
_DEFAULTS: dict[str, Any] = {
    "beta": 2.5,
    **{each.name: each.default for each in fields(PlanOptions)},
}
_LONGEST = 4000


def plan_command(reading: Reading, *more: str, method: str | None = None, **changes: Any) -> str:
    """A `tailora plan` of the same model and budget, with what differs from the defaults.

    `changes` replace parameters; another `method` leaves out the parameters of this one.
    `MODEL` and `FILE` stand for what the plan does not name.
    """
    parameters = {**reading.plan.parameters, **changes}
    chosen = method or reading.plan.method
    words = ["tailora", "plan", *_subject(reading), "-b", str(reading.plan.budget.experts)]
    if chosen != "alphalora":
        words += ["--method", shown(chosen)]
    by_alpha = reading.plan.values != "score" and chosen.startswith("alphalora")
    names = [*_ALWAYS, *(_BY_ALPHA if by_alpha else ())]
    if method is None:
        names += ["beta", "shape"]
    for name in names:
        value = parameters.get(name)
        if value is not None and value != _DEFAULTS.get(name):
            words += [f"--{name.replace('_', '-')}", _word(value)]
    if by_alpha and parameters.get("aspect") == "subsample":
        for name, value in parameters.get("windows", {}).items():
            words += [f"--sample-{name}", _word(value)]
    if reading.plan.per_module:
        words.append("--per-module")
    return join([*words, *more])


def _subject(reading: Reading) -> list[str]:
    plan = reading.plan
    if plan.values == "score":
        return ["--scores", "FILE"]
    if plan.model is None:
        return ["MODEL"]
    name = plan.model
    if plan.revision is not None:
        name = f"{plan.model.partition('@')[0]}@{plan.revision}"
    return [name if shown(name, _LONGEST) == name else "MODEL"]


def _word(value: Any) -> str:
    return shown(",".join(map(str, value)) if isinstance(value, list | tuple) else value)
