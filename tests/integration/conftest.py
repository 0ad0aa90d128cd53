"""Fixtures of the tests that run on real databases."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from credits.allocation.model import Runtime
from credits.db import metadata
from credits.redis_client import open_redis
from credits.reservations.gate import Gate
from credits.reservations.steps import GateRuntime
from tests.support.pipeline import Pipeline
from tests.support.postgres import PostgresServer


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """
    A migrated, empty database; the test runs on SQLite and on PostgreSQL.

    A copy of a file, and one PostgreSQL database that is emptied for each test: to make one takes ten times as long.
    """
    if database_kind == "sqlite":
        file = tmp_path / "creditgate.sqlite3"
        shutil.copy(request.getfixturevalue("migrated_sqlite_file"), file)
        return f"sqlite:///{file}"
    url: str = request.getfixturevalue("shared_postgres_url")
    empty(url)
    return url


@pytest.fixture(scope="session")
def shared_postgres_url(postgres_server: PostgresServer, migrated_postgres_template: str) -> Iterator[str]:
    """A PostgreSQL database that the tests of one worker process use one after the other."""
    yield postgres_server.create_database("shared_by_tests", template=migrated_postgres_template)
    postgres_server.drop_database("shared_by_tests")


@pytest.fixture
def gate(runtime: Runtime, redis_url: str) -> Iterator[GateRuntime]:
    """The gate on an empty Redis, at the time of the test's clock."""
    client = open_redis(redis_url)
    yield GateRuntime(gate=Gate(client), engine=runtime.engine, clock=runtime.clock, is_virtual=True)
    client.close()


@pytest.fixture
def pipeline(runtime: Runtime, gate: GateRuntime) -> Pipeline:
    """Inbox, allocation, ledger and gate of the sandbox, once per database."""
    return Pipeline(runtime=runtime, gate=gate)


def empty(postgres_url: str) -> None:
    """Delete every row, also of the tables that refuse it."""
    with psycopg.connect(postgres_url) as connection:
        # As a replica would, without triggers and foreign keys.
        connection.execute("SET session_replication_role = replica")
        for table in metadata.tables:
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
