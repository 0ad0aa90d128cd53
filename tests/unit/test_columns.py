"""What every table keeps to, whoever adds the next one."""

import pytest
from sqlalchemy import BigInteger, Numeric, Table

from credits.api import tables as _api_tables
from credits.audit_log import audit_log as _audit_log
from credits.db import metadata
from credits.inbox import tables as _inbox_tables
from credits.job_runs import job_runs as _job_runs
from credits.ledger import tables as _ledger_tables
from credits.members import tables as _member_tables
from credits.notifications import tables as _notification_tables
from credits.plans import tables as _plan_tables
from credits.pricing import tables as _pricing_tables

# Importing a module of tables is what puts them into the metadata.
DECLARED = (
    _api_tables,
    _audit_log,
    _inbox_tables,
    _job_runs,
    _ledger_tables,
    _member_tables,
    _notification_tables,
    _plan_tables,
    _pricing_tables,
)
TABLES = list(metadata.sorted_tables)

AMOUNTS = {
    "amount",
    "remaining",
    "frozen",
    "balance",
    "balance_after",
    "debt",
    "debt_after",
    "debt_repaid",
    "seq",
    "sv",
    "mv",
    "raised_to",
    "used",
}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_no_column_of_any_table_holds_a_float_or_a_decimal(table: Table) -> None:
    # Float is a kind of Numeric to SQLAlchemy.
    inexact = [column.name for column in table.columns if isinstance(column.type, Numeric)]

    assert inexact == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_instants_amounts_and_money_have_64_bits(table: Table) -> None:
    large = [c for c in table.columns if c.name.endswith(("_ms", "_minor")) or c.name in AMOUNTS]

    assert [column.name for column in large if not isinstance(column.type, BigInteger)] == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_row_belongs_to_a_tenant(table: Table) -> None:
    assert not table.columns["tenant"].nullable
