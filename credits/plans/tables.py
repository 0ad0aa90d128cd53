"""Tables of plans: whose customer is whose, and each subscription as its provider last showed it."""

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, String, Table

from credits.db import RowId, metadata, tenant_column

provider_customers = Table(
    "provider_customers",
    metadata,
    tenant_column(primary_key=True),
    Column("provider", String(32), primary_key=True),
    Column("customer_id", String(255), primary_key=True),
    Column("account_id", RowId, ForeignKey("accounts.id"), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Index(None, "account_id"),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    tenant_column(primary_key=True),
    Column("provider", String(32), primary_key=True),
    Column("subscription_id", String(255), primary_key=True),
    Column("account_id", RowId, ForeignKey("accounts.id")),
    Column("customer_id", String(255)),
    Column("product_ids", JSON, nullable=False),
    Column("status", String(32)),
    Column("quantity", BigInteger),
    Column("period_start_ms", BigInteger),
    Column("period_end_ms", BigInteger),
    # Length of a billing period, read off the first one: "1 month", "1 year".
    Column("interval", String(16)),
    Column("ended", Integer, nullable=False, default=0),
    # Which sight of the provider's this row shows: the later stamp wins, then the higher rank.
    Column("stamp_ms", BigInteger, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Index(None, "account_id"),
)
