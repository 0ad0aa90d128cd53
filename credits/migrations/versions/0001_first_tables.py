"""
The first tables: inbox, ledger, plans, purchases, API keys, audit log.

Names of keys, constraints and indexes follow the naming convention in credits.db.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_APPEND_ONLY = ("entries", "entry_lots", "audit_log")
_REFUSAL = "rows of this table are never changed or deleted; add a row that corrects it"


def upgrade() -> None:
    """Create everything in an empty database."""
    _create_inbox()
    _create_accounts()
    _create_grants()
    _create_entries()
    _create_outbox()
    _create_plans()
    _create_purchases()
    _create_operations()
    _refuse_changes()


def downgrade() -> None:
    """Drop everything, and all that is in it."""
    for table in (
        *("api_keys", "audit_log", "job_runs", "purchases", "subscriptions", "provider_customers"),
        *("outbox", "entry_lots", "entries", "grants", "balances", "accounts", "event_waits", "events"),
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION creditgate_refuse_change()")


def _row_id(name: str, *arguments: sa.ForeignKey, nullable: bool = False, primary_key: bool = False) -> sa.Column[int]:
    # SQLite numbers rows by itself only in a column declared INTEGER.
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, kind, *arguments, nullable=nullable, primary_key=primary_key)


def _tenant(*, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column("tenant", sa.String(8), nullable=False, primary_key=primary_key)


def _text(name: str, length: int, *, nullable: bool = False, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable, primary_key=primary_key)


def _whole(name: str, *, nullable: bool = False, primary_key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable, primary_key=primary_key, autoincrement=False)


def _small(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def _create_inbox() -> None:
    op.create_table(
        "events",
        _row_id("id", primary_key=True),
        _tenant(),
        _text("provider", 32),
        _text("provider_account", 64),
        _text("endpoint", 8),
        _text("event_id", 255),
        _text("event_type", 100),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _text("state", 16),
        _text("code", 64, nullable=True),
        sa.Column("detail", sa.Text()),
        _small("attempts"),
        _small("crashes"),
        _whole("due_at_ms", nullable=True),
        _text("lease_token", 36, nullable=True),
        _text("attached_account", 200, nullable=True),
        _text("attached_credit_type", 64, nullable=True),
        _whole("attached_amount", nullable=True),
        _small("deliveries"),
        _whole("occurred_at_ms", nullable=True),
        _whole("received_at_ms"),
        _whole("finished_at_ms", nullable=True),
        sa.UniqueConstraint("tenant", "provider", "provider_account", "endpoint", "event_id"),
        sa.Index(None, "due_at_ms"),
        sa.Index(None, "tenant", "state"),
        sa.Index(None, "tenant", "received_at_ms"),
    )
    op.create_table(
        "event_waits",
        _row_id("event_id", sa.ForeignKey("events.id"), primary_key=True),
        _text("subject", 255, primary_key=True),
        _tenant(),
        sa.Index(None, "tenant", "subject"),
    )


def _create_accounts() -> None:
    op.create_table(
        "accounts",
        _row_id("id", primary_key=True),
        _tenant(),
        _text("external_id", 200),
        _whole("sv"),
        _whole("created_at_ms"),
        sa.UniqueConstraint("tenant", "external_id"),
    )
    op.create_table(
        "balances",
        _row_id("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
        _text("credit_type", 64, primary_key=True),
        _tenant(),
        _whole("balance"),
        _whole("debt"),
        _whole("seq"),
        sa.CheckConstraint("debt >= 0", name="debt_not_negative"),
    )


def _create_grants() -> None:
    op.create_table(
        "grants",
        _row_id("id", primary_key=True),
        _tenant(),
        _row_id("account_id", sa.ForeignKey("accounts.id")),
        _text("credit_type", 64),
        _whole("amount"),
        _whole("remaining"),
        _whole("frozen"),
        _text("source", 16),
        _text("source_ref", 255),
        _text("plan", 64, nullable=True),
        _whole("priority"),
        _whole("effective_at_ms"),
        _whole("expires_at_ms", nullable=True),
        _whole("paid_minor", nullable=True),
        _text("currency", 3, nullable=True),
        _text("key", 255),
        _whole("created_at_ms"),
        sa.UniqueConstraint("tenant", "key"),
        sa.CheckConstraint("remaining >= 0 AND remaining <= amount", name="remaining_within_amount"),
        sa.CheckConstraint("frozen >= 0 AND frozen <= remaining", name="frozen_within_remaining"),
        sa.CheckConstraint("amount >= 1", name="amount_positive"),
        sa.Index(None, "account_id", "credit_type"),
        sa.Index(None, "tenant", "source_ref"),
    )


def _create_entries() -> None:
    op.create_table(
        "entries",
        _row_id("id", primary_key=True),
        _tenant(),
        _row_id("account_id", sa.ForeignKey("accounts.id")),
        _text("credit_type", 64),
        _whole("seq"),
        _text("kind", 16),
        _whole("amount"),
        _whole("balance_after"),
        _whole("debt_after"),
        _text("key", 255),
        _text("fingerprint", 64),
        _text("reservation_id", 200, nullable=True),
        _text("member", 200, nullable=True),
        _text("actor", 200),
        _text("reason", 500),
        _row_id("event_id", nullable=True),
        sa.Column("meta", sa.JSON(), nullable=False),
        _whole("at_ms"),
        sa.UniqueConstraint("account_id", "credit_type", "seq"),
        sa.UniqueConstraint("tenant", "key"),
        sa.CheckConstraint("amount <> 0", name="amount_moves"),
        sa.Index(None, "event_id"),
    )
    op.create_table(
        "entry_lots",
        _row_id("entry_id", sa.ForeignKey("entries.id"), primary_key=True),
        _row_id("grant_id", sa.ForeignKey("grants.id"), primary_key=True),
        _tenant(),
        _whole("amount"),
        sa.Index(None, "grant_id"),
    )


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        _row_id("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
        _whole("sv", primary_key=True),
        _tenant(),
        _row_id("grant_id", sa.ForeignKey("grants.id")),
        _text("credit_type", 64),
        _whole("amount"),
        _whole("debt_repaid"),
        _whole("created_at_ms"),
    )


def _create_plans() -> None:
    op.create_table(
        "provider_customers",
        _tenant(primary_key=True),
        _text("provider", 32, primary_key=True),
        _text("customer_id", 255, primary_key=True),
        _row_id("account_id", sa.ForeignKey("accounts.id")),
        _whole("created_at_ms"),
        sa.Index(None, "account_id"),
    )
    op.create_table(
        "subscriptions",
        _tenant(primary_key=True),
        _text("provider", 32, primary_key=True),
        _text("subscription_id", 255, primary_key=True),
        _row_id("account_id", sa.ForeignKey("accounts.id"), nullable=True),
        _text("customer_id", 255, nullable=True),
        sa.Column("product_ids", sa.JSON(), nullable=False),
        _text("status", 32, nullable=True),
        _whole("quantity", nullable=True),
        _whole("period_start_ms", nullable=True),
        _whole("period_end_ms", nullable=True),
        _text("interval", 16, nullable=True),
        _small("ended"),
        _whole("stamp_ms"),
        _small("rank"),
        _whole("updated_at_ms"),
        sa.Index(None, "account_id"),
    )


def _create_purchases() -> None:
    op.create_table(
        "purchases",
        _row_id("id", primary_key=True),
        _tenant(),
        _text("quote_id", 64, nullable=True),
        _text("key", 255, nullable=True),
        _text("account", 200, nullable=True),
        _text("credit_type", 64, nullable=True),
        _whole("amount", nullable=True),
        _whole("asked_minor", nullable=True),
        _text("currency", 3, nullable=True),
        _whole("paid_minor", nullable=True),
        _text("state", 16),
        _text("reason", 500),
        _whole("created_at_ms"),
        _whole("updated_at_ms"),
        sa.UniqueConstraint("tenant", "quote_id"),
        sa.UniqueConstraint("tenant", "key"),
        sa.CheckConstraint("quote_id IS NOT NULL OR key IS NOT NULL", name="named"),
        sa.Index(None, "tenant", "account"),
    )


def _create_operations() -> None:
    op.create_table(
        "job_runs",
        _tenant(primary_key=True),
        _text("name", 64, primary_key=True),
        _whole("slot", primary_key=True),
        _whole("started_at_ms"),
    )
    op.create_table(
        "api_keys",
        _row_id("id", primary_key=True),
        _tenant(),
        _text("kid", 16),
        _text("name", 200),
        _text("secret_sha256", 64),
        sa.Column("scopes", sa.JSON(), nullable=False),
        _whole("created_at_ms"),
        _whole("expires_at_ms", nullable=True),
        _whole("revoked_at_ms", nullable=True),
        sa.UniqueConstraint("kid"),
    )
    op.create_table(
        "audit_log",
        _row_id("id", primary_key=True),
        _tenant(),
        _text("actor", 200),
        _text("action", 64),
        _text("subject", 255),
        _text("reason", 500),
        sa.Column("detail", sa.JSON(), nullable=False),
        _whole("at_ms"),
        sa.Index(None, "tenant", "subject"),
    )


def _refuse_changes() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION creditgate_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"RAISE EXCEPTION '%: {_REFUSAL}', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$"
        )
        for table in _APPEND_ONLY:
            op.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION creditgate_refuse_change()"
            )
        return
    for table in _APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table}: {_REFUSAL}'); END"
            )
