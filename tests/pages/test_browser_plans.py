"""Plans in a real browser, of the weights of a real model."""

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.pages.browsing import BUDGET, bars, experts, follow, opened, submit

pytestmark = pytest.mark.slow
POINT = """() => {
  const chart = echarts.getInstanceByDom(document.querySelector('.chart'));
  const series = chart.getOption().series;
  const at = series.findIndex(one => one.type === 'scatter' && one.data.length);
  const point = series[at].data[0];
  const [x, y] = chart.convertToPixel({seriesIndex: at}, point.value);
  return [{x, y}, point.name];
}"""


def test_from_the_form_to_bars_and_to_another_budget(chromium, stand):
    with opened(chromium, stand.url) as page:
        page.goto("/")
        page.get_by_label("Model", exact=True).fill(str(stand.minilm))
        page.keyboard.press("Tab")
        expect(page.locator("#estimate")).to_contain_text("Matrices")
        submit(page, stand.minilm, 30)
        follow(page)
        assert bars(page) == [5, 5, 5, 4, 5, 6]
        first = page.url
        for budget in (48, 13):
            page.get_by_label(BUDGET).fill(str(budget))
            page.keyboard.press("Tab")
            expect(page.locator("#total")).to_have_text(str(budget))
            assert sum(bars(page)) == budget
            assert experts(page) == bars(page)
        assert page.url != first
        page.get_by_label("Method").select_option("uniform")
        expect(page.locator("#plan")).to_contain_text("experts by uniform")
        assert sorted(bars(page)) == [2, 2, 2, 2, 2, 3]
        page.get_by_label(BUDGET).fill("5")
        page.keyboard.press("Tab")
        expect(page.get_by_role("alert")).to_contain_text("What to do: Raise the budget")
        assert sum(bars(page)) == 13


def test_from_a_point_to_its_spectrum(chromium, stand):
    with opened(chromium, stand.url) as page:
        page.goto(f"/plans/{stand.plan(stand.minilm, 30)['id']}")
        page.get_by_role("link", name="Its analysis").click()
        page.wait_for_selector(".chart svg")
        place, name = page.evaluate(POINT)
        page.locator(".chart").first.click(position=place)
        expect(page.locator("#esd h2")).to_contain_text("Spectrum of ")
        page.wait_for_selector("#esd .chart svg")
        chosen = page.locator("#esd h2").inner_text().removeprefix("Spectrum of ")
        assert chosen.split(".")[:3] == name.split(".")[:3]  # a neighbour may lie on top of it
        assert parse_qs(urlsplit(page.url).query)["matrix"] == [chosen]


def test_without_scripts_all_of_it_is_forms_and_tables(chromium, stand):
    with opened(chromium, stand.url, java_script_enabled=False) as page:
        submit(page, stand.minilm, 24)
        follow(page)
        assert sum(experts(page)) == 24
        page.get_by_label(BUDGET).fill("31")
        page.get_by_role("button", name="Plan again").click()
        expect(page.locator("#total")).to_have_text("31")
        assert sum(experts(page)) == 31
        expect(page.get_by_role("button", name="Copy")).to_have_count(0)
        page.get_by_role("link", name="Its analysis").click()
        page.get_by_role("region", name="Matrices").get_by_role("link").first.click()
        expect(page.locator("#esd")).to_contain_text("Spectrum of ")
        page.locator("#esd summary").click()
        expect(page.locator("#esd tbody tr").first).to_be_visible()
        page.goto(f"/?model={stand.minilm}")
        expect(page.locator("#estimate")).to_contain_text("Matrices")


def test_by_keyboard_alone(chromium, stand):
    with opened(chromium, stand.url) as page:
        keys = page.keyboard
        page.goto("/")
        keys.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        keys.press("Enter")
        keys.press("Tab")
        expect(page.get_by_label("Model", exact=True)).to_be_focused()
        keys.type(str(stand.minilm))
        _tab_to(page, BUDGET)
        keys.type("18")
        keys.press("Enter")
        follow_by_keys(page)
        _tab_to(page, BUDGET)
        keys.press("ControlOrMeta+a")
        keys.type("42")
        keys.press("Enter")
        expect(page.locator("#total")).to_have_text("42")
        assert sum(bars(page)) == 42


def follow_by_keys(page) -> None:
    """As `follow`, without a pointer."""
    page.wait_for_url("**/*pln_*")
    if "/jobs/" in page.url:
        expect(page.locator(".state.succeeded")).to_be_visible()
        _tab_to(page, "Open the plan")
        page.keyboard.press("Enter")
    page.wait_for_url("**/plans/pln_*")


def _tab_to(page, name: str) -> None:
    """Press Tab until the element of that name has the focus, which it shows."""
    target = page.get_by_label(name, exact=True).or_(page.get_by_role("link", name=name))
    for _ in range(40):
        page.keyboard.press("Tab")
        if target.evaluate("one => one === document.activeElement"):
            outline = target.evaluate("one => getComputedStyle(one).outlineStyle")
            assert outline != "none"
            return
    pytest.fail(f"Tab never leads to {name}")


def test_a_service_that_does_not_answer_is_told(chromium, stand):
    place, refused = f"/plans/{stand.plan(stand.minilm, 30)['id']}", []
    with opened(chromium, stand.url, refused=refused) as page:
        page.goto(place)
        page.route("**/again*", lambda route: route.abort())
        page.get_by_label(BUDGET).fill("31")
        page.keyboard.press("Tab")
        expect(page.get_by_role("alert")).to_contain_text("does not answer")
        page.unroute("**/again*")
        page.get_by_label(BUDGET).fill("32")
        page.keyboard.press("Tab")
        expect(page.locator("#total")).to_have_text("32")
        expect(page.locator("#failed")).to_be_hidden()
        refused += [f"{place}/again", "/static/vendor/htmx-2.0.11.min.js"]
