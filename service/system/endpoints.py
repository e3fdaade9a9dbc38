"""GET /healthz, /readyz, /version, /v1/methods and /problems/{code}."""

import platform
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from allocator.forms.registry import FORMS
from allocator.methods import METHODS
from analyzer.spectrum import NUMERICS_VERSION
from analyzer.tails import ESTIMATORS
from analyzer.version import tailora_version
from ledger.migrate import head
from service.context import Reader, TheLedger
from service.problems import RESPONSES, TITLES, Problem
from service.system.readiness import Readiness, readiness

router = APIRouter(tags=["system"])


class Health(BaseModel):
    """The process answers."""

    status: str = "ok"


class Version(BaseModel):
    """What runs here."""

    tailora: str
    api: str = "v1"
    numerics: int
    database: str
    python: str


class MethodInfo(BaseModel):
    """A method of allocation."""

    name: str
    summary: str
    needs_alphas: bool
    brings_budget: bool
    parameters: dict[str, Any]


class EstimatorInfo(BaseModel):
    """An estimator of alpha."""

    name: str
    version: int
    precision: str
    summary: str


class Methods(BaseModel):
    """The words that a plan can be asked for in."""

    methods: list[MethodInfo]
    estimators: list[EstimatorInfo]
    formats: dict[str, str]


class Meaning(BaseModel):
    """What an error code stands for."""

    code: str
    status: int
    title: str


@router.get("/healthz", operation_id="healthz")
async def healthz() -> Health:
    """The process is alive; nothing else is looked at."""
    return Health()


@router.get(
    "/readyz", operation_id="readyz", responses={503: {"model": Readiness, "description": "Not"}}
)
async def readyz(request: Request, ledger: TheLedger, response: Response) -> Readiness:
    """Whether a job would run now: 200, or 503 with what is missing."""
    found = await readiness(ledger, request.app.state.readiness_threads)
    response.status_code = 200 if found.ready else 503
    return found


@router.get("/version", operation_id="version")
async def version() -> Version:
    """Versions of what runs here."""
    return Version(
        tailora=tailora_version(),
        numerics=NUMERICS_VERSION,
        database=head(),
        python=platform.python_version(),
    )


@router.get("/v1/methods", operation_id="list_methods", responses=RESPONSES)
def methods(caller: Reader) -> Methods:
    """Every method with its parameters' JSON Schema, estimator and export format."""
    return Methods(
        methods=[
            MethodInfo(
                name=method.name,
                summary=method.summary,
                needs_alphas=method.needs_values,
                brings_budget=method.own_total is not None or method.own_slots is not None,
                parameters=method.parameters.model_json_schema(),
            )
            for method in METHODS.values()
        ],
        estimators=[
            EstimatorInfo(
                name=rule.name, version=rule.version, precision=rule.precision, summary=rule.summary
            )
            for rule in ESTIMATORS.values()
        ],
        formats={form.name: form.summary for form in FORMS.values() if form.write},
    )


@router.get("/problems/{code}", operation_id="get_problem", responses=RESPONSES)
async def problem(code: str) -> Meaning:
    """What an error code stands for."""
    if code not in TITLES:
        raise Problem("not_found", f"{code[:60]} is no code of this service")
    status, title = TITLES[code]
    return Meaning(code=code, status=status, title=title)
