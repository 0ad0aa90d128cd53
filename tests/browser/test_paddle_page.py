"""The page on which Paddle takes a payment, in a real browser: Paddle.js is a stand-in, for it is on the internet."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect
from sqlalchemy import Engine
from werkzeug.serving import make_server

from credits.clock import system_clock_ms
from credits.config.settings import ProviderAccess, Settings, Tenant
from tests.support.market import SELLING_CONFIG
from webhooks.app import sandbox_app

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True),
]

STAND_IN = """
window.Paddle = {
  Environment: { set: (name) => { window.environment = name } },
  Initialize: (options) => {
    window.token = options.token;
    window.happen = (name) => options.eventCallback({ name });
  },
};
"""
TRANSACTION = "txn_01hv8wptq8987qeep44cyrewp9"


@pytest.fixture
def address(engine: Engine, settings: Settings, tmp_path: Path) -> Iterator[str]:
    access = {(Tenant.SANDBOX, "paddle"): ProviderAccess(api_key="k", client_token="test_token")}
    app = sandbox_app(replace(settings, config_path=SELLING_CONFIG, access=access), engine, system_clock_ms)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/checkout/paddle?_ptxn={TRANSACTION}"
    server.shutdown()
    server.server_close()


def test_paddles_checkout_is_opened_and_what_becomes_of_it_is_said(address: str, page: Page) -> None:
    def stand_in(route: Route) -> None:
        route.fulfill(body=STAND_IN, content_type="text/javascript")

    page.route("https://cdn.paddle.com/paddle/v2/paddle.js", stand_in)
    page.goto(address)
    opened = page.evaluate("[window.environment, window.token]")
    violations = Axe().run(page).response["violations"]

    page.evaluate("window.happen('checkout.closed')")
    closed = page.get_by_role("status").text_content() or ""
    for name in ("checkout.completed", "checkout.closed"):
        page.evaluate(f"window.happen('{name}')")

    assert opened == ["sandbox", "test_token"]
    assert violations == []
    assert "Nothing was charged" in closed
    expect(page.get_by_role("status")).to_contain_text("Thank you")


def test_a_browser_that_blocks_paddle_is_told_so(address: str, page: Page) -> None:
    page.route("https://cdn.paddle.com/**", lambda route: route.abort())

    page.goto(address)

    expect(page.get_by_role("status")).to_contain_text("blocking paddle.com")
