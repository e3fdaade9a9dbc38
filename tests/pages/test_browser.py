"""The page in a real browser, against `tailora serve` and the weights of a real model."""

import re
import shutil
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.service.cli_service import serving

playwright_api = pytest.importorskip("playwright.sync_api", reason="needs the extra dev")
expect, sync_playwright = playwright_api.expect, playwright_api.sync_playwright
pytestmark = pytest.mark.slow
PATIENCE = 60_000
"""Milliseconds, for a busy machine."""

PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def chromium():
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no browser: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory, minilm):
    with serving(tmp_path_factory.mktemp("served"), "--models", minilm.parent) as running:
        yield running.url, minilm


@contextmanager
def opened(chromium, url: str, **settings):
    """A page of which all that goes wrong and all that it loads is kept, and looked at."""
    context = chromium.new_context(base_url=url, **settings)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append((message.type, message.text)))
    page.on("pageerror", lambda error: said.append(("error", str(error))))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    assert [text for kind, text in said if kind in ("error", "warning")] == []
    assert asked
    assert [place for place in asked if not place.startswith((f"{url}/", "data:", "blob:"))] == []
    context.close()


def submit(page, model, budget: int) -> None:
    page.goto("/")
    page.get_by_label("Model", exact=True).fill(str(model))
    page.get_by_label("Budget of experts over all layers").fill(str(budget))
    page.get_by_role("button", name="Make the plan").click()
    page.wait_for_url(re.compile("/(jobs|plans)/pln_"))
    if "/jobs/" in page.url:
        expect(page.locator(".state.succeeded")).to_be_visible(timeout=PATIENCE)
        page.get_by_role("link", name="Open the plan").click()


def bars(page) -> list[int]:
    """Numbers over the bars, as they are drawn."""
    page.wait_for_selector(".chart svg")
    option = page.evaluate(
        "echarts.getInstanceByDom(document.querySelector('.chart')).getOption()"
        ".series.filter(one => one.type === 'bar')[0].data.map(one => one.value[1])"
    )
    return [round(value) for value in option]


def test_from_the_form_to_bars_and_to_another_budget(chromium, service):
    url, model = service
    with opened(chromium, url) as page:
        page.goto("/")
        page.get_by_label("Model", exact=True).fill(str(model))
        page.keyboard.press("Tab")
        expect(page.locator("#estimate")).to_contain_text("Matrices", timeout=PATIENCE)
        submit(page, model, 30)
        assert bars(page) == [5, 5, 5, 4, 5, 6]
        page.get_by_label("Budget of experts over all layers").fill("48")
        page.keyboard.press("Tab")
        expect(page.locator("#total")).to_have_text("48", timeout=PATIENCE)
        other = bars(page)
        assert sum(other) == 48
        texts = page.locator("td.experts").all_inner_texts()
        assert [int(text) for text in texts] == other
        assert "/plans/pln_" in page.url
        page.get_by_label("Method").select_option("uniform")
        expect(page.locator("#plan")).to_contain_text("experts by uniform", timeout=PATIENCE)
        assert bars(page) == [8] * 6


def test_from_a_point_to_its_spectrum(chromium, service):
    url, model = service
    with opened(chromium, url) as page:
        submit(page, model, 30)
        page.get_by_role("link", name="Its analysis").click()
        page.wait_for_selector(".chart svg")
        place, name = page.evaluate(
            """() => {
              const box = document.querySelector('.chart');
              const chart = echarts.getInstanceByDom(box);
              const series = chart.getOption().series;
              const at = series.findIndex(one => one.type === 'scatter' && one.data.length);
              const point = series[at].data[0];
              const [x, y] = chart.convertToPixel({seriesIndex: at}, point.value);
              return [[x, y], point.name];
            }"""
        )
        page.locator(".chart").first.click(position={"x": place[0], "y": place[1]})
        expect(page.locator("#esd h2")).to_contain_text("Spectrum of ")
        page.wait_for_selector("#esd .chart svg")
        chosen = page.locator("#esd h2").inner_text().removeprefix("Spectrum of ")
        assert chosen.split(".")[:3] == name.split(".")[:3]  # a neighbour may lie on top of it
        assert parse_qs(urlsplit(page.url).query)["matrix"] == [chosen]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(chromium, service, scheme):
    url, model = service
    with opened(chromium, url, viewport=PHONE, color_scheme=scheme) as page:
        submit(page, model, 30)
        plan = page.url
        page.wait_for_selector(".chart svg")
        for place in ("/", "/history", "/about", plan, plan.replace("/plans/", "/jobs/")):
            page.goto(place)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], place
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme]


def test_without_scripts_by_keyboard(chromium, service):
    url, model = service
    with opened(chromium, url, java_script_enabled=False) as page:
        page.goto("/")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        page.get_by_label("Model", exact=True).fill(str(model))
        page.get_by_label("Budget of experts over all layers").fill("24")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("/(jobs|plans)/pln_"))
        if "/jobs/" in page.url:
            expect(page.locator(".state.succeeded")).to_be_visible(timeout=PATIENCE)
            page.get_by_role("link", name="Open the plan").click()
        assert sum(int(text) for text in page.locator("td.experts").all_inner_texts()) == 24
