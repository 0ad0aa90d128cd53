"""
Promo codes, and who has redeemed them.

Names of keys, constraints and indexes follow the naming convention in credits.db.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "promo_codes",
        sa.Column("tenant", sa.String(8), primary_key=True),
        sa.Column("code", sa.String(64), primary_key=True),
        sa.Column("credit_type", sa.String(64), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("max_uses", sa.BigInteger()),
        sa.Column("per_account", sa.BigInteger(), nullable=False),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger()),
        sa.Column("credits_days", sa.BigInteger()),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("max_uses IS NULL OR uses <= max_uses", name="uses_within_max"),
    )
    op.create_table(
        "promo_redemptions",
        sa.Column("tenant", sa.String(8), primary_key=True),
        sa.Column("code", sa.String(64), primary_key=True),
        sa.Column("account_id", _ROW_ID, sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("grant_key", sa.String(255), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Drop the tables. What was redeemed stays granted."""
    op.drop_table("promo_redemptions")
    op.drop_table("promo_codes")
