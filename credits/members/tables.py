"""Tables of members: their limits, what each has used in all, and changes that the gate has yet to hear of."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, String, Table

from credits.db import RowId, metadata, tenant_column

member_limits = Table(
    "member_limits",
    metadata,
    Column("account_id", RowId, ForeignKey("accounts.id"), primary_key=True),
    Column("member", String(200), primary_key=True),
    Column("credit_type", String(64), primary_key=True),
    # day, month, ever
    Column("per", String(8), primary_key=True),
    tenant_column(),
    Column("amount", BigInteger, nullable=False),
    # What an operator raised it to for a while, and until when; both or neither.
    Column("raised_to", BigInteger),
    Column("raised_until_ms", BigInteger),
    Column("changed_at_ms", BigInteger, nullable=False),
    CheckConstraint("amount >= 0", name="amount_not_negative"),
    CheckConstraint("(raised_to IS NULL) = (raised_until_ms IS NULL)", name="raised_until"),
)

# Σ of the member's entries, kept by whoever books them: a limit for ever need not re-add years of entries.
member_usage = Table(
    "member_usage",
    metadata,
    Column("account_id", RowId, ForeignKey("accounts.id"), primary_key=True),
    Column("member", String(200), primary_key=True),
    Column("credit_type", String(64), primary_key=True),
    tenant_column(),
    Column("used", BigInteger, nullable=False),
)

# Written with the change, deleted once the gate has it.
member_changes = Table(
    "member_changes",
    metadata,
    Column("account_id", RowId, ForeignKey("accounts.id"), primary_key=True),
    Column("mv", BigInteger, primary_key=True),
    tenant_column(),
    # Whose limits; empty: the account's time zone, which concerns all of them.
    Column("member", String(200)),
    Column("created_at_ms", BigInteger, nullable=False),
)
