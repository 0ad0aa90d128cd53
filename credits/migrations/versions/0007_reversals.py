"""
Reversals: payments under all of their names, their refunds and disputes, and what became of their lots.

Payments that were granted before are entered, and refunds and disputes that waited for this release become due.
Names of keys, constraints and indexes follow the naming convention in credits.db.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_AT_ONCE = 1_000


def upgrade() -> None:
    """Add the tables, enter what was granted before, wake what waited."""
    op.create_table(
        "payments",
        sa.Column("id", _ROW_ID, primary_key=True),
        sa.Column("tenant", sa.String(8), nullable=False),
        sa.Column("paid_minor", sa.BigInteger()),
        sa.Column("currency", sa.String(3)),
        sa.Column("counted_minor", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "payment_names",
        sa.Column("tenant", sa.String(8), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("payment_id", _ROW_ID, sa.ForeignKey("payments.id"), nullable=False),
        sa.Index(None, "payment_id"),
    )
    op.create_table(
        "reversals",
        sa.Column("id", _ROW_ID, primary_key=True),
        sa.Column("tenant", sa.String(8), nullable=False),
        sa.Column("payment_id", _ROW_ID, sa.ForeignKey("payments.id"), nullable=False),
        sa.Column("ref", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("amount_minor", sa.BigInteger()),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("is_counted", sa.Integer(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("tenant", "ref"),
        sa.Index(None, "payment_id"),
    )
    op.create_table(
        "reversed_lots",
        sa.Column("grant_id", _ROW_ID, sa.ForeignKey("grants.id"), primary_key=True, autoincrement=False),
        sa.Column("tenant", sa.String(8), nullable=False),
        sa.Column("account_id", _ROW_ID, sa.ForeignKey("accounts.id"), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTS),
        sa.Column("shortfall", sa.String(8), nullable=False),
        sa.Column("cause", sa.String(255), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("steps", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.String(8)),
        sa.Column("op", sa.String(128)),
        sa.Column("due_at_ms", sa.BigInteger()),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Index(None, "tenant", "op"),
        sa.Index(None, "due_at_ms"),
    )
    op.add_column("commands", sa.Column("journal_id", sa.String(64)))
    op.add_column("accounts", sa.Column("blocked_for", sa.String(64)))
    op.add_column("accounts", sa.Column("blocked_reason", sa.String(500)))
    op.add_column("accounts", sa.Column("blocked_at_ms", sa.BigInteger()))
    _enter_payments()
    _wake_waiting()


def downgrade() -> None:
    """Drop the tables. What was taken back stays so."""
    for column in ("blocked_at_ms", "blocked_reason", "blocked_for"):
        op.drop_column("accounts", column)
    op.drop_column("commands", "journal_id")
    for table in ("reversed_lots", "reversals", "payment_names", "payments"):
        op.drop_table(table)


_COUNTS = ("wanted_clawed", "wanted_frozen", "clawed", "forgiven", "judged")


def _enter_payments() -> None:
    """One payment for what was granted before under one source, with the names that its entries keep."""
    connection = op.get_bind()
    for rows in _granted_before(connection):
        by_source: dict[tuple[str, str], list[Any]] = {}
        for row in rows:
            by_source.setdefault((row.tenant, row.source_ref), []).append(row)
        for (tenant, source_ref), lots in by_source.items():
            _enter_payment(connection, tenant, source_ref, lots)


def _granted_before(connection: sa.Connection) -> Iterator[list[Any]]:
    """The grants that payments made, with their entries' meta, all of one source in one list."""
    grants = sa.table("grants", *map(sa.column, ("tenant", "source_ref", "source", "key", "paid_minor", "currency")))
    entries = sa.table("entries", sa.column("tenant"), sa.column("key"), sa.column("meta", sa.JSON), sa.column("at_ms"))
    columns = (grants.c.tenant, grants.c.source_ref, grants.c.source, grants.c.key, grants.c.paid_minor)
    last: tuple[str, str] | None = None
    while True:
        sources = (
            sa.select(grants.c.tenant, grants.c.source_ref)
            .distinct()
            .where(grants.c.source.in_(("purchase", "plan")))
            .order_by(grants.c.tenant, grants.c.source_ref)
            .limit(_AT_ONCE)
        )
        if last is not None:
            sources = sources.where(sa.tuple_(grants.c.tenant, grants.c.source_ref) > sa.tuple_(*map(sa.literal, last)))
        page = [(row.tenant, row.source_ref) for row in connection.execute(sources)]
        if not page:
            return
        last = page[-1]
        query = (
            sa.select(*columns, grants.c.currency, entries.c.meta, entries.c.at_ms)
            .join_from(grants, entries, (entries.c.tenant == grants.c.tenant) & (entries.c.key == grants.c.key))
            .where(grants.c.source_ref.in_([source_ref for _, source_ref in page]))
            .where(grants.c.source.in_(("purchase", "plan")))
            .order_by(grants.c.tenant, grants.c.source_ref, grants.c.key)
        )
        wanted = set(page)
        yield [row for row in connection.execute(query) if (row.tenant, row.source_ref) in wanted]


def _enter_payment(connection: sa.Connection, tenant: str, source_ref: str, lots: list[Any]) -> None:
    payments = sa.table(
        "payments", *map(sa.column, ("id", "tenant", "paid_minor", "currency", "counted_minor", "created_at_ms"))
    )
    names = sa.table("payment_names", *map(sa.column, ("tenant", "name", "payment_id")))
    # An invoice's lines were each paid once, whatever number of credit types they brought.
    paid = {row.key if row.source == "purchase" else row.key.rpartition(":")[0]: row.paid_minor for row in lots}
    is_known = all(amount is not None for amount in paid.values())
    row = {
        "tenant": tenant,
        "paid_minor": sum(paid.values()) if is_known else None,
        "currency": lots[0].currency if is_known else None,
        "counted_minor": 0,
        "created_at_ms": min(lot.at_ms for lot in lots),
    }
    payment_id = connection.execute(sa.insert(payments).values(**row).returning(payments.c.id)).scalar_one()
    called = {source_ref, *(name for lot in lots for name in (lot.meta or {}).get("also_known_as", ()))}
    taken = connection.execute(
        sa.select(names.c.name).where(names.c.tenant == tenant, names.c.name.in_(sorted(called)))
    ).scalars()
    fresh = [{"tenant": tenant, "name": name, "payment_id": payment_id} for name in sorted(called - set(taken))]
    if fresh:
        connection.execute(sa.insert(names), fresh)


def _wake_waiting() -> None:
    """Refunds and disputes were kept until now; they are handled as soon as workers run."""
    op.execute(
        "UPDATE events SET due_at_ms = 0, attempts = 0 WHERE state = 'waiting' AND code IN ('refund', 'dispute')"
    )
