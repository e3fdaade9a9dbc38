"""The whole page as part of the app."""

from collections.abc import Awaitable, Callable
from typing import cast

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from service.guard import API
from service.pages import (
    about,
    analyses,
    comparisons,
    history,
    jobs,
    keys,
    plans,
    signing,
    start,
    train,
    trainings,
)
from service.pages.failing import error_page
from service.pages.files import PageFiles
from service.pages.templating import HEADERS, HERE
from service.problems import Problem

Handler = Callable[[Request, Exception], Response | Awaitable[Response]]


def add_pages(app: FastAPI) -> None:
    """Add every screen, and the files that they load."""
    for screen in (
        start,
        jobs,
        analyses,
        plans,
        train,
        trainings,
        comparisons,
        history,
        keys,
        about,
        signing,
    ):
        app.include_router(screen.router)
    app.mount("/static", PageFiles(directory=HERE / "static"), name="static")
    _add_not_found(app)


def _add_not_found(app: FastAPI) -> None:
    """A browser that asks for an address without anything gets a page, programs what they got."""
    otherwise = cast(Handler, app.exception_handlers[HTTPException])

    def not_found(request: Request, error: Exception) -> Response | Awaitable[Response]:
        path, accepted = request.url.path, request.headers.get("accept", "")
        assert isinstance(error, HTTPException)
        if error.status_code != 404 or path.startswith(API) or "text/html" not in accepted:
            return otherwise(request, error)
        answer = error_page(request, Problem("not_found", f"there is no page {path[:200]}"))
        answer.headers.update(HEADERS)
        return answer

    app.add_exception_handler(HTTPException, not_found)
