"""
Notifications: destinations, what happened, its deliveries and their log; what was told of balances and lots.

Also an index by which lapsed and lapsing lots are found without reading every lot.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _id() -> sa.Column[int]:
    return sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True)


def _tenant() -> sa.Column[str]:
    return sa.Column("tenant", sa.String(8), nullable=False)


def upgrade() -> None:
    """Add the tables of notifications beside the others."""
    op.create_table(
        "destinations",
        _id(),
        _tenant(),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("secret_version", sa.Integer(), nullable=False),
        sa.Column("previous_until_ms", sa.BigInteger()),
        sa.Column("disabled_reason", sa.String(500)),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at_ms", sa.BigInteger()),
        sa.UniqueConstraint("name"),
        sa.Index(None, "tenant"),
    )
    op.create_table(
        "notifications",
        _id(),
        _tenant(),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("account", sa.String(200)),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("addressed_at_ms", sa.BigInteger()),
        sa.UniqueConstraint("tenant", "key"),
        sa.UniqueConstraint("name"),
        sa.Index("ix_notifications_unaddressed", "addressed_at_ms", "id"),
    )
    _create_deliveries()
    _create_watches()
    op.create_index(
        "ix_grants_lapsing",
        "grants",
        ["expires_at_ms"],
        postgresql_where=sa.text("remaining > 0"),
        sqlite_where=sa.text("remaining > 0"),
    )


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        _id(),
        _tenant(),
        sa.Column("notification_id", _ROW_ID, sa.ForeignKey("notifications.id"), nullable=False),
        sa.Column("destination_id", _ROW_ID, sa.ForeignKey("destinations.id"), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at_ms", sa.BigInteger()),
        sa.Column("lease_token", sa.String(36)),
        sa.Column("last_status", sa.Integer()),
        sa.Column("last_detail", sa.String(500)),
        sa.Column("finished_at_ms", sa.BigInteger()),
        sa.UniqueConstraint("notification_id", "destination_id"),
        sa.Index(None, "due_at_ms"),
        sa.Index(None, "tenant", "state"),
    )
    op.create_table(
        "delivery_attempts",
        _id(),
        _tenant(),
        sa.Column("delivery_id", _ROW_ID, sa.ForeignKey("deliveries.id"), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("detail", sa.String(500), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Index(None, "delivery_id"),
    )


def _create_watches() -> None:
    op.create_table(
        "balance_watches",
        sa.Column("account_id", _ROW_ID, sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column("credit_type", sa.String(64), primary_key=True),
        _tenant(),
        sa.Column("is_low", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "watch_cursors",
        sa.Column("name", sa.String(16), primary_key=True),
        _tenant(),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Drop the tables of notifications, with the log of what was told."""
    op.drop_index("ix_grants_lapsing", "grants")
    for table in (
        "watch_cursors",
        "balance_watches",
        "delivery_attempts",
        "deliveries",
        "notifications",
        "destinations",
    ):
        op.drop_table(table)
