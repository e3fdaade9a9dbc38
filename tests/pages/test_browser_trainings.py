"""A training in a real browser: its loss as it arrives, its checkpoints, and its end."""

import pytest
from playwright.sync_api import Page, expect

from tests.pages.browsing import drawn, opened
from tests.pages.stand import DATA, LONG, SHORT, Stand

pytestmark = pytest.mark.slow
LOSSES = """echarts.getInstanceByDom(document.querySelector('.chart')).getOption()
    .series[0].data.map(one => one.value ?? one)"""

EXTENT = """echarts.getInstanceByDom(document.querySelector('.chart')).getModel()
    .getComponent('yAxis', 0).axis.scale.getExtent()"""


def start_training(page: Page, stand: Stand, settings: dict) -> None:
    """From a plan of the tiny model by its form to the page of a training."""
    page.goto(f"/plans/{stand.plan(stand.llama, 5)['id']}")
    page.get_by_role("link", name="Train it").click()
    page.get_by_label("Data to train on").select_option(DATA)
    page.get_by_text("More settings").click()
    lines = [f"{name}={value}" for name, value in settings.items()]
    page.get_by_label("Other fields of the recipe").fill("\n".join(lines))
    page.get_by_role("button", name="Start the training").click()
    page.wait_for_url("**/trainings/trn_*")


def losses(page: Page) -> list[list[float]]:
    """Step and loss of every point that is drawn."""
    expect(page.locator(".chart svg").first).to_be_visible()
    drawn(page)
    return page.evaluate(LOSSES)


def test_a_training_that_has_succeeded_has_an_adapter(chromium, stand):
    with opened(chromium, stand.url) as page:
        start_training(page, stand, SHORT)
        expect(page.locator(".state")).to_have_text("succeeded")
        told = losses(page)
        assert [step for step, _ in told] == [1, 2, 3, 4, 5, 6]
        assert all(loss > 0 for _, loss in told)
        with page.expect_download() as fetched:
            page.get_by_role("link", name="adapter_model.safetensors").click()
        assert fetched.value.path().stat().st_size > 1000
        expect(page.get_by_role("heading", name="On what was held out")).to_be_visible()


def test_loss_arrives_while_it_trains_until_it_is_cancelled(chromium, stand):
    with opened(chromium, stand.url) as page:
        start_training(page, stand, LONG)
        expect(page.get_by_text("No step has been told of yet")).to_be_visible()
        page.evaluate("window.same = true")
        caption = page.locator("figcaption").first
        early = caption.inner_text()
        first = losses(page)
        table = page.locator("details", has_text="The figure as a table").first
        table.locator("summary").click()
        expect(caption).not_to_have_text(early)
        expect(table.get_by_role("table")).to_be_visible()
        expect(table.locator("summary")).to_be_focused()
        assert losses(page)[-1][0] > first[-1][0]
        assert page.evaluate("window.same") is True
        page.get_by_role("button", name="Cancel").click()
        page.wait_for_url("**/jobs/trn_*")
        expect(page.locator(".state")).to_have_text("cancelled")


def test_intervals_of_a_comparison_are_within_their_axes(chromium, stand):
    job = stand.compare(SHORT)
    arms = [arm["loss"] for arm in job["result"]["comparison"]["arms"]]
    with opened(chromium, stand.url) as page:
        page.goto(f"/comparisons/{job['id']}")
        drawn(page)
        low, high = page.evaluate(EXTENT)
    assert low <= min(each["low"] for each in arms)
    assert high >= max(each["high"] for each in arms)
