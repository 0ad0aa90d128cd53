"""Tables of the gate: each shard's epoch, and debits that SQL orders and the gate carries out."""

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from credits.db import RowId, id_column, metadata, tenant_column

shards = Table(
    "shards",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # Shards serve both tenants; the column is there because it is in every table.
    tenant_column(),
    # Which incarnation of this shard's Redis may be believed. Whoever raises it, by compare-and-swap, may arm it.
    Column("epoch", BigInteger, nullable=False),
)

commands = Table(
    "commands",
    metadata,
    id_column(),
    tenant_column(),
    Column("account_id", RowId, ForeignKey("accounts.id"), nullable=False),
    # deduct, expire, clawback
    Column("kind", String(16), nullable=False),
    Column("credit_type", String(64), nullable=False),
    Column("amount", BigInteger, nullable=False),
    # The grants to take from; empty: any, in burn order.
    Column("grant_ids", JSON, nullable=False),
    Column("allow_debt", Integer, nullable=False),
    Column("op", String(128), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("reason", String(500), nullable=False),
    # open, done
    Column("state", String(8), nullable=False),
    Column("taken", BigInteger),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("done_at_ms", BigInteger),
    UniqueConstraint("tenant", "op"),
    Index(None, "state", "id"),
    Index(None, "account_id"),
)
