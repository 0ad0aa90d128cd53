"""Tables of notifications. A delivery is kept until it is delivered or dead, and both for a while after that."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
)

from credits.db import RowId, id_column, metadata, tenant_column

destinations = Table(
    "destinations",
    metadata,
    id_column(),
    tenant_column(),
    Column("name", String(40), nullable=False),
    Column("url", String(2000), nullable=False),
    # Kinds of notifications it wants; empty: all.
    Column("kinds", JSON, nullable=False),
    Column("secret_version", Integer, nullable=False),
    Column("previous_until_ms", BigInteger),
    # NULL while it is told; else why it is not.
    Column("disabled_reason", String(500)),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("deleted_at_ms", BigInteger),
    UniqueConstraint("name"),
    Index(None, "tenant"),
)

notifications = Table(
    "notifications",
    metadata,
    id_column(),
    tenant_column(),
    Column("name", String(40), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("account", String(200)),
    # Names what happened: it is told once, however often it is noticed.
    Column("key", String(255), nullable=False),
    Column("data", JSON, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    # NULL until the deliveries to the destinations of that moment are there.
    Column("addressed_at_ms", BigInteger),
    UniqueConstraint("tenant", "key"),
    UniqueConstraint("name"),
    Index("ix_notifications_unaddressed", "addressed_at_ms", "id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    id_column(),
    tenant_column(),
    Column("notification_id", RowId, ForeignKey("notifications.id"), nullable=False),
    Column("destination_id", RowId, ForeignKey("destinations.id"), nullable=False),
    # pending, delivered, dead
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    # When it is tried (again), or while it is under way the end of the lease. NULL: never by itself.
    Column("due_at_ms", BigInteger),
    Column("lease_token", String(36)),
    Column("last_status", Integer),
    Column("last_detail", String(500)),
    Column("finished_at_ms", BigInteger),
    UniqueConstraint("notification_id", "destination_id"),
    Index(None, "due_at_ms"),
    Index(None, "tenant", "state"),
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    id_column(),
    tenant_column(),
    Column("delivery_id", RowId, ForeignKey("deliveries.id"), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("status", Integer),
    Column("detail", String(500), nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Index(None, "delivery_id"),
)

balance_watches = Table(
    "balance_watches",
    metadata,
    # What was last told of an account's credits of one type: that they are low, or that they are not any more.
    Column("account_id", RowId, ForeignKey("accounts.id"), primary_key=True),
    Column("credit_type", String(64), primary_key=True),
    tenant_column(),
    # 0 or 1
    Column("is_low", Integer, nullable=False),
    # Number of the entry after which that was so.
    Column("seq", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

watch_cursors = Table(
    "watch_cursors",
    metadata,
    # How far the watch over balances has read the entries, and the one over lots the instants at which they lapse.
    Column("name", String(16), primary_key=True),
    tenant_column(),
    Column("at", BigInteger, nullable=False),
    Column("row_id", BigInteger, nullable=False),
)
