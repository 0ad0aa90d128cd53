"""Without its database the receiver says so (503), and what the provider sends again is credited once."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from credits.ops.migrate import migrate
from tests.support.installation import Installation, signed_purchase
from tests.support.ledger import assert_ledger_is_sound, balance_of
from tests.support.pace import Pace
from tests.support.postgres import PostgresServer, postgres_folder
from tests.support.processes import wait_until


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of this test's own that keeps what it has acknowledged, whatever kills it."""
    with postgres_folder() as folder:
        server = PostgresServer(folder, durable=True)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def database_url(postgres: PostgresServer) -> str:
    """A migrated database on the server that the tests here kill. (SQLite has no server; its test is the last one.)"""
    url = postgres.create_database("creditgate")
    migrate(url)
    return url


def test_a_killed_postgres_costs_no_payment(
    installation: Installation, postgres: PostgresServer, engine: Engine
) -> None:
    """Errors are answered 200, and the provider never sends again (octopus #577)."""
    installation.start_receiver()
    installation.start_worker()
    installation.start_beat()
    assert installation.post(signed_purchase("before")).status == 200

    postgres.kill()
    refused = [installation.post(signed_purchase(f"payment-{number}")) for number in range(10)]
    postgres.start()
    stored = [installation.post_until_stored(signed_purchase(f"payment-{number}")) for number in range(10)]

    assert {answer.status for answer in refused} == {503}
    assert {answer.status for answer in stored} == {200}
    wait_until(lambda: balance_of(engine, "user_1") == 1100, what="all credits are there")
    assert_ledger_is_sound(engine)


@pytest.mark.slow
def test_a_frozen_postgres_is_given_up_on_and_costs_no_payment(
    installation: Installation, postgres: PostgresServer, engine: Engine
) -> None:
    installation.start_receiver()
    installation.start_worker()
    installation.start_beat()
    assert installation.post(signed_purchase("before")).status == 200

    postgres.freeze()
    with Pace() as pace:
        refused = installation.post(signed_purchase("payment"))
    postgres.thaw()
    stored = installation.post_until_stored(signed_purchase("payment"))

    assert refused.status == 503
    assert pace.fair(refused.duration_s) < 20
    assert stored.status == 200
    wait_until(lambda: balance_of(engine, "user_1") == 200, what="all credits are there")
    assert_ledger_is_sound(engine)
