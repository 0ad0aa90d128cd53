"""Migrations end in the tables the code declares, on both databases, whoever runs them and however often."""

import multiprocessing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, Table, inspect, text
from sqlalchemy.exc import DBAPIError

from credits.audit_log import audit_log
from credits.db import open_engine, transaction
from credits.errors import ConfigError
from credits.ledger.tables import accounts, entries, entry_lots, grants
from credits.migrations.all_tables import metadata
from credits.ops.migrate import downgrade, migrate, pending_migrations

_ROWS: Mapping[Table, Mapping[str, Any]] = {
    accounts: {"id": 1, "external_id": "user_1", "sv": 0, "created_at_ms": 1},
    grants: {
        "id": 1,
        "account_id": 1,
        "credit_type": "image",
        "amount": 5,
        "remaining": 5,
        "source": "manual",
        "source_ref": "r",
        "priority": 0,
        "effective_at_ms": 1,
        "key": "k",
        "created_at_ms": 1,
    },
    entries: {
        "id": 1,
        "account_id": 1,
        "credit_type": "image",
        "seq": 1,
        "kind": "grant",
        "amount": 5,
        "balance_after": 5,
        "debt_after": 0,
        "key": "k",
        "fingerprint": "f",
        "actor": "a",
        "reason": "r",
        "meta": {},
        "at_ms": 1,
    },
    entry_lots: {"entry_id": 1, "grant_id": 1, "amount": 5},
    audit_log: {"actor": "a", "action": "x", "subject": "s", "reason": "r", "detail": {}, "at_ms": 1},
}


def test_the_migrated_tables_are_those_the_code_declares(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        differences = compare_metadata(context, metadata)

    assert differences == []


def test_migrating_makes_what_the_declared_tables_would_make(engine: Engine, empty_database_url: str) -> None:
    declared = open_engine(empty_database_url)
    if declared.dialect.name == "sqlite":
        _make_folder(empty_database_url)
    metadata.create_all(declared)

    expected, found = _structure(declared), _structure(engine)

    declared.dispose()
    assert found == expected


def test_down_to_nothing_and_up_again(empty_database_url: str) -> None:
    migrate(empty_database_url)
    engine = open_engine(empty_database_url)

    downgrade(empty_database_url, revision="base")
    left = set(inspect(engine).get_table_names())
    migrate(empty_database_url)

    assert left == {"alembic_version"}
    assert not pending_migrations(engine)
    engine.dispose()


def test_a_database_has_migrations_pending_until_it_is_migrated(empty_database_url: str) -> None:
    engine = open_engine(empty_database_url)
    if engine.dialect.name == "sqlite":
        _make_folder(empty_database_url)

    before = pending_migrations(engine)
    migrate(empty_database_url)
    migrate(empty_database_url)

    assert before
    assert not pending_migrations(engine)
    engine.dispose()


def test_processes_that_migrate_at_once_all_succeed(empty_database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=migrate, args=(empty_database_url,)) for _ in range(3)]

    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0, 0]
    engine = open_engine(empty_database_url)
    assert not pending_migrations(engine)
    engine.dispose()


@pytest.mark.parametrize("table", [entries, entry_lots, audit_log], ids=lambda table: table.name)
@pytest.mark.parametrize("change", ["UPDATE {} SET tenant = 'live'", "DELETE FROM {}"])
def test_rows_that_are_only_ever_added_cannot_be_changed(engine: Engine, table: Table, change: str) -> None:
    with transaction(engine) as connection:
        for each, values in _ROWS.items():
            connection.execute(each.insert().values(tenant="sandbox", **values))

    refusal = f"{table.name}: rows of this table are never changed"
    with pytest.raises(DBAPIError, match=refusal), transaction(engine) as connection:
        connection.execute(text(change.format(table.name)))

    with engine.connect() as connection:
        assert connection.execute(table.select()).mappings().one()["tenant"] == "sandbox"


def test_a_database_of_newer_code_is_left_alone_and_serves_this_code(engine: Engine, database_url: str) -> None:
    with transaction(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(ConfigError, match="revision 9999"):
        migrate(database_url)

    assert not pending_migrations(engine)


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(ConfigError, match="must name an SQLite file"):
        migrate("sqlite://")


def _make_folder(sqlite_url: str) -> None:
    Path(sqlite_url.removeprefix("sqlite:///")).parent.mkdir()


def _structure(engine: Engine) -> dict[str, object]:
    """Everything the database knows about each table, in an order that does not depend on how it was made."""
    inspector = inspect(engine)
    return {
        table: {
            "columns": {column["name"]: repr(column) for column in inspector.get_columns(table)},
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": sorted(inspector.get_foreign_keys(table), key=repr),
            "uniques": sorted(inspector.get_unique_constraints(table), key=repr),
            "checks": sorted(inspector.get_check_constraints(table), key=repr),
            "indexes": sorted((_index(index) for index in inspector.get_indexes(table)), key=repr),
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


def _index(found: Mapping[str, Any]) -> dict[str, Any]:
    # The condition of a partial index is an object, whose repr tells nothing.
    return {**found, "dialect_options": {name: str(value) for name, value in found.get("dialect_options", {}).items()}}
