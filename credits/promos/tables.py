"""Tables of promo codes: what each gives, how often, and who has redeemed it."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, String, Table

from credits.db import RowId, metadata, tenant_column

promo_codes = Table(
    "promo_codes",
    metadata,
    tenant_column(primary_key=True),
    Column("code", String(64), primary_key=True),
    Column("credit_type", String(64), nullable=False),
    Column("amount", BigInteger, nullable=False),
    # How often in all (null: any number of times), and by one account.
    Column("max_uses", BigInteger),
    Column("per_account", BigInteger, nullable=False),
    Column("uses", BigInteger, nullable=False),
    # When the code stops working, and how many days its credits last.
    Column("expires_at_ms", BigInteger),
    Column("credits_days", BigInteger),
    Column("created_at_ms", BigInteger, nullable=False),
    CheckConstraint("max_uses IS NULL OR uses <= max_uses", name="uses_within_max"),
)

promo_redemptions = Table(
    "promo_redemptions",
    metadata,
    tenant_column(primary_key=True),
    Column("code", String(64), primary_key=True),
    Column("account_id", RowId, ForeignKey("accounts.id"), primary_key=True),
    # The caller's own name of the redemption: repeated with it, nothing is redeemed again.
    Column("name", String(200), primary_key=True),
    Column("grant_key", String(255), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)
