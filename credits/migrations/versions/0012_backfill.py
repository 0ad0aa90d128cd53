"""
Backfills: how far each provider's objects were looked through.

Names of keys, constraints and indexes follow the naming convention in credits.db.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "backfill_cursors",
        sa.Column("tenant", sa.String(8), primary_key=True),
        sa.Column("provider", sa.String(32), primary_key=True),
        sa.Column("looked_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("pass_began_ms", sa.BigInteger()),
        sa.Column("pass_since_ms", sa.BigInteger()),
        sa.Column("kind", sa.String(64)),
        sa.Column("token", sa.String(255)),
    )


def downgrade() -> None:
    """Remove the table."""
    op.drop_table("backfill_cursors")
