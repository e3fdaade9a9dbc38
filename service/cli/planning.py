"""The three ways to a plan: from scores, from a model here, from a service."""

from pathlib import Path
from typing import TYPE_CHECKING

from service.cli.failures import CommandError

if TYPE_CHECKING:
    from allocator.evidence import Questions
    from allocator.options import PlanOptions
    from allocator.plan import Plan
    from analyzer.options import Options

_NO_MODEL = "give a MODEL or --scores FILE, one of the two"


def from_scores(
    model: str | None,
    scores: Path | None,
    order: str | None,
    options: "PlanOptions",
    questions: "Questions",
) -> "Plan":
    """From a file of scores. Raises CommandError, UnreadablePlan or InvalidRequest."""
    from allocator.planner import make_plan
    from service.cli.scores import read_scores

    if model is not None or scores is None:
        raise CommandError("give a MODEL or --scores FILE, one of the two; --order is for scores")
    if questions.kinds != ("estimators",):
        raise CommandError("scores have no spectra to question; --stability needs a MODEL")
    return make_plan(read_scores(scores, order, options), options)


def from_model(
    model: str | None,
    options: "PlanOptions",
    measuring: "Options",
    questions: "Questions",
    cache: Path | None,
    quiet: bool,
) -> "Plan":
    """From a model's weights, read and solved here. Raises CommandError or AnalyzerError."""
    from allocator.evidence import gather
    from allocator.planner import check_feasible, make_plan
    from analyzer.analyze import analyze
    from analyzer.api import with_hashes
    from analyzer.scan import outline
    from analyzer.source import open_source
    from analyzer.store import FolderStore, default_folder
    from service.cli.progress import progress
    from service.cli.remotewords import no_alphas

    if model is None:
        raise CommandError(_NO_MODEL)
    store = FolderStore(cache or default_folder())
    source = open_source(model, store)
    found = outline(source)
    if not check_feasible(found, options):
        if questions.kinds != ("estimators",):
            raise CommandError(no_alphas(options.method))
        return make_plan(with_hashes(found, source), options)
    with progress(quiet) as report:
        analysis = analyze(source, measuring, store=store, progress=report, outline=found)
        evidence = gather(source, measuring, questions, store=store, outline=found, progress=report)
    return make_plan(analysis, options, evidence)


def from_service(
    model: str | None,
    options: "PlanOptions",
    measuring: "Options",
    questions: "Questions",
    quiet: bool,
) -> "Plan":
    """From the service that TAILORA_URL names. Raises CommandError or ClientError."""
    from service.cli.remote import check_place, made
    from service.cli.remotewords import plan_body
    from service.client.documents import plan_of

    if model is None:
        raise CommandError(_NO_MODEL)
    check_place(model)
    body = plan_body(model, options, measuring, questions)
    return made(lambda server, watch: plan_of(server, body, watch), quiet)
