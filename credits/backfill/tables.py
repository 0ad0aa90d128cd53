"""The table of backfills: how far each provider's objects were looked through."""

from sqlalchemy import BigInteger, Column, String, Table

from credits.db import metadata, tenant_column

backfill_cursors = Table(
    "backfill_cursors",
    metadata,
    tenant_column(primary_key=True),
    Column("provider", String(32), primary_key=True),
    # Whatever happened before this is in the inbox; 0 before the first pass is over.
    Column("looked_until_ms", BigInteger, nullable=False),
    # The pass that is under way, and where it goes on; NULL between passes.
    Column("pass_began_ms", BigInteger),
    Column("pass_since_ms", BigInteger),
    Column("kind", String(64)),
    Column("token", String(255)),
)
