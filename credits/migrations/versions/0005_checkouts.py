"""
Checkouts: what a quote was asked with, where it can be paid, and until when.

Names of keys, constraints and indexes follow the naming convention in credits.db.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_COLUMNS = (
    ("same_quote_as", sa.String(64)),
    ("request_key", sa.String(200)),
    ("fingerprint", sa.String(64)),
    ("provider", sa.String(32)),
    ("bonus", sa.BigInteger()),
    ("plan", sa.String(64)),
    ("product_id", sa.String(255)),
    ("price", sa.JSON()),
    ("checkout_id", sa.String(255)),
    ("checkout_url", sa.String(4000)),
    ("success_url", sa.String(1000)),
    ("cancel_url", sa.String(1000)),
    ("expires_at_ms", sa.BigInteger()),
)


def upgrade() -> None:
    """Widen purchases. What was called void had failed or expired."""
    for name, kind in _COLUMNS:
        op.add_column("purchases", sa.Column(name, kind))
    op.create_index("ix_purchases_tenant_request_key", "purchases", ["tenant", "request_key"], unique=True)
    op.execute("UPDATE purchases SET state = 'failed' WHERE state = 'void'")


def downgrade() -> None:
    """Forget how each checkout was made; what was bought stays."""
    op.drop_index("ix_purchases_tenant_request_key", "purchases")
    for name, _kind in reversed(_COLUMNS):
        op.drop_column("purchases", name)
