"""RabbitMQ does as the broker: payments are credited at once, and after a kill each exactly once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.support.installation import Installation, signed_purchase
from tests.support.ledger import assert_ledger_is_sound, balance_of
from tests.support.pace import Pace
from tests.support.processes import wait_until
from tests.support.rabbitmq import RabbitServer, find_rabbitmq, rabbit_server


@pytest.fixture
def database_kind() -> str:
    """RabbitMQ is for sites that have outgrown SQLite."""
    return "postgresql"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RabbitServer]:
    """A RabbitMQ of this test's own."""
    program = find_rabbitmq()
    assert program is not None
    with rabbit_server(tmp_path / "rabbitmq", program) as server:
        yield server


@pytest.fixture
def installation(database_url: str, redis_url: str, broker: RabbitServer, tmp_path: Path) -> Iterator[Installation]:
    """A whole installation with RabbitMQ as its broker, and Redis for the gate."""
    folder = tmp_path / "installation"
    with Installation(folder, database_url=database_url, broker_url=broker.url, redis_url=redis_url) as installation:
        installation.start_receiver()
        installation.start_worker()
        yield installation


def test_the_message_brings_the_credits_without_a_sweep(installation: Installation, engine: Engine) -> None:
    for number in range(20):
        assert installation.post(signed_purchase(f"payment-{number}")).status == 200

    wait_until(lambda: balance_of(engine, "user_1") == 2000, what="all credits are there")
    assert_ledger_is_sound(engine)


def test_a_killed_rabbitmq_costs_no_payment(installation: Installation, broker: RabbitServer, engine: Engine) -> None:
    installation.start_beat()

    broker.kill()
    with Pace() as pace:
        answers = [installation.post(signed_purchase(f"payment-{number}")) for number in range(20)]
    broker.start()

    assert {answer.status for answer in answers} == {200}
    assert max(pace.fair(answer.duration_s) for answer in answers) < 1.0
    wait_until(lambda: balance_of(engine, "user_1") == 2000, what="all credits are there")
    assert_ledger_is_sound(engine)
