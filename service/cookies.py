"""An API key in a cookie of the page, and which requests may use it."""

from urllib.parse import urlsplit

from starlette.requests import Request

COOKIE = "tailora_key"
SAFE = ("GET", "HEAD")


def key_of_page(request: Request) -> str:
    """The key that the page's cookie brings; empty for requests that another site may have made."""
    text = request.cookies.get(COOKIE, "")
    return text if text and not from_elsewhere(request) else ""


def from_elsewhere(request: Request) -> bool:
    """Whether something other than this service's own page may have made the request.

    Reading is refused to other sites only; what changes something has to name where it comes from.
    """
    site = request.headers.get("sec-fetch-site")
    if request.method in SAFE:
        return site in ("cross-site", "same-site")
    if site is not None:
        return site != "same-origin"
    return not _own(request.headers.get("origin", ""), request)


def _own(origin: str, request: Request) -> bool:
    return bool(origin) and urlsplit(origin).netloc == request.headers.get("host", "")
