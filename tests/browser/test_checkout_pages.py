"""Buy on a laptop: `credits dev`, a real browser, the checkout pages of the fakes, and the credits in the balance."""

import json
import subprocess
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.support.dev import COMMAND, DevRun, clean_environment
from tests.support.pages import Stand, serious_faults
from tests.support.processes import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def run(stand: Stand) -> DevRun:
    return stand.run


def credits_command(run: DevRun, *arguments: str) -> dict[str, Any]:
    """What the command prints as JSON."""
    done = subprocess.run(
        [*COMMAND, *arguments, "--json"], cwd=run.folder, env=clean_environment(), capture_output=True, check=True
    )
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def checkout(stand: Stand, account: str, provider: str) -> dict[str, Any]:
    """A checkout of 100 credits, as an app makes it."""
    order = {"account": account, "credit_type": "image_generation", "amount": 100, "provider": provider}
    return stand.post("/checkouts", order)


@pytest.mark.parametrize("provider", ["stripe", "lemonsqueezy", "paddle"])
def test_a_click_on_pay_brings_the_credits(stand: Stand, run: DevRun, page: Page, provider: str) -> None:
    account = f"buyer_{provider}"
    made = checkout(stand, account, provider)

    page.goto(made["checkout_url"])
    violations = Axe().run(page).response["violations"]
    page.get_by_role("button", name="declined").click()
    declined = page.get_by_role("status").text_content()
    page.get_by_role("button", name="Pay", exact=True).click()

    assert page.url == f"{run.url}/checkout/done"
    assert "Thank you" in (page.text_content("h1") or "")
    assert "declined" in (declined or "")
    assert violations == []
    wait_until(lambda: run.balance(account) == 100, what="the credits are there")
    assert stand.get(f"/purchases/{made['purchase_id']}")["state"] == "credited"


def test_what_happens_next_is_decided_on_the_page(run: DevRun, page: Page) -> None:
    made = credits_command(run, "checkout", "buyer_late", "image_generation", "100")
    page.goto(made["checkout_url"])
    page.get_by_role("button", name="Pay by bank transfer").click()
    page.goto(made["checkout_url"])

    page.get_by_role("button", name="The money arrives").click()

    wait_until(lambda: run.balance("buyer_late") == 100, what="the money has arrived")
    assert page.get_by_role("button", name="Refund all").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_the_fakes_and_where_one_lands(
    stand: Stand, run: DevRun, browser: Browser, scheme: str
) -> None:
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    found = {}
    for provider in ("stripe", "lemonsqueezy"):
        account = f"axe_{provider}_{scheme}"
        made = checkout(stand, account, provider)
        page.goto(made["checkout_url"])
        found[f"{provider}, open"] = serious_faults(page)
        page.get_by_role("button", name="declined").click()
        found[f"{provider}, declined"] = serious_faults(page)
        page.get_by_role("button", name="Pay", exact=True).click()
        found["done"] = serious_faults(page)
        page.goto(made["checkout_url"])
        found[f"{provider}, paid"] = serious_faults(page)
    for address in (f"{run.url}/checkout/cancelled", made["checkout_url"].partition("/lemonsqueezy")[0]):
        page.goto(address)
        found[address] = serious_faults(page)
    context.close()

    assert {place: faults for place, faults in found.items() if faults} == {}
