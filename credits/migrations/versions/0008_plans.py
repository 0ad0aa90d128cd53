"""
Plans: the history of subscriptions, paid periods with their lots, changes of plan, and what is carried over.

Names of keys, constraints and indexes follow the naming convention in credits.db.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables; what is known of subscriptions begins their history, and events that waited for this are due."""
    op.create_table(
        "subscription_sights",
        sa.Column("tenant", sa.String(8), primary_key=True),
        sa.Column("provider", sa.String(32), primary_key=True),
        sa.Column("subscription_id", sa.String(255), primary_key=True),
        sa.Column("stamp_ms", sa.BigInteger(), primary_key=True),
        sa.Column("rank", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("product_ids", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(32)),
        sa.Column("quantity", sa.BigInteger()),
        sa.Column("period_start_ms", sa.BigInteger()),
        sa.Column("period_end_ms", sa.BigInteger()),
        sa.Column("trial_end_ms", sa.BigInteger()),
        sa.Column("is_first", sa.Integer(), nullable=False),
        sa.Column("is_paused", sa.Integer(), nullable=False),
        sa.Column("is_unpaid", sa.Integer(), nullable=False),
        sa.Column("ended", sa.Integer(), nullable=False),
    )
    op.create_table(
        "plan_periods",
        sa.Column("id", _ROW_ID, primary_key=True),
        sa.Column("tenant", sa.String(8), nullable=False),
        sa.Column("account_id", _ROW_ID, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("subscription_id", sa.String(255), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("source_ref", sa.String(255), nullable=False),
        sa.Column("plan", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("anchor_ms", sa.BigInteger(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("cut_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger()),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("quantity", sa.BigInteger()),
        sa.Column("paid_minor", sa.BigInteger()),
        sa.Column("currency", sa.String(3)),
        sa.Column("full_price_minor", sa.BigInteger()),
        sa.Column("event_id", _ROW_ID),
        sa.Column("dripped_to_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_at_ms", sa.BigInteger()),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("tenant", "key"),
        sa.Index(None, "due_at_ms"),
        sa.Index(None, "account_id"),
        sa.Index(None, "tenant", "provider", "subscription_id"),
    )
    op.create_table(
        "plan_lots",
        sa.Column("grant_id", _ROW_ID, sa.ForeignKey("grants.id"), primary_key=True),
        sa.Column("tenant", sa.String(8), nullable=False),
        sa.Column("period_id", _ROW_ID, sa.ForeignKey("plan_periods.id"), nullable=False),
        sa.Column("credit_type", sa.String(64), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger()),
        sa.Column("rolls", sa.Integer(), nullable=False),
        sa.Column("carries_left", sa.BigInteger()),
        sa.Column("cap", sa.BigInteger()),
        sa.Index(None, "period_id"),
    )
    op.create_table(
        "plan_changes",
        sa.Column("id", _ROW_ID, primary_key=True),
        sa.Column("tenant", sa.String(8), nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("subscription_id", sa.String(255), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("plan", sa.String(64), nullable=False),
        sa.Column("source_ref", sa.String(255), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("cut_ms", sa.BigInteger(), nullable=False),
        sa.Column("takes_rest", sa.Integer(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("tenant", "key"),
        sa.Index(None, "tenant", "provider", "subscription_id"),
    )
    op.create_table(
        "carries",
        sa.Column("id", _ROW_ID, primary_key=True),
        sa.Column("tenant", sa.String(8), nullable=False),
        sa.Column("grant_id", _ROW_ID, sa.ForeignKey("grants.id"), nullable=False),
        sa.Column("period_id", _ROW_ID, sa.ForeignKey("plan_periods.id"), nullable=False),
        sa.Column("credit_type", sa.String(64), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("carries_left", sa.BigInteger()),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("due_at_ms", sa.BigInteger()),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("tenant", "key"),
        sa.Index(None, "due_at_ms"),
        sa.Index(None, "period_id"),
    )
    op.execute(
        "INSERT INTO subscription_sights (tenant, provider, subscription_id, stamp_ms, rank, digest, product_ids, "
        "status, quantity, period_start_ms, period_end_ms, is_first, is_paused, is_unpaid, ended) "
        "SELECT tenant, provider, subscription_id, stamp_ms, rank, '', product_ids, "
        "status, quantity, period_start_ms, period_end_ms, 1, 0, 0, ended FROM subscriptions WHERE stamp_ms > 0"
    )
    op.execute(
        "UPDATE events SET due_at_ms = received_at_ms, attempts = 0 WHERE state = 'waiting' "
        "AND code IN ('plan_change', 'trial', 'zero_invoice', 'pause')"
    )


def downgrade() -> None:
    """Drop the tables. What was granted stays granted."""
    for table in ("carries", "plan_changes", "plan_lots", "plan_periods", "subscription_sights"):
        op.drop_table(table)
