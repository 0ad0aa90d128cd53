"""The pictures of the documents, taken of the real pages: `make screenshots` writes them into docs/images."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from credits.engine import Credits
from tests.support.clock import VirtualClock
from tests.support.host_page import host_page
from tests.support.pages import Stand, serious_faults
from tests.support.pipeline import Pipeline
from tests.support.showroom import ACCOUNT, showroom

pytestmark = [pytest.mark.screenshots, pytest.mark.timeout(300)]

FOLDER: Final = Path(os.environ.get("CREDITGATE_SCREENSHOTS", "docs/images"))
MAX_BYTES: Final = 150_000

DESK: Final = {"viewport": {"width": 1000, "height": 760}}
PHONE: Final = {"viewport": {"width": 390, "height": 800}, "is_mobile": True, "has_touch": True}


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def shown(pipeline: Pipeline, clock: VirtualClock, tmp_path: Path) -> Iterator[tuple[str, Credits]]:
    with showroom(pipeline, clock, tmp_path) as room:
        yield room


def keep(of: Page | Locator, name: str, **options: Any) -> None:
    """Write a picture; it may not weigh a document down."""
    file = FOLDER / f"{name}.png"
    of.screenshot(path=file, animations="disabled", caret="hide", **options)
    assert file.stat().st_size <= MAX_BYTES, f"{file} has {file.stat().st_size} bytes"


def opened(browser: Browser, *, scheme: str = "light", **size: Any) -> Page:
    context = browser.new_context(locale="en-US", color_scheme="dark" if scheme == "dark" else "light", **size)
    return context.new_page()


def test_the_page_in_light_and_dark_and_on_a_phone(shown: tuple[str, Credits], browser: Browser) -> None:
    url, library = shown
    for name, page in {
        "page-light": opened(browser, **DESK),
        "page-dark": opened(browser, scheme="dark", **DESK),
        "page-phone": opened(browser, **PHONE),
    }.items():
        page.goto(library.portal_link(ACCOUNT, return_url="https://northlight.example.com/")[0])
        expect(page.locator("#price")).to_contain_text("$")
        keep(page, name, full_page=name != "page-phone")
        assert serious_faults(page) == []
        if name == "page-light":
            page.goto(f"{url}/portal/history")
            keep(page, "page-history")
        page.context.close()


def test_buying_on_the_page_with_a_fake(stand: Stand, browser: Browser) -> None:
    page = opened(browser, viewport={"width": 760, "height": 560})
    page.goto(stand.link("user_1"))
    page.get_by_label("Amount").fill("150")
    expect(page.locator("#price")).to_contain_text("$15.00")
    page.get_by_label("Pay with").select_option("stripe")
    page.get_by_role("button", name="Continue to payment").click()
    page.get_by_role("button", name="Pay", exact=True).wait_for()
    keep(page, "fake-stripe", full_page=True)
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("were added")
    keep(page, "purchase")
    page.context.close()


def test_the_fake_of_lemon_squeezy(stand: Stand, browser: Browser) -> None:
    page = opened(browser, scheme="dark", viewport={"width": 760, "height": 560})
    page.goto(stand.link("user_2"))
    page.get_by_label("Pay with").select_option("lemonsqueezy")
    page.get_by_role("button", name="Continue to payment").click()
    page.get_by_role("button", name="Pay", exact=True).wait_for()
    keep(page, "fake-lemonsqueezy", full_page=True)
    page.context.close()


def test_the_components_in_a_page_of_an_app(stand: Stand, browser: Browser) -> None:
    stand.grant("user_3", 1480)
    page = opened(browser, viewport={"width": 560, "height": 300})
    with host_page(stand.run.folder, stand.url) as app:
        style = (
            "body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem; } buy-credits { --credits-colour: #0f766e; }"
        )
        app.html = app.html.replace(
            "<h1>", f"<style>{style} credit-balance::part(amount) {{ font-size: 2rem; }}</style><h1>"
        )
        page.goto(app.as_logged_in("user_3"))
        expect(page.locator("credit-balance")).to_contain_text("1,480")
        expect(page.locator("buy-credits")).to_contain_text("$10.00")
        keep(page, "components")
    page.context.close()
