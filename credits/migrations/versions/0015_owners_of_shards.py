"""
The gate: whose each shard is, so that a Redis filled from another database is not believed.

Shards that were used before get their owner when they are next learnt of.
Names of keys, constraints and indexes follow the naming convention in credits.db.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the column."""
    op.add_column("shards", sa.Column("owner", sa.String(36)))


def downgrade() -> None:
    """Remove it. A Redis that keeps an owner keeps it in vain."""
    op.drop_column("shards", "owner")
