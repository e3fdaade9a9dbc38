"""Signing in with a real browser, where keys are asked for."""

import pytest
from playwright.sync_api import expect

from tests.pages.browsing import opened

pytestmark = pytest.mark.slow


def test_signed_in_and_out(chromium, guarded):
    asked = "/history?kind=analysis"
    with opened(chromium, guarded.url, refused=("/history", "/sign-in")) as page:
        page.goto(asked)
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        expect(page.get_by_role("heading", name="History")).to_have_count(0)
        page.get_by_label("API key").fill(guarded.key[:-1])
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("this is no valid key")
        page.get_by_label("API key").fill(guarded.key)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="History")).to_be_visible()
        assert page.url == guarded.url + asked
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Sign out").click()
        page.goto("/history")
        expect(page.get_by_label("API key")).to_be_visible()
