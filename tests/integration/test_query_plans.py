"""What runs for every payment, page, sweep and scrape finds its rows by an index, however many there are."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from credits.api import keys
from credits.config.settings import Tenant
from credits.db import snapshot, transaction
from credits.inbox import store
from credits.inbox.health import inbox_health
from credits.inbox.model import EventState
from credits.topup.health import topup_health
from tests.support.pipeline import Pipeline

Statement = tuple[str, Any]


def purchases(pipeline: Pipeline) -> None:
    pipeline.receive("purchase.pending")
    pipeline.receive("purchase.paid")


def subscriptions(pipeline: Pipeline) -> None:
    said: dict[str, Any] = {"product_id": "pro", "credit_type": None, "amount": None}
    for event_type in ("plan.paid", "subscription.seen", "customer.linked"):
        pipeline.receive(event_type, **said)


def unattributed(pipeline: Pipeline) -> None:
    pipeline.retry(pipeline.receive("purchase.paid", account=None)["id"])
    pipeline.process()


def pages(pipeline: Pipeline) -> None:
    library = pipeline.credits
    library.add("user_1", "tokens", 5, key="a")
    library.deduct("user_1", "tokens", 2, key="b")
    for at_ms in (None, pipeline.runtime.clock()):
        library.balances("user_1", at_ms=at_ms)
    for read in (library.entries, library.grants):
        read("user_1", credit_type="tokens", before_id=7)
        read("user_1")


def health(pipeline: Pipeline) -> None:
    with snapshot(pipeline.runtime.engine) as connection:
        inbox_health(connection, now_ms=0)
        topup_health(connection, now_ms=0)


def stuck_events(pipeline: Pipeline) -> None:
    with snapshot(pipeline.runtime.engine) as connection:
        store.select_events(connection, Tenant.SANDBOX, states=[EventState.FAILED], limit=10)


def api_keys(pipeline: Pipeline) -> None:
    engine = pipeline.runtime.engine
    with transaction(engine) as connection:
        key = keys.create_key(connection, tenant=Tenant.SANDBOX, name="a", scopes=["read"], now_ms=0)
    with snapshot(engine) as connection:
        keys.authenticate(connection, key, now_ms=1)


@pytest.mark.parametrize(
    "work", [purchases, subscriptions, unattributed, pages, health, stuck_events, api_keys], ids=lambda w: w.__name__
)
def test_no_statement_reads_a_whole_table(pipeline: Pipeline, work: Callable[[Pipeline], None]) -> None:
    with recorded(pipeline.runtime.engine) as statements:
        work(pipeline)

    assert statements
    assert {found for statement in statements for found in whole_tables(pipeline.runtime.engine, statement)} == set()


@contextmanager
def recorded(engine: Engine) -> Iterator[list[Statement]]:
    """The statements that read while the block runs."""
    statements: list[Statement] = []

    def remember(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if re.match(r"SELECT|UPDATE|DELETE", statement):
            statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", remember)
    yield statements
    event.remove(engine, "before_cursor_execute", remember)


def whole_tables(engine: Engine, statement: Statement) -> list[str]:
    """What `statement` reads from end to end, though an index were to be had."""
    sql, parameters = statement
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)
            # A virtual table is what a statement was given, as JSON.
            scans = [row.detail for row in rows if row.detail.startswith("SCAN") and "VIRTUAL TABLE" not in row.detail]
            return [f"{scan}: {sql}" for scan in scans]
        # In a table of three rows nothing beats reading all of it; so leave it the choice only where it has no other.
        connection.exec_driver_sql("SET enable_seqscan = off")
        plan = json.dumps(connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sql}", parameters).scalar_one())
        return [f"{table}: {sql}" for table in re.findall(r'"Seq Scan".*?"Relation Name": "(\w+)"', plan)]
