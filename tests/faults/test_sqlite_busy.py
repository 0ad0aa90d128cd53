"""An SQLite file that somebody else holds locked: the receiver says so (503), and no payment is lost."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.support.installation import Installation, signed_purchase
from tests.support.ledger import assert_ledger_is_sound, balance_of
from tests.support.pace import Pace
from tests.support.processes import wait_until


@pytest.fixture
def database_kind() -> str:
    """PostgreSQL locks rows, not the database."""
    return "sqlite"


def test_a_locked_file_costs_no_payment(installation: Installation, engine: Engine) -> None:
    installation.start_receiver()
    installation.start_worker()
    installation.start_beat()

    with _locked(Path(str(engine.url.database))), Pace() as pace:
        refused = installation.post(signed_purchase("payment"))
    stored = installation.post_until_stored(signed_purchase("payment"))

    assert refused.status == 503
    assert pace.fair(refused.duration_s) < 15
    assert stored.status == 200
    wait_until(lambda: balance_of(engine, "user_1") == 100, what="the credits are there")
    assert_ledger_is_sound(engine)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
