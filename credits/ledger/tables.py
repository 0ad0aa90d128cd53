"""Tables of the ledger. Entries are inserted, never updated (a trigger refuses it); balances and lots follow them."""

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    String,
    Table,
    UniqueConstraint,
    text,
)

from credits.db import RowId, id_column, metadata, tenant_column

accounts = Table(
    "accounts",
    metadata,
    id_column(),
    tenant_column(),
    Column("external_id", String(200), nullable=False),
    # Number of the account's last credit; the gate applies credits in this order, once each.
    Column("sv", BigInteger, nullable=False, default=0),
    # Number of the last change of its members' limits or its time zone; the gate takes no older one for newer.
    Column("mv", BigInteger, nullable=False, server_default="0"),
    # Of the IANA database; whose midnight begins a day and a month of its members' limits.
    Column("time_zone", String(64), nullable=False, server_default="UTC"),
    # The credit type whose clawback was spent before: nothing is reserved until it is repaid, or an operator says so.
    Column("blocked_for", String(64)),
    Column("blocked_reason", String(500)),
    Column("blocked_at_ms", BigInteger),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("tenant", "external_id"),
    Index(
        None,
        "blocked_for",
        postgresql_where=text("blocked_for IS NOT NULL"),
        sqlite_where=text("blocked_for IS NOT NULL"),
    ),
)

balances = Table(
    "balances",
    metadata,
    Column("account_id", RowId, ForeignKey("accounts.id"), primary_key=True),
    Column("credit_type", String(64), primary_key=True),
    tenant_column(),
    Column("balance", BigInteger, nullable=False),
    Column("debt", BigInteger, nullable=False),
    # Number of the last entry.
    Column("seq", BigInteger, nullable=False),
    CheckConstraint("debt >= 0", name="debt_not_negative"),
)

grants = Table(
    "grants",
    metadata,
    id_column(),
    tenant_column(),
    Column("account_id", RowId, ForeignKey("accounts.id"), nullable=False),
    Column("credit_type", String(64), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("remaining", BigInteger, nullable=False),
    # Set aside while a dispute is open: part of remaining, not of what is available.
    Column("frozen", BigInteger, nullable=False, default=0),
    Column("source", String(16), nullable=False),
    # What was paid for, as the provider names it; refunds and disputes look it up.
    Column("source_ref", String(255), nullable=False),
    Column("plan", String(64)),
    Column("priority", BigInteger, nullable=False),
    Column("effective_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("paid_minor", BigInteger),
    Column("currency", String(3)),
    Column("key", String(255), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("tenant", "key"),
    CheckConstraint("remaining >= 0 AND remaining <= amount", name="remaining_within_amount"),
    CheckConstraint("frozen >= 0 AND frozen <= remaining", name="frozen_within_remaining"),
    CheckConstraint("amount >= 1", name="amount_positive"),
    Index(None, "account_id", "credit_type"),
    Index(None, "tenant", "source_ref"),
    # What lapses next: a lot that is used up does not.
    Index(
        "ix_grants_lapsing", "expires_at_ms", postgresql_where=text("remaining > 0"), sqlite_where=text("remaining > 0")
    ),
)

entries = Table(
    "entries",
    metadata,
    id_column(),
    tenant_column(),
    Column("account_id", RowId, ForeignKey("accounts.id"), nullable=False),
    Column("credit_type", String(64), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("balance_after", BigInteger, nullable=False),
    Column("debt_after", BigInteger, nullable=False),
    Column("key", String(255), nullable=False),
    # What the caller sent, digested: the same key with another fingerprint is a conflict.
    Column("fingerprint", String(64), nullable=False),
    Column("reservation_id", String(200)),
    # For whom the account spent, and when by the gate's clock: which day and month of the member's limits it is in.
    Column("member", String(200)),
    Column("spent_at_ms", BigInteger),
    Column("actor", String(200), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("event_id", RowId),
    # Which line of which gate's journal this was booked from: tells a redelivered line from a repeated spend.
    Column("journal_id", String(64)),
    Column("meta", JSON, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    UniqueConstraint("account_id", "credit_type", "seq"),
    UniqueConstraint("tenant", "key"),
    CheckConstraint("amount <> 0", name="amount_moves"),
    Index(None, "event_id"),
    Index(
        "ix_entries_member",
        "account_id",
        "member",
        "spent_at_ms",
        sqlite_where=text("member IS NOT NULL"),
        postgresql_where=text("member IS NOT NULL"),
    ),
)

entry_lots = Table(
    "entry_lots",
    metadata,
    Column("entry_id", RowId, ForeignKey("entries.id"), primary_key=True),
    Column("grant_id", RowId, ForeignKey("grants.id"), primary_key=True),
    tenant_column(),
    # What the entry put into the lot (positive) or took from it (negative).
    Column("amount", BigInteger, nullable=False),
    Index(None, "grant_id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("account_id", RowId, ForeignKey("accounts.id"), primary_key=True),
    Column("sv", BigInteger, primary_key=True),
    tenant_column(),
    Column("grant_id", RowId, ForeignKey("grants.id"), nullable=False),
    Column("credit_type", String(64), nullable=False),
    # What the grant added to what can be spent; the rest repaid debt.
    Column("amount", BigInteger, nullable=False),
    Column("debt_repaid", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)
