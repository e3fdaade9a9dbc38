"""The ASGI app."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import CapacityLimiter
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from analyzer.version import tailora_version
from ledger.access import Ledger
from service import problems
from service.analyses.endpoints import router as analyses
from service.comparisons.endpoints import router as comparisons
from service.compressing import Compressed
from service.datasets.endpoints import PATH as DATASETS
from service.datasets.endpoints import router as datasets
from service.datasets.uploads import Uploads
from service.figures.answering import Drawings
from service.glimpses import Glimpses
from service.guard import Guard
from service.jobs.remembered import EndedJobs
from service.jobs.watching import Watches
from service.keyring import KeyRing
from service.models.endpoints import router as models
from service.openapi import describe
from service.pages.screens import add_pages
from service.plans.endpoints import router as plans
from service.plans.feasible import Feasible
from service.problems import COMMON_RESPONSES
from service.refusals import Refusals
from service.resolving import Resolver
from service.system.endpoints import router as system
from service.system.metrics import HttpMetrics
from service.system.metrics import router as metrics
from service.trainings.endpoints import router as trainings

TITLE = "TaiLoRA"
SUMMARY = "From a model's weights to a plan for its LoRA experts"
THREADS = 6
"""That serve requests: more of them wait for each other more than they do."""

MOST_HANGING = 4
"""Threads that a silent database may hold for the sake of /readyz."""


@asynccontextmanager
async def _few_threads(app: FastAPI) -> AsyncIterator[None]:
    current_default_thread_limiter().total_tokens = THREADS
    gc.freeze()  # what was imported is never garbage, and takes long to look through
    yield


class Api(FastAPI):
    """FastAPI with a document of our own."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        return describe(self)


def create_app(ledger: Ledger) -> FastAPI:
    """The API over a ledger. It publishes nothing and parses no weights."""
    app = Api(
        title=TITLE,
        summary=SUMMARY,
        version=tailora_version(),
        docs_url=None,
        redoc_url=None,
        responses=COMMON_RESPONSES,
        lifespan=_few_threads,
    )
    app.state.ledger = ledger
    app.state.resolver = Resolver(ledger)
    app.state.feasible = Feasible()
    app.state.keys = KeyRing(ledger)
    app.state.refusals = Refusals(ledger.settings.refusals)
    app.state.ended_jobs = EndedJobs()
    app.state.uploads = Uploads()
    app.state.drawings = Drawings()
    app.state.watches = Watches(ledger)
    app.state.http_metrics = HttpMetrics()
    app.state.readiness_threads = CapacityLimiter(MOST_HANGING)
    problems.install(app)
    for router in (
        plans,
        analyses,
        datasets,
        trainings,
        comparisons,
        models,
        system,
        metrics,
    ):
        app.include_router(router)
    add_pages(app)
    app.add_middleware(Glimpses, ledger=ledger, ended=app.state.ended_jobs)
    app.add_middleware(Compressed)
    app.add_middleware(
        Guard,
        body_bytes=ledger.settings.body_bytes,
        loopback_only=ledger.settings.on_loopback,
        count=app.state.http_metrics.count,
        streamed={("POST", DATASETS)},
    )
    return app
