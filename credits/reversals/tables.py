"""Tables of reversals: what a payment is called, what was refunded and disputed of it, and what became of its lots."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from credits.db import RowId, id_column, metadata, tenant_column

payments = Table(
    "payments",
    metadata,
    id_column(),
    tenant_column(),
    # What was charged in all; unknown until an event says it.
    Column("paid_minor", BigInteger),
    Column("currency", String(3)),
    # The most that the provider ever said its refunds add up to.
    Column("counted_minor", BigInteger, nullable=False, default=0),
    Column("created_at_ms", BigInteger, nullable=False),
)

payment_names = Table(
    "payment_names",
    metadata,
    tenant_column(primary_key=True),
    # As grants, refunds and disputes spell it: `stripe:cs:…`, `stripe:pi:…`, `ls:order:…`.
    Column("name", String(255), primary_key=True),
    Column("payment_id", RowId, ForeignKey("payments.id"), nullable=False),
    Index(None, "payment_id"),
)

reversals = Table(
    "reversals",
    metadata,
    id_column(),
    tenant_column(),
    Column("payment_id", RowId, ForeignKey("payments.id"), nullable=False),
    # `stripe:refund:<id>`, `stripe:dp:<id>`: one row for all of its events.
    Column("ref", String(255), nullable=False),
    # refund, dispute; return: money of one of them came back, and `state` says of which kind
    Column("kind", String(8), nullable=False),
    # Empty: the whole payment.
    Column("amount_minor", BigInteger),
    Column("state", String(16), nullable=False),
    # Whether it is in the provider's own count (payments.counted_minor).
    Column("is_counted", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    UniqueConstraint("tenant", "ref"),
    Index(None, "payment_id"),
)

reversed_lots = Table(
    "reversed_lots",
    metadata,
    Column("grant_id", RowId, ForeignKey("grants.id"), primary_key=True),
    tenant_column(),
    Column("account_id", RowId, ForeignKey("accounts.id"), nullable=False),
    Column("wanted_clawed", BigInteger, nullable=False),
    Column("wanted_frozen", BigInteger, nullable=False),
    # Taken back and not given back since, from the lot or as debt.
    Column("clawed", BigInteger, nullable=False),
    # Of these: what changes of plan had taken of the lot, and take elsewhere since a refund has come to want it.
    Column("adopted", BigInteger, nullable=False, server_default="0"),
    Column("forgiven", BigInteger, nullable=False),
    Column("judged", BigInteger, nullable=False),
    # debt, clamp, block: as credits.toml had it when the target was set
    Column("shortfall", String(8), nullable=False),
    # The refund or dispute that set the target last; entries are named by it.
    Column("cause", String(255), nullable=False),
    Column("actor", String(200), nullable=False),
    # How many steps were taken: each has a number of its own in its key.
    Column("steps", BigInteger, nullable=False),
    # The order that the gate has not carried out: take, owe or freeze, and its op.
    Column("step", String(8)),
    Column("op", String(128)),
    # When to look for credits under hold again.
    Column("due_at_ms", BigInteger),
    Column("looks", Integer, nullable=False),
    Index(None, "tenant", "op"),
    Index(None, "due_at_ms"),
)
