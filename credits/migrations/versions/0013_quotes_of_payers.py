"""
Purchases: whose address a quote was made for, and quotes of a time by provider.

Names of keys, constraints and indexes follow the naming convention in credits.db.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_INDEX = "ix_purchases_tenant_provider_created_at_ms"


def upgrade() -> None:
    """Add the column and the index."""
    op.add_column("purchases", sa.Column("email_digest", sa.String(64)))
    op.create_index(_INDEX, "purchases", ["tenant", "provider", "created_at_ms"])


def downgrade() -> None:
    """Remove them."""
    op.drop_index(_INDEX, "purchases")
    op.drop_column("purchases", "email_digest")
