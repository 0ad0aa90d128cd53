"""
The gate: each shard's epoch, debits that SQL orders of it, and the journal line an entry was booked from.

Names of keys, constraints and indexes follow the naming convention in credits.db.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the gate's tables beside the ledger's."""
    op.create_table(
        "shards",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("tenant", sa.String(8), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "commands",
        sa.Column("id", _ROW_ID, primary_key=True),
        sa.Column("tenant", sa.String(8), nullable=False),
        sa.Column("account_id", _ROW_ID, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("credit_type", sa.String(64), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("grant_ids", sa.JSON(), nullable=False),
        sa.Column("allow_debt", sa.Integer(), nullable=False),
        sa.Column("op", sa.String(128), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("taken", sa.BigInteger()),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("done_at_ms", sa.BigInteger()),
        sa.UniqueConstraint("tenant", "op"),
        sa.Index(None, "state", "id"),
        sa.Index(None, "account_id"),
    )
    op.add_column("entries", sa.Column("journal_id", sa.String(64)))


def downgrade() -> None:
    """Drop the gate's tables. What was booked stays booked."""
    op.drop_column("entries", "journal_id")
    op.drop_table("commands")
    op.drop_table("shards")
