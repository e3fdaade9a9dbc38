"""A plan's request as a command line and as curl, to be repeated elsewhere; and as the form."""

import json
import shlex
from typing import Any
from urllib.parse import urlencode

from allocator.methods import METHODS
from allocator.plan import Plan
from service.pages.forms import shown_parameters
from service.pages.options import text_of
from worker.requests import PlanWords

_FLAGS = (
    "budget_kind", "rounding", "min_experts", "max_experts", "rank", "lora_alpha", "top_k",
    "estimator", "aspect", "sample_rows", "sample_ratio", "sample_starts", "weighting",
    "precision", "solver", "modules", "stack", "stability", "draws", "seed",
)  # fmt: skip


def curl_of(job: dict[str, Any], base: str) -> str:
    """curl that asks for the same plan; what is left at its default is left out."""
    body = {"model": job["model"], "revision": job["revision"], **_own_words(job)}
    text = json.dumps({name: value for name, value in body.items() if value is not None})
    return (
        f"curl {shlex.quote(base.rstrip('/') + '/v1/plans')} "
        "-H 'Content-Type: application/json' "
        '${TAILORA_API_KEY:+-H "Authorization: Bearer $TAILORA_API_KEY"} '
        f"-d {shlex.quote(text)}"
    )


def form_of(job: dict[str, Any]) -> str:
    """The address of the form, filled in with the same words."""
    words = _own_words(job)
    parameters = shown_parameters(job["request"]["method"], words.pop("parameters", {}))
    shown = {name: text_of(value) for name, value in words.items()}
    given = {"model": job["model"], "revision": job["revision"], **shown, **parameters}
    return "/?" + urlencode({name: text for name, text in given.items() if text})


def command_of(job: dict[str, Any], plan: Plan) -> str:
    """`tailora plan` with the same words."""
    words = _own_words(job)
    model = f"{job['model']}@{job['revision']}" if job["revision"] else job["model"]
    parts = ["tailora", "plan", model, "--method", plan.method]
    if words.get("expert_budget") is not None:
        parts += ["--budget", f"{words['expert_budget']:g}"]
    names = METHODS[plan.method].parameters.model_fields if plan.method in METHODS else ()
    for name in names:
        value = plan.parameters.get(name)
        if name in ("beta", "shape", "counts") and value is not None:
            parts += [f"--{name}", _text(value)]
    for name in _FLAGS:
        if words.get(name) is not None:
            parts += [f"--{name.replace('_', '-')}", _text(words[name])]
    if words.get("per_module"):
        parts.append("--per-module")
    if words.get("ranged") is not None:
        parts.append("--ranged" if words["ranged"] else "--verified")
    return shlex.join(parts)


def _text(value: Any) -> str:
    """Lists are written with commas."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _own_words(job: dict[str, Any]) -> dict[str, Any]:
    """What the request says that is no default; whole numbers as such."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in job["request"].items()
        if name in PlanWords.model_fields
        and value != PlanWords.model_fields[name].get_default(call_default_factory=True)
    }
