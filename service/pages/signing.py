"""Signing in with an API key, which the browser then keeps out of reach of scripts; and out."""

import re

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from service.cookies import COOKIE
from service.pages.failing import told
from service.pages.forms import Form
from service.pages.route import PageRoute
from service.pages.templating import page
from service.problems import Problem

router = APIRouter(route_class=PageRoute, include_in_schema=False)
WRONG = "this is no valid key; copy it whole, or ask the operator for a new one"
OWN_PLACE = re.compile(r"/(?![/\\])[!-~]*")
"""An address of this service: what begins with two slashes names another."""


@router.get("/sign-in")
async def form(request: Request) -> Response:
    """The form."""
    return page(request, "sign_in.html", problem=None, back="/")


@router.post("/sign-in")
async def sign_in(request: Request, fields: Form) -> Response:
    """Keep a valid key in the browser until it is closed, and go to what was asked for."""
    key, back = fields.get("key", ""), fields.get("back", "/")
    holder = await run_in_threadpool(request.app.state.keys.holder, key) if key else None
    if holder is None:
        request.app.state.refusals.count(request.client.host if request.client else "")
        problem = told(Problem("unauthorized", WRONG))
        return page(request, "sign_in.html", status=401, problem=problem, back=back)
    answer = RedirectResponse(back if OWN_PLACE.fullmatch(back) else "/", 303)
    answer.set_cookie(
        COOKIE, key, httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )
    return answer


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Forget the key."""
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer
