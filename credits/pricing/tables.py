"""Tables of purchases: from the quote to the credits."""

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Index, String, Table, UniqueConstraint

from credits.db import id_column, metadata, tenant_column

purchases = Table(
    "purchases",
    metadata,
    id_column(),
    tenant_column(),
    # Travels in the metadata of every object at the provider; NULL for a purchase made without a quote.
    Column("quote_id", String(64)),
    # The quote of a further payment: a quote is paid once, and what else names it is a purchase of its own.
    Column("same_quote_as", String(64)),
    # What the caller named the request for a checkout, and a digest of what it sent.
    Column("request_key", String(200)),
    Column("fingerprint", String(64)),
    Column("provider", String(32)),
    # Names what was paid for (`stripe:cs:…`); NULL until an event says so.
    Column("key", String(255)),
    Column("account", String(200)),
    # Of the address that the caller gave for the account, with our secret: to compare, never to read.
    Column("email_digest", String(64)),
    Column("credit_type", String(64)),
    # Granted in all; `bonus` of them for nothing.
    Column("amount", BigInteger),
    Column("bonus", BigInteger),
    # A checkout that subscribes to a plan, and the product at the provider that does.
    Column("plan", String(64)),
    Column("product_id", String(255)),
    Column("asked_minor", BigInteger),
    Column("currency", String(3)),
    Column("paid_minor", BigInteger),
    # How the price came about: rule, slab, discount, plan.
    Column("price", JSON),
    # The provider's checkout; NULL until it has answered.
    Column("checkout_id", String(255)),
    Column("checkout_url", String(4000)),
    Column("success_url", String(1000)),
    Column("cancel_url", String(1000)),
    Column("expires_at_ms", BigInteger),
    # quoted, refused, open, pending, expired, failed, subscribed, credited
    Column("state", String(16), nullable=False),
    Column("reason", String(500), nullable=False, default=""),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    UniqueConstraint("tenant", "quote_id"),
    UniqueConstraint("tenant", "key"),
    CheckConstraint("quote_id IS NOT NULL OR key IS NOT NULL", name="named"),
    Index(None, "tenant", "account"),
    Index(None, "tenant", "request_key", unique=True),
    Index(None, "tenant", "provider", "created_at_ms"),
)
