"""One `credits dev` and one Chromium for all that is looked at; a context of its own (cookies, size) for each test."""

import os
import shutil
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.dev import dev_run
from tests.support.pages import Stand

_BRAND: Final = '[portal]\nname = "Acme <Studio>"\ncolour = "#0f766e"\n\n[checkout]\nallowed_hosts = ["localhost"]\n'


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("pages")
    with dev_run(folder) as first:
        first.stop()
    # What `credits dev` wrote, with a brand and a host to come back to.
    with (folder / "credits.toml").open("a") as config:
        config.write(f"\n{_BRAND}")
    with dev_run(folder) as run:
        yield Stand(run)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = os.environ.get("CREDITGATE_TEST_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh visitor in English."""
    context = browser.new_context(locale="en-US")
    yield context.new_page()
    context.close()
