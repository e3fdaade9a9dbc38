"""Every screen, light and dark, wide and on a phone: without faults for axe-core, and as a picture.

Pictures go into the folder that the variable SCREENSHOTS names.
"""

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.pages.browsing import PHONE, drawn, opened, scrolls_sideways
from tests.pages.screens import SCREENS, making

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("scheme", ["light", "dark"]),
    pytest.mark.parametrize("size", ["wide", "phone"]),
]
SIZES = {"wide": {"width": 1280, "height": 900}, "phone": PHONE}
GROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}
GRAVE = ("serious", "critical")
REFUSED = {"not-found": ("/jobs/pln_0",), "sign-in": ("/",), "keys": ("/keys",)}


@pytest.fixture(scope="module")
def made(stand):
    with making(stand) as made:
        yield made


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen(chromium, made, name, size, scheme):
    look(chromium, made.stand.url, SCREENS[name](made), name, size, scheme)


def test_signing_in(chromium, guarded, size, scheme):
    look(chromium, guarded.url, "/", "sign-in", size, scheme)


def test_keys(chromium, guarded, size, scheme):
    look(chromium, guarded.url, "/keys", "keys", size, scheme, guarded.key)


def look(
    chromium, url: str, place: str, name: str, size: str, scheme: str, key: str | None = None
) -> None:
    """Open it, take its picture, and judge it; with a key after signing in."""
    shape = {"viewport": SIZES[size], "color_scheme": scheme}
    with opened(chromium, url, refused=REFUSED.get(name, ()), **shape) as page:
        page.goto(place)
        if key:
            page.get_by_label("API key").fill(key)
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        drawn(page)
        keep(page, f"{name}-{size}-{scheme}")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == GROUNDS[scheme]
        assert not scrolls_sideways(page)
        faults = Axe().run(page).response["violations"]
        for fault in faults:
            where = [" ".join(map(str, node["target"])) for node in fault["nodes"]]
            print(f"{fault['impact']}: {fault['id']}: {fault['help']}: {where}")
        assert not [fault["id"] for fault in faults if fault["impact"] in GRAVE]


def keep(page: Page, name: str) -> None:
    """Write the page's picture where pictures are wanted."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
