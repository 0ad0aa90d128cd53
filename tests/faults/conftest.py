"""Fixtures of the fault tests: a whole installation in real processes, and a broker to kill."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.support.valkey import ValkeyServer


@pytest.fixture
def database_url(own_database_url: str) -> str:
    """What a test kills may hold on to its database for a while."""
    return own_database_url


@pytest.fixture(autouse=True)
def gives_up_in_time(impatient: None) -> None:
    """The process that a fault meets may be this one."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A broker of this test's own, without persistence: killed, it has forgotten everything."""
    server = ValkeyServer(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def installation(database_url: str, broker: ValkeyServer, tmp_path: Path) -> Iterator[Installation]:
    """An installation of which nothing has been started yet; the test runs on SQLite and on PostgreSQL."""
    folder = tmp_path / "installation"
    with Installation(folder, database_url=database_url, broker_url=broker.url) as installation:
        yield installation
