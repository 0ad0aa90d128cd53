"""
Plans: what each change is decided by, what it asks for, and what refunds have of it.

Changes that were told before have neither: what they took stays as it is.
Names of keys, constraints and indexes follow the naming convention in credits.db.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OF_SUBSCRIPTION = ("tenant", "provider", "subscription_id")


def upgrade() -> None:
    """Add the tables and the column."""
    op.add_column("reversed_lots", sa.Column("adopted", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "plan_splits",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("tenant", sa.String(8), nullable=False),
        sa.Column("account_id", _ROW_ID, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("subscription_id", sa.String(255), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("tenant", "key"),
    )
    op.create_table(
        "plan_asks",
        sa.Column("tenant", sa.String(8), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("credit_type", sa.String(64), primary_key=True),
        sa.Column("account_id", _ROW_ID, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("subscription_id", sa.String(255), nullable=False),
        sa.Column("plan", sa.String(64), nullable=False),
        sa.Column("source_ref", sa.String(255), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("cut_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.Column("ordered", sa.BigInteger(), nullable=False),
        sa.Column("steps", sa.BigInteger(), nullable=False),
        sa.Column("due_at_ms", sa.BigInteger()),
    )
    for table in ("plan_splits", "plan_asks"):
        op.create_index(op.f(f"ix_{table}_tenant_provider_subscription_id"), table, list(_OF_SUBSCRIPTION))
        op.create_index(op.f(f"ix_{table}_account_id"), table, ["account_id"])
    op.create_index(op.f("ix_plan_asks_due_at_ms"), "plan_asks", ["due_at_ms"])


def downgrade() -> None:
    """Remove them. What was taken and granted stays so."""
    op.drop_column("reversed_lots", "adopted")
    op.drop_table("plan_asks")
    op.drop_table("plan_splits")
