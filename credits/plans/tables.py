"""Tables of plans: customers, subscriptions and their history, paid periods and their lots, what is carried over."""

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from credits.db import RowId, id_column, metadata, tenant_column

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

# Every sight of a subscription that was told, so that a late invoice finds the plan of its own time.
subscription_sights = Table(
    "subscription_sights",
    metadata,
    tenant_column(primary_key=True),
    Column("provider", String(32), primary_key=True),
    Column("subscription_id", String(255), primary_key=True),
    Column("stamp_ms", BigInteger, primary_key=True),
    Column("rank", Integer, primary_key=True),
    # Of what it says: two sights with one stamp and rank are both kept, and always count in the same order.
    Column("digest", String(64), primary_key=True),
    Column("product_ids", JSON, nullable=False),
    Column("status", String(32)),
    Column("quantity", BigInteger),
    Column("period_start_ms", BigInteger),
    Column("period_end_ms", BigInteger),
    Column("trial_end_ms", BigInteger),
    Column("is_first", Integer, nullable=False),
    Column("is_paused", Integer, nullable=False),
    Column("is_unpaid", Integer, nullable=False),
    Column("ended", Integer, nullable=False),
)

plan_periods = Table(
    "plan_periods",
    metadata,
    id_column(),
    tenant_column(),
    Column("account_id", RowId, ForeignKey("accounts.id"), nullable=False),
    Column("provider", String(32), nullable=False),
    Column("subscription_id", String(255), nullable=False),
    Column("key", String(255), nullable=False),
    Column("source_ref", String(255), nullable=False),
    Column("plan", String(64), nullable=False),
    # period, change, trial
    Column("kind", String(8), nullable=False),
    Column("anchor_ms", BigInteger, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("cut_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger),
    Column("parts", JSON, nullable=False),
    Column("zone", String(64), nullable=False),
    Column("quantity", BigInteger),
    Column("paid_minor", BigInteger),
    Column("currency", String(3)),
    Column("full_price_minor", BigInteger),
    Column("event_id", RowId),
    # Up to when its drips are decided, and when to look at it next; None: nothing more is due.
    Column("dripped_to_ms", BigInteger, nullable=False),
    Column("due_at_ms", BigInteger),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("tenant", "key"),
    Index(None, "tenant", "provider", "subscription_id"),
    Index(None, "account_id"),
    Index(None, "due_at_ms"),
)

plan_lots = Table(
    "plan_lots",
    metadata,
    Column("grant_id", RowId, ForeignKey("grants.id"), primary_key=True),
    tenant_column(),
    Column("period_id", RowId, ForeignKey("plan_periods.id"), nullable=False),
    Column("credit_type", String(64), nullable=False),
    # The segment that it was granted for.
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger),
    # What is left when it lapses may be carried on: how often yet (None: any number of times), and how much in all.
    Column("rolls", Integer, nullable=False),
    Column("carries_left", BigInteger),
    Column("cap", BigInteger),
    Index(None, "period_id"),
)

# What each change of plan is decided by, as it was then. All of a subscription's are decided anew when more is told.
plan_splits = Table(
    "plan_splits",
    metadata,
    id_column(),
    tenant_column(),
    Column("account_id", RowId, ForeignKey("accounts.id"), nullable=False),
    Column("provider", String(32), nullable=False),
    Column("subscription_id", String(255), nullable=False),
    Column("key", String(255), nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    # Policy, direction, and both sides with their credits.
    Column("body", JSON, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("tenant", "key"),
    Index(None, "tenant", "provider", "subscription_id"),
    Index(None, "account_id"),
)

# Credits that are to go for money that a change of plan gave back, and how many of them were ordered.
plan_asks = Table(
    "plan_asks",
    metadata,
    tenant_column(primary_key=True),
    # The change; or a period that was granted more than is known to be due by now.
    Column("key", String(255), primary_key=True),
    Column("credit_type", String(64), primary_key=True),
    Column("account_id", RowId, ForeignKey("accounts.id"), nullable=False),
    Column("provider", String(32), nullable=False),
    Column("subscription_id", String(255), nullable=False),
    Column("plan", String(64), nullable=False),
    # Its invoice, whose own lots it does not split; empty for what a period was granted too much.
    Column("source_ref", String(255), nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("cut_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("asked", BigInteger, nullable=False),
    # Less what was given back since, when it turned out to be too much; and how many steps that took.
    Column("ordered", BigInteger, nullable=False),
    Column("steps", BigInteger, nullable=False),
    # When to look again at what became of its credits; None: when more is told.
    Column("due_at_ms", BigInteger),
    Index(None, "tenant", "provider", "subscription_id"),
    Index(None, "account_id"),
    Index(None, "due_at_ms"),
)

plan_changes = Table(
    "plan_changes",
    metadata,
    id_column(),
    tenant_column(),
    Column("provider", String(32), nullable=False),
    Column("subscription_id", String(255), nullable=False),
    Column("key", String(255), nullable=False),
    Column("plan", String(64), nullable=False),
    # The invoice that says so, when the plan was left, and up to when its drips stay.
    Column("source_ref", String(255), nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("cut_ms", BigInteger, nullable=False),
    Column("takes_rest", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("tenant", "key"),
    Index(None, "tenant", "provider", "subscription_id"),
)

# What lapsed of a lot and is carried on: written with the entry of its expiry, granted once the next segment is paid.
carries = Table(
    "carries",
    metadata,
    id_column(),
    tenant_column(),
    Column("grant_id", RowId, ForeignKey("grants.id"), nullable=False),
    Column("period_id", RowId, ForeignKey("plan_periods.id"), nullable=False),
    Column("credit_type", String(64), nullable=False),
    Column("key", String(255), nullable=False),
    Column("amount", BigInteger, nullable=False),
    # The end of the segment it comes from: where the next one begins.
    Column("from_ms", BigInteger, nullable=False),
    Column("carries_left", BigInteger),
    # open, done, void
    Column("state", String(8), nullable=False),
    # When to look for the next segment; None: when a period of its subscription is paid.
    Column("due_at_ms", BigInteger),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("tenant", "key"),
    Index(None, "period_id"),
    Index(None, "due_at_ms"),
)
