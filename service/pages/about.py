"""What this service is, and what its pages are made with."""

from fastapi import APIRouter, Request, Response

from allocator.methods import METHODS
from service.pages.route import PageRoute
from service.pages.templating import page

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/about")
async def about(request: Request) -> Response:
    """The page; it needs no key."""
    return page(request, "about.html", methods=METHODS)
