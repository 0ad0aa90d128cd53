"""The fixtures. pytest imports this file in every run of everybody who has Creditgate: it must stay light."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from credits.engine import Credits
    from credits.ops.lifecycle.sandbox import Sandbox
    from credits.simulation.clock import VirtualClock
    from credits.testing.provider import SimulatedProvider
    from credits.testing.webhooks import Webhooks


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the fixtures find what is sold."""
    parser.addini("credits_config", "credits.toml of the tests, below pytest's rootdir", default="credits.toml")


@pytest.fixture(scope="session")
def credits_config(pytestconfig: pytest.Config) -> Path:
    """The credits.toml that the sandbox sells by: the ini option `credits_config`. Override it to use another."""
    file = pytestconfig.rootpath / str(pytestconfig.getini("credits_config"))
    if not file.is_file():
        pytest.fail(f"there is no {file}; set `credits_config` in pytest's configuration, or override the fixture")
    return file


@pytest.fixture(scope="session")
def credits_redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis for this run, emptied for each sandbox. Override it to use a server that you have."""
    from credits.ops.lifecycle.sandbox import temporary_redis

    with temporary_redis(tmp_path_factory.mktemp("credits-redis")) as url:
        yield url


@pytest.fixture(scope="session")
def credits_migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with all tables and no rows, which each sandbox copies."""
    from credits.ops.migrate import migrate

    file = tmp_path_factory.mktemp("credits-database") / "migrated.sqlite3"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def credits_clock() -> "VirtualClock":
    """The sandbox's time: 15 January 2026, noon UTC, until you move it with `set_ms` or `advance_ms`."""
    from credits.simulation.clock import VirtualClock

    return VirtualClock()


@pytest.fixture
def credits_sandbox(
    credits_config: Path, credits_redis_url: str, credits_migrated_database: Path, credits_clock: "VirtualClock"
) -> "Iterator[Sandbox]":
    """A running engine of this test's own: receiver, inbox, ledger, gate, and `work()` for what workers do."""
    from credits.ops.lifecycle.sandbox import sandbox
    from webhooks.app import sandbox_app
    from webhooks.providers import REGISTRY

    with sandbox(
        credits_config,
        REGISTRY,
        sandbox_app,
        clock=credits_clock,
        redis_url=credits_redis_url,
        migrated=credits_migrated_database,
    ) as running:
        yield running


@pytest.fixture
def credits_library(credits_sandbox: "Sandbox") -> "Credits":
    """The library over the sandbox, as `Credits.from_env()` would give it to your app."""
    return credits_sandbox.credits


@pytest.fixture
def credits_webhook(credits_sandbox: "Sandbox") -> "Webhooks":
    """`credits_webhook("stripe", "invoice.paid", account="user_1", ...)` posts a signed webhook to the sandbox."""
    from credits.testing.webhooks import Webhooks

    return Webhooks(sandbox=credits_sandbox)


@pytest.fixture
def credits_provider(credits_sandbox: "Sandbox") -> "Callable[..., SimulatedProvider]":
    """`credits_provider("stripe", "user_1", disorder=BAD)`: an account at a simulated provider."""
    from credits.simulation.account import ProviderAccount
    from credits.simulation.post import ORDERLY, Disorder
    from credits.testing.provider import SimulatedProvider

    def make(
        provider: str, account: str, *, api_version: str | None = None, disorder: Disorder = ORDERLY
    ) -> SimulatedProvider:
        reference = credits_sandbox.reference(provider, account)
        there: Any = ProviderAccount(
            provider=provider, account=account, api_version=api_version, client_reference=reference
        )
        return SimulatedProvider(sandbox=credits_sandbox, account=there, disorder=disorder)

    return make
