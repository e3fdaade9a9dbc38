"""Jobs in a real browser: followed as they go, stopped, and failed with what to do about it."""

import re

import pytest
from playwright.sync_api import expect

from tests.pages.browsing import follow, opened, submit

pytestmark = pytest.mark.slow


def test_a_job_is_cancelled_by_keyboard_while_it_runs(chromium, stand):
    with opened(chromium, stand.url) as page:
        submit(page, stand.large, 24)
        cancel = page.get_by_role("button", name="Cancel")
        cancel.focus()
        for count in (r"[1-9]\d*", r"[2-9]\d"):
            expect(page.get_by_text(re.compile(f"{count} of 48 spectra"))).to_be_visible()
            expect(cancel).to_be_focused()
        expect(page.locator(".state")).to_have_text("running")
        page.keyboard.press("Enter")
        expect(page.locator(".state")).to_have_text("cancelled")
        expect(page.locator(".log")).to_contain_text("cancelled")
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
        expect(page.get_by_role("button", name="Try again")).to_be_visible()
        expect(page.get_by_role("link", name="Open the plan")).to_have_count(0)


def test_a_job_is_followed_to_its_end_without_a_reload(chromium, stand):
    with opened(chromium, stand.url) as page:
        submit(page, stand.llama, 5)
        if "/jobs/" in page.url:
            page.evaluate("window.same = true")
            expect(page.locator(".state")).to_have_text("succeeded")
            assert page.evaluate("window.same") is True
        follow(page)


def test_a_failed_job_says_what_to_do(chromium, stand):
    with opened(chromium, stand.url) as page:
        submit(page, stand.damaged, 4)
        expect(page.locator(".state")).to_have_text("failed")
        box = page.get_by_role("alert")
        expect(box).to_contain_text("the file has only")
        expect(box).to_contain_text("What to do: Fetch the file anew")
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("row", name="Attempt 2")).to_be_visible()
        expect(page.locator(".state")).to_have_text("failed")


def test_a_gated_model_is_refused_before_anything_is_read(chromium, stand):
    with opened(chromium, stand.url, refused=("/",)) as page:
        page.goto("/")
        page.get_by_label("Model", exact=True).fill("org/gated")
        page.keyboard.press("Tab")
        expect(page.locator("#estimate")).to_contain_text("Accept the model's terms")
        page.get_by_role("button", name="Make the plan").click()
        expect(page.locator("main > .problem")).to_contain_text("model_gated")
        expect(page.get_by_label("Model", exact=True)).to_have_value("org/gated")
