"""Routes of the page: its errors are pages, and every answer has the page's headers."""

from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from service.cookies import SAFE, from_elsewhere
from service.pages.failing import error_page
from service.pages.templating import HEADERS
from service.problems import KNOWN_ERRORS, Problem, problem_of

log = structlog.get_logger()
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """What FastAPI makes of an endpoint of the page."""

    def get_route_handler(self) -> Handler:
        """The endpoint, with a page for each of its errors."""
        endpoint = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                _check_origin(request)
                answer = await endpoint(request)
            except RequestValidationError as error:
                answer = error_page(request, _misread(error))
            except KNOWN_ERRORS as error:
                answer = error_page(request, problem_of(error))
            except Exception as error:
                log.error("request_failed", exc_info=error, path=request.url.path)
                answer = error_page(request, problem_of(error))
            for name, value in HEADERS.items():
                answer.headers.setdefault(name, value)
            return answer

        return handle


def _check_origin(request: Request) -> None:
    """Forms of other sites change nothing here, whoever is signed in."""
    if request.method not in SAFE and from_elsewhere(request):
        raise Problem(
            "invalid_request", "this form was not sent by the page itself; open the page and repeat"
        )


def _misread(error: RequestValidationError) -> Problem:
    """An id that cannot be is of nothing."""
    first = error.errors()[0]
    if first["loc"][:1] == ("path",):
        return Problem("not_found", "there is nothing of that name; see the history")
    return Problem("invalid_request", f"{first['loc'][-1]}: {first['msg']}"[:300])
