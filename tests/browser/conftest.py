"""One `credits dev` and one Chromium for all that is looked at; a context of its own (cookies, size) for each test."""

import os
import shutil
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from credits.ops.dev.start import EXAMPLE_CONFIG
from tests.support.dev import dev_run
from tests.support.pages import Stand
from tests.support.processes import PATIENCE_S

_BRAND: Final = '\n[portal]\nname = "Acme <Studio>"\ncolour = "#0f766e"\n\n[checkout]\nallowed_hosts = ["localhost"]\n'


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """What `credits dev` would begin with, with a brand and a host to come back to."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "credits.toml").write_text(EXAMPLE_CONFIG.read_text() + _BRAND)
    with dev_run(folder) as run:
        yield Stand(run)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=1_000 * PATIENCE_S)
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
