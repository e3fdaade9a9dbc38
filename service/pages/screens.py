"""The whole page as part of the app."""

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from service.pages import about, analyses, history, jobs, plans, signing, start
from service.pages.templating import HERE


def add_pages(app: FastAPI) -> None:
    """Add every screen, and the files that they load."""
    for screen in (start, jobs, analyses, plans, history, about, signing):
        app.include_router(screen.router)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
