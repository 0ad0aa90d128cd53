"""Tables of the inbox. A row is never deleted while its event is not done."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from credits.db import RowId, id_column, metadata, tenant_column

events = Table(
    "events",
    metadata,
    id_column(),
    tenant_column(),
    Column("provider", String(32), nullable=False),
    # The connected account at the provider, '' for our own.
    Column("provider_account", String(64), nullable=False, default=""),
    # The mode of the endpoint it came to; differs from tenant only for a rejected event.
    Column("endpoint", String(8), nullable=False),
    Column("event_id", String(255), nullable=False),
    Column("event_type", String(100), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    # Why it is in that state: an error's code, and the sentence that goes with it.
    Column("code", String(64)),
    Column("detail", Text),
    Column("attempts", Integer, nullable=False, default=0),
    # How often a worker took the event and was not heard of again.
    Column("crashes", Integer, nullable=False, default=0),
    # When it is due: its next attempt, or while it is being processed the end of the lease. NULL: never by itself.
    Column("due_at_ms", BigInteger),
    # Who is processing it; whoever finishes it must still hold the token.
    Column("lease_token", String(36)),
    # Set by an operator: whose it is, and what it bought.
    Column("attached_account", String(200)),
    Column("attached_credit_type", String(64)),
    Column("attached_amount", BigInteger),
    Column("deliveries", Integer, nullable=False, default=1),
    Column("occurred_at_ms", BigInteger),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("finished_at_ms", BigInteger),
    UniqueConstraint("tenant", "provider", "provider_account", "endpoint", "event_id"),
    Index(None, "due_at_ms"),
    Index(None, "tenant", "state"),
    Index(None, "tenant", "received_at_ms"),
)

event_waits = Table(
    "event_waits",
    metadata,
    Column("event_id", RowId, ForeignKey("events.id"), primary_key=True),
    # What will wake the event up: `stripe:customer:cus_1`, `ls:subscription:7`.
    Column("subject", String(255), primary_key=True),
    tenant_column(),
    Index(None, "tenant", "subject"),
)
