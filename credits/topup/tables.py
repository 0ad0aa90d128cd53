"""Tables of automatic top-ups: what owners agreed to, and one row for each shortage that was to be charged."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, UniqueConstraint, text

from credits.db import id_column, metadata, tenant_column

topup_policies = Table(
    "topup_policies",
    metadata,
    id_column(),
    tenant_column(),
    Column("account", String(200), nullable=False),
    Column("credit_type", String(64), nullable=False),
    Column("provider", String(32), nullable=False),
    Column("is_on", Integer, nullable=False),
    Column("threshold", BigInteger, nullable=False),
    # One of the two.
    Column("amount", BigInteger),
    Column("target", BigInteger),
    Column("cap_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    # Left out: the newest customer of the account that has a card, and that card.
    Column("customer_id", String(255)),
    Column("payment_method", String(255)),
    # When somebody last set it, or said that it may go on: declines before that count no more.
    Column("confirmed_at_ms", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    # When the provider was last asked whether a blocked card has been replaced.
    Column("card_looked_at_ms", BigInteger),
    # The last decision of a sweep: charge, wait, blocked; why; since when; until when.
    Column("decision", String(16)),
    Column("reason", String(32)),
    Column("detail", String(500), nullable=False, server_default=""),
    Column("decided_at_ms", BigInteger),
    Column("until_ms", BigInteger),
    UniqueConstraint("tenant", "account", "credit_type"),
)

topup_attempts = Table(
    "topup_attempts",
    metadata,
    id_column(),
    tenant_column(),
    Column("account", String(200), nullable=False),
    Column("credit_type", String(64), nullable=False),
    Column("seq", BigInteger, nullable=False),
    # The provider's idempotency key.
    Column("charge_id", String(64), nullable=False),
    # The purchase whose payment this is: it says what is granted.
    Column("quote_id", String(64), nullable=False),
    Column("provider", String(32), nullable=False),
    # Granted in all; asked for without what comes on top for nothing.
    Column("amount", BigInteger, nullable=False),
    Column("asked_amount", BigInteger, nullable=False),
    Column("cost_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    # What is charged: written down before it is, so that a repeat asks for the very same.
    Column("customer_id", String(255)),
    Column("payment_method", String(255)),
    # The provider's name of the charge; NULL until it has answered.
    Column("payment_id", String(255)),
    # open, pending, charged, granted, declined, handed_off, refused, lost
    Column("state", String(16), nullable=False),
    # soft, hard, authentication
    Column("kind", String(16)),
    Column("reason", String(500), nullable=False, server_default=""),
    # Where the payer can finish what the bank wants to see.
    Column("finish_purchase_id", String(64)),
    Column("finish_url", String(4000)),
    Column("tries", Integer, nullable=False),
    # When to go on with it; NULL when nothing is left to do.
    Column("due_at_ms", BigInteger),
    Column("begun_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    UniqueConstraint("tenant", "account", "credit_type", "seq"),
    UniqueConstraint("tenant", "charge_id"),
    # One shortage, one charge: whatever runs at once, a second one beside it cannot be stored.
    Index(
        "uq_topup_attempts_in_flight",
        "tenant",
        "account",
        "credit_type",
        unique=True,
        postgresql_where=text("ended_at_ms IS NULL"),
        sqlite_where=text("ended_at_ms IS NULL"),
    ),
    Index(None, "due_at_ms"),
)
