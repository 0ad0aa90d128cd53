"""
An index of the few accounts that are blocked.

Names of keys, constraints and indexes follow the naming convention in credits.db.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_IS_BLOCKED = sa.text("blocked_for IS NOT NULL")


def upgrade() -> None:
    """Every process asks for the blocked accounts every two seconds."""
    op.create_index(
        "ix_accounts_blocked_for",
        "accounts",
        ["blocked_for"],
        postgresql_where=_IS_BLOCKED,
        sqlite_where=_IS_BLOCKED,
    )


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("ix_accounts_blocked_for", "accounts")
