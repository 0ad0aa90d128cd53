"""
Automatic top-ups: policies, and one row for each shortage.

Names of keys, constraints and indexes follow the naming convention in credits.db.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "topup_policies",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("tenant", sa.String(8), nullable=False),
        sa.Column("account", sa.String(200), nullable=False),
        sa.Column("credit_type", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("is_on", sa.Integer(), nullable=False),
        sa.Column("threshold", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger()),
        sa.Column("target", sa.BigInteger()),
        sa.Column("cap_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("customer_id", sa.String(255)),
        sa.Column("payment_method", sa.String(255)),
        sa.Column("confirmed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("card_looked_at_ms", sa.BigInteger()),
        sa.Column("decision", sa.String(16)),
        sa.Column("reason", sa.String(32)),
        sa.Column("detail", sa.String(500), nullable=False, server_default=""),
        sa.Column("decided_at_ms", sa.BigInteger()),
        sa.Column("until_ms", sa.BigInteger()),
        sa.UniqueConstraint("tenant", "account", "credit_type"),
    )
    op.create_table(
        "topup_attempts",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("tenant", sa.String(8), nullable=False),
        sa.Column("account", sa.String(200), nullable=False),
        sa.Column("credit_type", sa.String(64), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("charge_id", sa.String(64), nullable=False),
        sa.Column("quote_id", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("asked_amount", sa.BigInteger(), nullable=False),
        sa.Column("cost_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("customer_id", sa.String(255)),
        sa.Column("payment_method", sa.String(255)),
        sa.Column("payment_id", sa.String(255)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16)),
        sa.Column("reason", sa.String(500), nullable=False, server_default=""),
        sa.Column("finish_purchase_id", sa.String(64)),
        sa.Column("finish_url", sa.String(4000)),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at_ms", sa.BigInteger()),
        sa.Column("begun_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger()),
        sa.UniqueConstraint("tenant", "account", "credit_type", "seq"),
        sa.UniqueConstraint("tenant", "charge_id"),
    )
    op.create_index(
        "uq_topup_attempts_in_flight",
        "topup_attempts",
        ["tenant", "account", "credit_type"],
        unique=True,
        postgresql_where=sa.text("ended_at_ms IS NULL"),
        sqlite_where=sa.text("ended_at_ms IS NULL"),
    )
    op.create_index("ix_topup_attempts_due_at_ms", "topup_attempts", ["due_at_ms"])


def downgrade() -> None:
    """Drop the tables. What was bought stays; what is in flight is granted by its event."""
    op.drop_table("topup_attempts")
    op.drop_table("topup_policies")
