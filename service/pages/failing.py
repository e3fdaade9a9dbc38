"""What the page says of an error, and what to do about it."""

from fastapi import Request, Response

from service.context import key_text
from service.pages.templating import page
from service.problems import TITLES, Problem

WHAT_TO_DO = {
    "model_gated": "Accept the model's terms on its Hub page, and have the operator give the "
    "service a token that may read it; then try again.",
    "scope_missing": "Sign in with a key that has this scope.",
    "unauthorized": "Sign in with a key of this service.",
    "model_not_found": "Check the name; a Hub id is written organisation/name.",
    "revision_not_found": "Check the branch, tag or commit.",
    "path_not_allowed": "Take a folder below those that the operator allows (TAILORA_MODELS).",
    "budget_infeasible": "Raise the budget, or lower the least number of experts.",
    "hub_unavailable": "Wait a moment, and try again.",
    "database_unavailable": "Wait a moment, and load the page again.",
    "quota_exceeded": "Wait until other jobs of yours have ended.",
    "not_found": "See the history for what is there.",
    "unreadable_file": "Fetch the file anew, whole; then try again.",
    "worker_lost": "Try again; what was measured is kept.",
    "plan_not_ready": "See the job's page for how far it is.",
    "conflict": "See the job's page for how far it is.",
    "job_ended": "See the job's page for how it ended.",
    "not_enough_memory": "Take a smaller model, or have a worker with more memory started.",
    "nothing_to_analyse": "Take a model that has transformer blocks.",
    "unsupported_format": "Take a revision of the model in safetensors.",
    "invalid_data": "Mend the data where it is named above, and bring it again.",
    "datasets_full": "Delete data that you do not need (tailora datasets delete).",
    "cursor_expired": "Start from the first page.",
    "invalid_cursor": "Start from the first page.",
    "corrupt_file": "Try again; if it stays so, take another revision.",
    "checksum_mismatch": "Send the file again.",
    "upload_incomplete": "Send the file again.",
    "deadline_exceeded": "Try again; what was measured is kept.",
    "training_stopped": "Change the settings that are named above, or try again: it goes on from "
    "its last checkpoint.",
    "spectra_missing": "Analyse the model again.",
    "unreadable_plan": "Make the plan again.",
    "damaged_artifact": "Ask for it anew, and tell the operator: kept data is damaged.",
    "store_error": "Have the operator make room on the service's disk; then try again.",
    "wrong_version": "Have the operator bring the database up to date (tailora db upgrade).",
    "internal_error": "Give the request id to the operator.",
}  # fmt: skip
NO_LONGER = "the key that you signed in with is no longer valid"
OTHERWISE = "Change what is named above, and try again."


def told(problem: Problem) -> dict[str, str]:
    """Code, title, detail and next step, for templates."""
    return told_of(problem.code, problem.detail)


def told_of(code: str, detail: str) -> dict[str, str]:
    """The same of an error that a job ended with."""
    title = TITLES[code][1] if code in TITLES else code
    return {"code": code, "title": title, "detail": detail,
            "do": WHAT_TO_DO.get(code, OTHERWISE)}  # fmt: skip


def error_page(request: Request, problem: Problem) -> Response:
    """The page for an error; the sign-in form where a key is missing."""
    status = TITLES[problem.code][0]
    if problem.code == "unauthorized":
        lost = told(Problem("unauthorized", NO_LONGER)) if key_text(request) else None
        return page(request, "sign_in.html", status=status, problem=lost, back=_asked(request))
    return page(
        request, "error.html", status=status, headers=problem.headers,
        problem=told(problem), request_id=request.state.request_id,
    )  # fmt: skip


def _asked(request: Request) -> str:
    """What was asked for, to come back to; the first page where it was a form."""
    if request.method != "GET":
        return "/"
    return f"{request.url.path}?{request.url.query}".rstrip("?")
