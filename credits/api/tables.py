"""Tables of the API: its keys, of which only a hash is kept."""

from sqlalchemy import JSON, BigInteger, Column, String, Table, UniqueConstraint

from credits.db import id_column, metadata, tenant_column

api_keys = Table(
    "api_keys",
    metadata,
    id_column(),
    tenant_column(),
    Column("kid", String(16), nullable=False),
    Column("name", String(200), nullable=False),
    # SHA-256 of 256 random bits: nothing to guess, so nothing slow is needed.
    Column("secret_sha256", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("revoked_at_ms", BigInteger),
    # Written at most once a minute.
    Column("last_used_at_ms", BigInteger),
    # The accounts it reaches; NULL: all.
    Column("account_prefix", String(200)),
    UniqueConstraint("kid"),
)
