"""Every error of the API is one problem+json document (RFC 9457) with a stable code."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from allocator.errors import AllocatorError
from analyzer.errors import AnalyzerError
from ledger import errors as ledger_errors
from ledger.errors import LedgerError
from service.figures import errors as figure_errors
from service.figures.errors import FigureError
from trainer.errors import TrainerError
from worker.codes import INTERNAL, RETRYABLE, code_of

MEDIA_TYPE = "application/problem+json"
DOCS = "/problems/"
MOST_FIELDS = 10
LONGEST_DETAIL = 1000

TITLES: dict[str, tuple[int, str]] = {
    "bad_adapter": (422, "The adapter cannot be used"),
    "bad_model": (422, "The model's files cannot be used"),
    "body_too_large": (413, "The request is too large"),
    "budget_infeasible": (422, "No plan has this budget"),
    "checksum_mismatch": (422, "The bytes are not those of the checksum"),
    "conflict": (409, "The job's state does not allow it"),
    "corrupt_file": (422, "A file is not what its commit names"),
    "cursor_expired": (410, "The cursor is too old"),
    "damaged_artifact": (500, "Kept data is damaged"),
    "database_unavailable": (503, "The database does not answer"),
    "datasets_full": (413, "The owner's datasets take all their room"),
    "deadline_exceeded": (500, "The work took too long"),
    "format_unavailable": (422, "The format cannot be made here"),
    "host_not_allowed": (400, "The host name is not this machine's"),
    "hub_unavailable": (503, "The Hub does not answer"),
    "idempotency_key_invalid": (422, "The Idempotency-Key cannot be used"),
    "idempotency_key_reused": (422, "The Idempotency-Key belongs to another request"),
    "internal_error": (500, "Something went wrong here"),
    "invalid_cursor": (422, "The cursor is not of this list"),
    "invalid_data": (422, "The data cannot be trained on"),
    "invalid_json": (400, "The request is not JSON that is read here"),
    "invalid_option": (422, "An option cannot be"),
    "invalid_request": (422, "The request has errors"),
    "job_ended": (409, "The job has ended"),
    "invalid_recipe": (422, "No recipe has these settings"),
    "media_type_unsupported": (415, "The request is of another type"),
    "method_not_allowed": (405, "The method is not allowed here"),
    "missing_shard": (422, "A file of the model is missing"),
    "model_gated": (403, "The model is gated or private"),
    "model_mismatch": (422, "The model is not that of the plan"),
    "model_not_found": (404, "There is no such model"),
    "not_enough_memory": (422, "A matrix does not fit in memory"),
    "not_expressible": (422, "The target cannot say this plan"),
    "not_found": (404, "There is nothing here"),
    "nothing_to_analyse": (422, "The model has no transformer blocks"),
    "nothing_to_draw": (422, "The figure has nothing to show"),
    "path_not_allowed": (403, "The path is not allowed"),
    "plan_not_ready": (409, "The plan is not there yet"),
    "revision_not_found": (404, "There is no such revision"),
    "quota_exceeded": (429, "The quota is used up"),
    "scope_missing": (403, "The key does not open this"),
    "spectra_missing": (500, "Spectra are missing"),
    "store_error": (500, "Results cannot be kept"),
    "training_stopped": (500, "The training cannot go on"),
    "unauthorized": (401, "A valid API key is needed"),
    "unreadable_file": (422, "A file cannot be read"),
    "unreadable_plan": (500, "The plan cannot be read"),
    "unsupported_format": (422, "The weights' format is not supported"),
    "upload_incomplete": (400, "The upload ended too early"),
    "uploads_off": (403, "Nothing is uploaded here"),
    "worker_lost": (500, "The worker was lost"),
    "wrong_version": (503, "The database is of another version"),
}
"""Status and title by code; `docs/service.md` says what to do about each."""

_LEDGER: dict[type[Exception], str] = {
    ledger_errors.DatabaseUnavailable: "database_unavailable",
    ledger_errors.WrongVersion: "wrong_version",
    ledger_errors.NotFound: "not_found",
    ledger_errors.Conflict: "conflict",
    ledger_errors.NoRoom: "datasets_full",
    ledger_errors.KeyReused: "idempotency_key_reused",
    ledger_errors.ExpiredCursor: "cursor_expired",
    ledger_errors.InvalidCursor: "invalid_cursor",
}
_FIGURES: dict[type[Exception], str] = {
    figure_errors.UnknownFigure: "not_found",
    figure_errors.NothingToDraw: "nothing_to_draw",
    figure_errors.FormatUnavailable: "format_unavailable",
}
_OWN: dict[type[Exception], str] = {**_LEDGER, **_FIGURES}
_RETRY_SECONDS = {"database_unavailable": 2, "hub_unavailable": 30, "wrong_version": 30}
_BY_STATUS = {404: "not_found", 405: "method_not_allowed"}

log = structlog.get_logger()


class FieldError(BaseModel):
    """One field that is wrong."""

    field: str
    message: str


class ProblemDocument(BaseModel):
    """What every error looks like."""

    type: str = Field(description="where the code is described")
    title: str
    status: int
    detail: str = Field(description="what happened, and what to do next")
    instance: str = Field(description="path of the request")
    code: str = Field(description="stable name of the kind of error")
    param: str | None = Field(None, description="the first field that is wrong")
    errors: list[FieldError] = Field([], description="every field that is wrong, ten at most")
    request_id: str
    retryable: bool


class Problem(Exception):
    """An error with a code of TITLES; the handler makes the answer."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Say what happened and what to do next."""
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})


KNOWN_ERRORS = (Problem, AnalyzerError, AllocatorError, TrainerError, LedgerError, FigureError)
"""What the packages raise on purpose."""


def problem_of(error: Exception) -> Problem:
    """The problem behind an error of any package; one that nobody expected says nothing."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ledger_errors.QuotaExceeded):
        return Problem("quota_exceeded", str(error), headers=_later(error.seconds))
    code = next((_OWN[kind] for kind in type(error).__mro__ if kind in _OWN), None)
    code = code or code_of(error)
    if code == INTERNAL:
        return Problem(code, "an error that nobody expected; give the request id to the operator")
    return Problem(code, str(error))


def _later(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def is_retryable(status: int, code: str) -> bool:
    """Whether the same request may well be answered later."""
    return status in (429, 503) or code in RETRYABLE


def response(problem: Problem, instance: str, request_id: str) -> JSONResponse:
    """The answer for a problem."""
    status, title = TITLES[problem.code]
    document = ProblemDocument(
        type=DOCS + problem.code,
        title=title,
        status=status,
        detail=problem.detail[:LONGEST_DETAIL],
        instance=instance[:200],
        code=problem.code,
        param=problem.errors[0].field if problem.errors else None,
        errors=problem.errors,
        request_id=request_id,
        retryable=is_retryable(status, problem.code),
    )
    headers = dict(problem.headers)
    if problem.code in _RETRY_SECONDS:
        headers["Retry-After"] = str(_RETRY_SECONDS[problem.code])
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(document.model_dump(), status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of the app as a problem, the framework's own included."""

    def answer(request: Request, problem: Problem) -> JSONResponse:
        return response(problem, request.url.path, request.state.request_id)

    def known(request: Request, error: Exception) -> JSONResponse:
        return answer(request, problem_of(error))

    def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        fields = [_field(found) for found in error.errors()[:MOST_FIELDS]]
        first = f"{fields[0].field}: {fields[0].message}" if fields else "it cannot be read"
        return answer(request, Problem("invalid_request", first, errors=fields))

    def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = _BY_STATUS.get(error.status_code, "invalid_request")
        detail = f"{request.method} {request.url.path[:200]} is not there; see /openapi.json"
        return answer(request, Problem(code, detail, headers=error.headers or {}))

    def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("request_failed", exc_info=error, path=request.url.path)
        return answer(request, problem_of(error))

    for kind in KNOWN_ERRORS:
        app.add_exception_handler(kind, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)


def _field(found: Any) -> FieldError:
    """A field's error without what was sent: that may be secret, or a megabyte."""
    place = [str(part) for part in found["loc"] if part not in ("body", "query", "path", "header")]
    message = str(found["msg"]).removeprefix("Value error, ")
    return FieldError(field=".".join(place)[:100] or "body", message=message[:200])


def example(status: int) -> dict[str, Any]:
    """What an answer with that status may look like."""
    code, title = next((code, title) for code, (of, title) in TITLES.items() if of == status)
    document = ProblemDocument(
        type=DOCS + code,
        title=title,
        status=status,
        detail=f"{title}; what to do next stands here",
        instance="/v1/plans",
        code=code,
        param=None,
        errors=[],
        request_id="req_0123456789abcdef01234567",
        retryable=is_retryable(status, code),
    )
    return document.model_dump()


def _responses(*described: tuple[int, str]) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"model": ProblemDocument, "content": {MEDIA_TYPE: {}}, "description": why}
        for status, why in described
    }


COMMON_RESPONSES = _responses(
    (400, "The request cannot be read"),
    (413, "The request is too large"),
    (415, "Of another type"),
    (500, "Something went wrong here"),
    (503, "Try again later"),
)
"""Of every endpoint."""

RESPONSES = _responses(
    (401, "No valid API key"),
    (403, "Not allowed"),
    (404, "Not there"),
    (409, "The state does not allow it"),
    (410, "The cursor is too old"),
    (422, "The request has errors"),
    (429, "Too much at once"),
)
"""Of those that ask for a key, besides."""
