"""`/docs` in a real browser: every route is there, and nobody else's server is asked for anything."""

import threading
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from sqlalchemy import Engine
from werkzeug.serving import make_server

from credits.api.routes import ENDPOINTS
from credits.config.settings import Settings
from tests.support.api import app_on
from tests.support.pages import Watch

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(params=["sqlite"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """The page asks for no data."""
    return str(request.param)


@pytest.fixture
def url(settings: Settings, engine: Engine) -> Iterator[str]:
    app = app_on(settings, engine)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()


def test_the_page_shows_every_route_and_asks_no_other_server(url: str, page: Page) -> None:
    watch = Watch(page)

    page.goto(f"{url}/docs")
    page.wait_for_selector(".opblock")
    shown = page.locator(".opblock").count()
    page.click("#operations-Reservations-reserve .opblock-summary")
    example = page.locator("#operations-Reservations-reserve textarea").input_value()

    assert shown == len(ENDPOINTS)
    assert '"image_generation": 1' in example
    assert watch.elsewhere(url) == set()
    assert watch.said == []


@pytest.mark.parametrize("width", [1280, 320])
def test_what_is_written_there_can_be_read_and_everything_has_a_name(url: str, browser: Browser, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    page.goto(f"{url}/docs")
    page.click("#operations-Reservations-reserve .opblock-summary")
    page.wait_for_selector("#operations-Reservations-reserve textarea[aria-label]")
    # Blocks fade in: what is half there has half a contrast.
    page.wait_for_function("document.getAnimations().every(one => one.playState === 'finished')")

    faults = {fault["id"]: len(fault["nodes"]) for fault in Axe().run(page).response["violations"]}
    whole = page.evaluate("document.documentElement.scrollWidth")
    context.close()

    # Swagger UI has a link in each of its buttons.
    assert faults.keys() & {"color-contrast", "label", "select-name", "landmark-no-duplicate-main"} == set()
    assert whole == width
