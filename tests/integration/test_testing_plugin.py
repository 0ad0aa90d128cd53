"""The pytest plugin, used as people who installed the package use it."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from credits.db import transaction
from credits.errors import InvalidInputError, UnknownProviderError
from credits.ops.lifecycle.sandbox import Sandbox
from credits.simulation.clock import NOON_MS
from credits.simulation.post import Fate
from credits.testing import SimulatedProvider, Webhooks, assert_books_balance
from tests.support.cluster import ValkeyCluster
from tests.support.library import TYPE
from tests.support.valkey import ValkeyServer

REPOSITORY = Path(__file__).parents[2]
HEAVY = ("sqlalchemy", "flask", "celery", "redis", "stripe", "alembic", "webhooks")


@pytest.fixture(scope="session")
def credits_config() -> Path:
    return REPOSITORY / "tests" / "support" / "credits.toml"


@pytest.fixture(scope="session")
def credits_redis_url(valkey_server: ValkeyServer | ValkeyCluster) -> str:
    return valkey_server.url


@pytest.fixture(scope="session")
def credits_migrated_database(migrated_sqlite_file: Path) -> Path:
    return migrated_sqlite_file


def test_the_plugin_imports_nothing_heavy() -> None:
    code = f"import sys, credits.testing.plugin; print([name for name in {HEAVY} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)

    assert done.stdout.strip() == "[]"


def test_a_webhook_is_posted_processed_and_known_again(credits_sandbox: Sandbox, credits_webhook: Webhooks) -> None:
    bought = {"account": "ada", "credit_type": TYPE, "amount": 10, "payment": "p1", "delivery": "d1"}

    statuses = [credits_webhook("stripe", "checkout.session.completed", **bought) for _ in range(2)]

    assert statuses == [200, 200]
    assert credits_sandbox.credits.balances("ada")[TYPE].available == 10
    assert_books_balance(credits_sandbox)


def test_a_webhook_with_another_secret_is_refused(credits_sandbox: Sandbox, credits_webhook: Webhooks) -> None:
    forged = credits_webhook.signed("lemonsqueezy", "order_created", secret=b"another")

    assert credits_sandbox.target("lemonsqueezy").post(forged) == 400


def test_what_cannot_be_sent_is_named(credits_webhook: Webhooks) -> None:
    with pytest.raises(InvalidInputError, match="event_type"):
        credits_webhook("stripe", "invoice.eaten")
    with pytest.raises(UnknownProviderError, match="paypal"):
        credits_webhook("paypal", "sale")


def test_books_that_were_cooked_do_not_balance(credits_sandbox: Sandbox, credits_webhook: Webhooks) -> None:
    credits_webhook("stripe", "checkout.session.completed", account="ada", credit_type=TYPE, amount=10)
    with transaction(credits_sandbox.engine) as connection:
        connection.execute(text("UPDATE balances SET balance = balance + 1"))

    with pytest.raises(AssertionError, match="do not balance"):
        assert_books_balance(credits_sandbox)


def test_a_simulated_provider_moves_the_clock_and_delivers_only_what_is_new(
    credits_provider: Callable[..., SimulatedProvider], credits_sandbox: Sandbox
) -> None:
    shop = credits_provider("lemonsqueezy", "ada")
    shop.account.purchase("p1", TYPE, 10, paid_minor=100, at_ms=NOON_MS + 60_000)

    first, second = shop.deliver(), shop.deliver(until_ms=NOON_MS + 120_000)

    assert [one.fate for one in first] == [Fate.DELIVERED]
    assert second == []
    assert credits_sandbox.clock() == NOON_MS + 120_000
    assert credits_sandbox.credits.balances("ada")[TYPE].available == 10


def test_accounts_at_paddle_are_signed_and_purchases_quoted_without_being_asked(
    credits_provider: Callable[..., SimulatedProvider], credits_webhook: Webhooks, credits_sandbox: Sandbox
) -> None:
    shop = credits_provider("paddle", "ada")
    shop.account.purchase("p1", TYPE, 10, paid_minor=100, at_ms=NOON_MS + 60_000)

    shop.deliver()
    credits_webhook("paddle", "transaction.completed", account="bob", credit_type=TYPE, amount=20, quote_id="quote-1")

    found = credits_sandbox.credits
    assert (found.balances("ada")[TYPE].available, found.balances("bob")[TYPE].available) == (10, 20)


@pytest.mark.proof
def test_the_example_of_the_document_passes_outside_of_this_repository(tmp_path: Path) -> None:
    folder = shutil.copytree(REPOSITORY / "examples" / "testing", tmp_path / "app")
    argv = [sys.executable, "-m", "pytest", "--rootdir", ".", "-q", "-p", "no:cacheprovider"]

    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=100, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout
