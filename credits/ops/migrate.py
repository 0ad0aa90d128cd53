"""Brings the database's tables to the version this code works with; any number of processes may try at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from credits.db import open_engine
from credits.errors import ConfigError, DependencyError

WAIT_S: Final = 300
"""How long a process waits for another one that is migrating the same database."""

# Any number that no other program locks in this database: "crdtgate" read as an integer.
_ADVISORY_LOCK: Final = int.from_bytes(b"crdtgate", "big")


def migrate(database_url: str, *, revision: str = "head") -> None:
    """
    Upgrade the database's tables to `revision` in one transaction. Safe to repeat, and in several processes at once.

    The folder of an SQLite file is made if it is missing; a PostgreSQL database has to exist.

    Raises:
        ConfigError: the database is in memory, or newer code has migrated it.
        DependencyError: another process has been migrating it for five minutes.
    """
    _run(database_url, lambda config: command.upgrade(config, revision))


def downgrade(database_url: str, *, revision: str) -> None:
    """Take the tables back to `revision` (`base`: to none). What only the newer tables hold is lost."""
    _run(database_url, lambda config: command.downgrade(config, revision))


def pending_migrations(engine: Engine) -> bool:
    """
    Whether the database lacks a migration that this code needs.

    A database that newer code has migrated lacks none: a migration leaves the code before it working.
    """
    head, known = _revisions()
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    return current != head and (current is None or current in known)


def _run(database_url: str, step: Callable[[Config], None]) -> None:
    _refuse_memory(database_url)
    engine = open_engine(database_url, pool_size=1, statement_s=0)
    exclusive = _sqlite_alone if engine.dialect.name == "sqlite" else _postgres_alone
    try:
        with exclusive(engine) as connection:
            _refuse_newer(connection)
            config = _config()
            config.attributes["connection"] = connection
            step(config)
    finally:
        engine.dispose()


@contextmanager
def _sqlite_alone(engine: Engine) -> Iterator[Connection]:
    file = str(engine.url.database)
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{file}.migrating", timeout=WAIT_S), engine.connect() as connection:
            # Outside of the transaction, where alone it has an effect: a table that is built anew is dropped
            # for a moment while others refer to it.
            connection.connection.cursor().execute("PRAGMA foreign_keys = OFF")
            with connection.begin():
                yield connection
                _refuse_orphans(connection)
    except Timeout:
        raise DependencyError(f"another process has been migrating {file} for {WAIT_S} s") from None


@contextmanager
def _postgres_alone(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WAIT_S}s'")
        try:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
        except OperationalError as error:
            raise DependencyError(f"another process has been migrating this database for {WAIT_S} s") from error
        # A migration that queues for a table's lock makes every query on it queue behind: give up soon.
        connection.exec_driver_sql("SET LOCAL lock_timeout = '10s'")
        yield connection


def _refuse_orphans(connection: Connection) -> None:
    orphan = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if orphan is not None:
        raise ConfigError({f"database table {orphan[0]}": f"row {orphan[1]} refers to no row of {orphan[2]}"})


def _refuse_memory(database_url: str) -> None:
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        raise ConfigError({"database_url": "must name an SQLite file; a database in memory is gone once migrated"})


def _refuse_newer(connection: Connection) -> None:
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in _revisions()[1]:
        reason = f"its tables are at revision {current}, which this version does not know; install the newer version"
        raise ConfigError({"database": reason})


@cache
def _revisions() -> tuple[str | None, frozenset[str]]:
    """The newest revision, and all of them."""
    scripts = ScriptDirectory.from_config(_config())
    return scripts.get_current_head(), frozenset(script.revision for script in scripts.walk_revisions())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "credits:migrations")
    return config
