"""Table of the gate: each shard's epoch and owner. What SQL orders of the gate stands in credits.ledger.orders."""

from sqlalchemy import BigInteger, Column, Integer, String, Table

from credits.db import metadata, tenant_column

shards = Table(
    "shards",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # Shards serve both tenants; the column is there because it is in every table.
    tenant_column(),
    # Which incarnation of this shard's Redis may be believed. Whoever raises it, by compare-and-swap, may arm it.
    Column("epoch", BigInteger, nullable=False),
    # The name that this database gave the shard. Its Redis keeps it too, and is not believed if it keeps another one.
    Column("owner", String(36)),
)
