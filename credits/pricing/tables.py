"""Tables of purchases: from the quote to the credits."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, String, Table, UniqueConstraint

from credits.db import id_column, metadata, tenant_column

purchases = Table(
    "purchases",
    metadata,
    id_column(),
    tenant_column(),
    # Travels in the metadata of every object at the provider; NULL for a purchase made without a quote.
    Column("quote_id", String(64)),
    # Names what was paid for (`stripe:cs:…`); NULL until an event says so.
    Column("key", String(255)),
    Column("account", String(200)),
    Column("credit_type", String(64)),
    Column("amount", BigInteger),
    Column("asked_minor", BigInteger),
    Column("currency", String(3)),
    Column("paid_minor", BigInteger),
    # quoted, pending, credited, void
    Column("state", String(16), nullable=False),
    Column("reason", String(500), nullable=False, default=""),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    UniqueConstraint("tenant", "quote_id"),
    UniqueConstraint("tenant", "key"),
    CheckConstraint("quote_id IS NOT NULL OR key IS NOT NULL", name="named"),
    Index(None, "tenant", "account"),
)
