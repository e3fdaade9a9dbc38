"""A page in a real browser: opened and watched, submitted, and read as it is drawn."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, expect

PATIENCE = 60_000
"""Milliseconds, for a busy machine."""

PHONE = {"width": 360, "height": 740}
BARS = """echarts.getInstanceByDom(document.querySelector('.chart')).getOption()
    .series.filter(one => one.type === 'bar')[0].data.map(one => one.value[1])"""
LEFT = ("htmx:sendAbort", "htmx:afterRequest")
"""What htmx tells of a request that was under way when the page was left."""

BUDGET = "Budget of experts over all layers"


@contextmanager
def opened(
    chromium: Browser, url: str, *, refused: Collection[str] = (), **settings
) -> Iterator[Page]:
    """A page of which all that goes wrong and all that it loads is kept, and looked at.

    `refused` are paths that are to answer with an error, which the browser tells of too.
    """
    expect.set_options(timeout=PATIENCE)
    with chromium.new_context(base_url=url, **settings) as context:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        wrong, asked = watched(page)
        yield page
        told = {urlsplit(place).path for place, _ in wrong}
        others = [found for found in wrong if urlsplit(found[0]).path not in refused]
        elsewhere = [
            place for place in asked if not place.startswith((f"{url}/", "data:", "blob:"))
        ]
        assert not others, others
        assert asked, "nothing was loaded"
        assert not elsewhere, elsewhere
        assert told == set(refused), f"refused were {told}"


def watched(page: Page) -> tuple[list[tuple[str, str]], list[str]]:
    """What goes wrong from now on, with where, and every address that is asked for."""
    wrong: list[tuple[str, str]] = []
    asked: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(LEFT):
            wrong.append((message.location["url"], message.text))

    page.on("console", said)
    page.on("pageerror", lambda error: wrong.append(("", str(error))))
    page.on("request", lambda request: asked.append(request.url))
    return wrong, asked


def submit(page: Page, model: object, budget: int) -> None:
    """Fill the form for a new plan in and send it."""
    page.goto("/")
    page.get_by_label("Model", exact=True).fill(str(model))
    page.get_by_label(BUDGET).fill(str(budget))
    page.get_by_role("button", name="Make the plan").click()
    page.wait_for_url(re.compile("/(jobs|plans)/pln_"))


def follow(page: Page) -> None:
    """From the job's page to the plan once it is there; it may have been there at once."""
    if "/jobs/" in page.url:
        expect(page.locator(".state.succeeded")).to_be_visible()
        page.get_by_role("link", name="Open the plan").click()
    page.wait_for_url(re.compile("/plans/pln_"))


def drawn(page: Page) -> None:
    """Wait until every figure of the page is drawn."""
    expect(page.locator("[data-figure]:not(:has(svg))")).to_have_count(0)


def bars(page: Page) -> list[int]:
    """Numbers over the bars, as they are drawn."""
    page.wait_for_selector(".chart svg")
    return [round(value) for value in page.evaluate(BARS)]


def experts(page: Page) -> list[int]:
    """The same numbers in the table."""
    return [int(text) for text in page.locator("td.experts").all_inner_texts()]


def scrolls_sideways(page: Page) -> bool:
    """Whether the page is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")
