"""What of a subscription's credits lapsed without having been used. SQL, in the caller's transaction."""

from sqlalchemy import Connection, func, select

from credits.config.settings import Tenant
from credits.ledger.model import DebitKind
from credits.ledger.tables import entries, entry_lots, grants
from credits.plans.tables import carries, plan_lots, plan_periods


def lapsed_since(
    connection: Connection,
    tenant: Tenant,
    provider: str,
    subscription_id: str,
    credit_type: str,
    *,
    since_ms: int,
    now_ms: int,
) -> int:
    """
    Credits of the segments that `since_ms` splits or comes before which lapsed unused by now, and were not carried on.

    What went back with a refund or dispute is none of them: it stands for other money.
    """
    lapsed = (
        select(func.coalesce(func.sum(-entry_lots.c.amount), 0))
        .join(entries, entries.c.id == entry_lots.c.entry_id)
        .where(entry_lots.c.grant_id == grants.c.id, entries.c.kind == DebitKind.EXPIRE)
        .scalar_subquery()
    )
    carried = (
        select(func.coalesce(func.sum(carries.c.amount), 0)).where(carries.c.grant_id == grants.c.id).scalar_subquery()
    )
    query = (
        select(
            grants.c.remaining,
            grants.c.expires_at_ms,
            plan_lots.c.rolls,
            plan_lots.c.cap,
            lapsed.label("lapsed"),
            carried.label("carried"),
        )
        .join(plan_lots, plan_lots.c.grant_id == grants.c.id)
        .join(plan_periods, plan_periods.c.id == plan_lots.c.period_id)
        .where(
            plan_periods.c.tenant == tenant,
            plan_periods.c.provider == provider,
            plan_periods.c.subscription_id == subscription_id,
            plan_lots.c.credit_type == credit_type,
            plan_lots.c.end_ms > since_ms,
        )
    )
    total = 0
    for row in connection.execute(query):
        total += row.lapsed - row.carried
        if row.expires_at_ms is not None and row.expires_at_ms <= now_ms:
            # Not swept yet: as much of it will be carried on as the cap allows.
            to_carry = 0 if not row.rolls else row.remaining if row.cap is None else min(row.remaining, row.cap)
            total += row.remaining - to_carry
    return total
