"""Plans from the files of other tools."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from allocator.budget import MAX_EXPERTS
from allocator.errors import InvalidRequest, UnreadablePlan
from allocator.forms.draft import MOST_LAYERS, Draft, Place, Reading, Scores
from allocator.forms.nearest import Compromise
from allocator.forms.recognise import form_of
from allocator.forms.registry import reader
from allocator.forms.resolve import (
    Resolved,
    as_written,
    check_names,
    in_model,
    left_alone,
    with_scores,
)
from allocator.forms.scores import score_subject
from allocator.forms.table import common
from allocator.options import PlanOptions
from allocator.plan import Plan
from allocator.planner import make_plan
from allocator.subject import BARE_STACK, Subject, subject_of
from analyzer.outline import Outline
from analyzer.selection import name_list


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a file does not say, and how it is read. None: as the file says, else by default.

    `layers` is the number of layers, for forms that do not give it; `order` names the matrices of
    a score array; `budget`, `beta` and `per_module` make a plan of scores. Raises InvalidRequest.
    """

    top_k: int | None = None
    rank: int | None = None
    lora_alpha: float | None = None
    layers: int | None = None
    order: str | None = None
    budget: float | None = None
    beta: float | None = None
    per_module: bool = False
    modules: str | Sequence[str] | None = None
    stack: str | None = None
    nearest: bool = False

    def __post_init__(self) -> None:
        """Refuse what no file can be read by."""
        object.__setattr__(self, "modules", name_list(self.modules))
        if self.layers is not None and not 1 <= self.layers <= MOST_LAYERS:
            raise InvalidRequest(f"layers is {self.layers}; use 1 to {MOST_LAYERS}")
        self.plan_options()

    def plan_options(self, **more: Any) -> PlanOptions:
        """The options of a plan that these are. Raises InvalidRequest."""
        given = {"top_k": self.top_k, "rank": self.rank, "lora_alpha": self.lora_alpha, **more}
        known = {name: value for name, value in given.items() if value is not None}
        return PlanOptions(modules=self.modules, stack=self.stack, **known)


Content = str | bytes | Mapping[str, str | bytes]
"""A file, or files by name."""


def import_plan(
    given: Content, form: str | None = None, *, model: Outline | None = None, **words: Any
) -> Plan:
    """The plan in another tool's file, or files by name.

    `form` is one of allocator.forms.registry.FORMS; None where the file shows it. With the outline
    of a `model`, modules get their full names and shapes, and names that it lacks are an error.
    `words` are the fields of ImportOptions. What was assumed is in the plan's warnings.

    Raises UnreadablePlan for a file that is not of the form, NotExpressible where a plan cannot
    say it, PlanMismatch where the model differs, InvalidRequest, and AnalyzerError for the model.
    """
    options = _options(words)
    files = _files(given)
    subject = _model(model, options)
    reading = _reading(options, subject)
    scored = options.budget is not None
    found = reader(form or form_of(files, scores=scored))(files, reading)
    if isinstance(found, Scores):
        return _scored(found, subject, options)
    if options.budget is not None or options.beta is not None or options.per_module:
        raise InvalidRequest(
            "the file brings its own counts; --budget, --beta and --per-module are for scores"
        )
    return _counted(found, subject, reading, options)


def _options(words: dict[str, Any]) -> ImportOptions:
    unknown = set(words) - set(ImportOptions.__slots__)
    if unknown:
        raise InvalidRequest(
            f"import knows no {', '.join(sorted(unknown))}; its words are "
            f"{', '.join(ImportOptions.__slots__)}"
        )
    return ImportOptions(**words)


def _files(given: Content) -> dict[str, bytes]:
    by_name = given if isinstance(given, Mapping) else {"": given}
    if not by_name:
        raise UnreadablePlan("there is no file to import; name one")
    return {
        name: content.encode(errors="replace") if isinstance(content, str) else content
        for name, content in by_name.items()
    }


def _model(model: Outline | None, options: ImportOptions) -> Subject | None:
    if model is None:
        if options.stack is not None:
            raise InvalidRequest("--stack needs a --model, whose stacks are known")
        return None
    return subject_of(model, options.plan_options(method="custom"), False)


def _reading(options: ImportOptions, subject: Subject | None) -> Reading:
    places, targets = None, None
    if subject is not None:
        places = [Place(layer.stack, layer.layer) for layer in subject.layers]
        prefixes = {stack.name: stack.prefix for stack in subject.stacks}
        targets = [
            f"{prefixes[layer.stack]}.{layer.layer}.{module.name}"
            for layer in subject.layers
            for module in layer.modules
        ]
        if options.layers not in (None, len(places)):
            raise InvalidRequest(f"--layers is {options.layers}, but the model has {len(places)}")
    elif options.layers is not None:
        places = [Place(BARE_STACK, layer) for layer in range(options.layers)]
    modules = options.modules
    return Reading(
        top_k=options.top_k,
        rank=options.rank,
        lora_alpha=options.lora_alpha,
        order=options.order,
        modules=tuple(modules) if modules else None,
        places=places,
        targets=targets,
        compromise=Compromise(options.nearest),
    )


def _scored(scores: Scores, subject: Subject | None, options: ImportOptions) -> Plan:
    parameters = {} if options.beta is None else {"beta": options.beta}
    asked = options.plan_options(
        budget=options.budget, parameters=parameters, per_module=options.per_module
    )
    if subject is None:
        own = score_subject(scores, asked)
        if options.layers not in (None, len(own.layers)):
            raise InvalidRequest(f"--layers is {options.layers}, but there are {len(own.layers)}")
        return make_plan(own, asked)
    if options.per_module and not scores.names:
        raise InvalidRequest("these scores are of layers, not of modules; leave --per-module out")
    layers = tuple(with_scores(scores, subject))
    return make_plan(replace(subject, layers=layers, values="score"), asked)


def _counted(
    draft: Draft, subject: Subject | None, reading: Reading, options: ImportOptions
) -> Plan:
    if subject is None:
        resolved = as_written(draft)
        subject = Subject(layers=(), values="none", stacks=draft.stacks)
        left: list[str] = []
    else:
        resolved = in_model(draft, subject)
        left = left_alone(resolved, subject)
    check_names(resolved)
    warnings = (*subject.warnings, *reading.compromise.warnings, *reading.warnings, *left)
    made_for = replace(
        subject,
        layers=tuple(one.layer for one in resolved),
        warnings=tuple(dict.fromkeys(warnings)),
    )
    return make_plan(made_for, _custom(resolved, draft.lora_alpha, options))


def _custom(resolved: Sequence[Resolved], lora_alpha: float, options: ImportOptions) -> PlanOptions:
    """The options of a custom plan that gives these mixtures."""
    per_layer = [common(one.mixtures) for one in resolved]
    whole = [mixture for mixture in per_layer if mixture is not None]
    per_module = len(whole) < len(per_layer)
    slots = [mixture for one in resolved for mixture in one.mixtures] if per_module else whole
    counts, ranks = [slot.experts for slot in slots], [slot.rank for slot in slots]
    if sum(counts) > MAX_EXPERTS * _width(resolved, per_module):
        raise UnreadablePlan(
            f"the counts sum to {sum(counts)}, above {MAX_EXPERTS} a module; mend the file"
        )
    top_ks, most = [slot.top_k for slot in slots], max(slot.top_k for slot in slots)
    parameters: dict[str, Any] = {"counts": counts}
    if len(set(ranks)) > 1:
        parameters["ranks"] = ranks
    if top_ks != [min(most, count) for count in counts]:
        parameters["top_ks"] = top_ks
    return options.plan_options(
        method="custom",
        parameters=parameters,
        rank=min(ranks),
        top_k=most,
        lora_alpha=lora_alpha,
        per_module=per_module,
    )


def _width(resolved: Sequence[Resolved], per_module: bool) -> int:
    return max(len(one.mixtures) for one in resolved) if per_module else 1
