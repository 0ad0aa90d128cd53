"""API keys: when each was last used, and the accounts it reaches."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the two columns; keys that are there reach every account, as before."""
    op.add_column("api_keys", sa.Column("last_used_at_ms", sa.BigInteger()))
    op.add_column("api_keys", sa.Column("account_prefix", sa.String(200)))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("api_keys", "account_prefix")
    op.drop_column("api_keys", "last_used_at_ms")
