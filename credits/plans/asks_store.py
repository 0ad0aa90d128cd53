"""SQL of what changes of plan ask for. Every function runs in the caller's transaction."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from credits.config.settings import Tenant
from credits.db import insert_new
from credits.ids import digest
from credits.plans.tables import plan_asks, plan_lots, plan_periods
from credits.reversals.model import CHANGE_OP

Row = Mapping[str, Any]
"""Of plan_asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Credits of one type that are to go for one change, or of one period that was granted too much."""

    key: str
    credit_type: str
    plan: str
    source_ref: str
    """The invoice, whose own lots it does not split; empty where these are what it is about."""
    since_ms: int
    cut_ms: int
    end_ms: int
    asked: int


def op_of(ask: Row, step: int) -> str:
    """The op of an ask's first, second or later step: each is an order, or gives some back."""
    op = f"{CHANGE_OP}{digest(ask['tenant'], ask['key'], ask['credit_type'])[:32]}"
    return op if step == 1 else f"{op}:{step}"


def note_ask(
    connection: Connection, tenant: Tenant, account_id: int, provider: str, subscription_id: str, ask: Ask
) -> None:
    """Keep what is asked for as it is decided now, in place of what was before."""
    identity = {"tenant": tenant, "key": ask.key, "credit_type": ask.credit_type}
    values = {
        "plan": ask.plan,
        "source_ref": ask.source_ref,
        "since_ms": ask.since_ms,
        "cut_ms": ask.cut_ms,
        "end_ms": ask.end_ms,
        "asked": ask.asked,
    }
    owner = {"account_id": account_id, "provider": provider, "subscription_id": subscription_id}
    row = {**identity, **owner, **values, "ordered": 0, "steps": 0}
    if insert_new(connection, plan_asks, row, unique=tuple(identity), returning=("key",)) is None:
        of_ask = [plan_asks.c[name] == value for name, value in identity.items()]
        connection.execute(update(plan_asks).where(*of_ask).values(**values))


def asks_of(connection: Connection, tenant: Tenant, provider: str, subscription_id: str) -> list[dict[str, Any]]:
    """What was ever asked of a subscription's credits, in the order of the changes."""
    query = (
        select(plan_asks)
        .where(
            plan_asks.c.tenant == tenant,
            plan_asks.c.provider == provider,
            plan_asks.c.subscription_id == subscription_id,
        )
        .order_by(plan_asks.c.since_ms, plan_asks.c.key, plan_asks.c.credit_type)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def change_ask(connection: Connection, ask: Row, **values: Any) -> None:
    """Write down how far an ask has come."""
    of_ask = [plan_asks.c[name] == ask[name] for name in ("tenant", "key", "credit_type")]
    connection.execute(update(plan_asks).where(*of_ask).values(**values))


def due(connection: Connection, *, now_ms: int, limit: int) -> list[tuple[str, str, str]]:
    """(tenant, provider, subscription) of asks that are to be looked at again."""
    columns = (plan_asks.c.tenant, plan_asks.c.provider, plan_asks.c.subscription_id)
    query = select(*columns).where(plan_asks.c.due_at_ms <= now_ms).distinct().order_by(*columns).limit(limit)
    return [tuple(row) for row in connection.execute(query)]


def subscriptions_of(connection: Connection, grant_ids: Collection[int]) -> list[tuple[str, str]]:
    """(provider, subscription) of those of these lots that a subscription paid for and that a change asks of."""
    query = (
        select(plan_periods.c.provider, plan_periods.c.subscription_id)
        .join(plan_lots, plan_lots.c.period_id == plan_periods.c.id)
        .join(
            plan_asks,
            (plan_asks.c.tenant == plan_periods.c.tenant)
            & (plan_asks.c.provider == plan_periods.c.provider)
            & (plan_asks.c.subscription_id == plan_periods.c.subscription_id),
        )
        .where(plan_lots.c.grant_id.in_(sorted(grant_ids)))
        .distinct()
    )
    return sorted(tuple(row) for row in connection.execute(query))
