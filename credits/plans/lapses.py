"""What became of the credits of a subscription's segments. SQL, in the caller's transaction."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from credits.config.settings import Tenant
from credits.ledger.model import DebitKind
from credits.ledger.tables import entries, entry_lots, grants
from credits.plans.tables import carries, plan_lots, plan_periods
from credits.reversals.tables import reversed_lots

_LAPSED: Final = (
    select(func.coalesce(func.sum(-entry_lots.c.amount), 0))
    .join(entries, entries.c.id == entry_lots.c.entry_id)
    .where(entry_lots.c.grant_id == grants.c.id, entries.c.kind == DebitKind.EXPIRE)
    .scalar_subquery()
)
_CARRIED: Final = (
    select(func.coalesce(func.sum(carries.c.amount), 0)).where(carries.c.grant_id == grants.c.id).scalar_subquery()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """Credits of one type that segments of a subscription handed out so far."""

    granted: int
    lapsed: int
    """Unused, and not carried on."""
    reversed: int
    """What refunds and disputes take of them."""

    def to_take(self, asked: int) -> int:
        """
        How many of `asked` credits go, which stand for money that a change of plan gave back.

        What lapsed unused is owed by nobody. What refunds take stands for other money; but where both are more than
        was handed out, as where more money went back than was paid, nobody gives back more than there was.
        """
        twice = min(self.reversed, max(0, asked + self.reversed - self.granted))
        return max(0, asked - twice - self.lapsed)


def segments_since(
    connection: Connection,
    tenant: Tenant,
    provider: str,
    subscription_id: str,
    credit_type: str,
    *,
    since_ms: int,
    now_ms: int,
) -> Segments:
    """The segments that `since_ms` splits or comes before."""
    query = (
        select(
            grants.c.amount,
            grants.c.remaining,
            grants.c.expires_at_ms,
            plan_lots.c.rolls,
            plan_lots.c.cap,
            _LAPSED.label("lapsed"),
            _CARRIED.label("carried"),
            func.coalesce(reversed_lots.c.wanted_clawed, 0).label("reversed"),
        )
        .join(plan_lots, plan_lots.c.grant_id == grants.c.id)
        .join(plan_periods, plan_periods.c.id == plan_lots.c.period_id)
        .outerjoin(reversed_lots, reversed_lots.c.grant_id == grants.c.id)
        .where(
            plan_periods.c.tenant == tenant,
            plan_periods.c.provider == provider,
            plan_periods.c.subscription_id == subscription_id,
            plan_lots.c.credit_type == credit_type,
            plan_lots.c.end_ms > since_ms,
        )
    )
    granted, gone, reversed_ = 0, 0, 0
    for row in connection.execute(query):
        granted += row.amount - row.carried
        gone += row.lapsed - row.carried
        reversed_ += row.reversed
        if row.expires_at_ms is not None and row.expires_at_ms <= now_ms:
            # Not swept yet: as much of it will be carried on as the cap allows.
            to_carry = 0 if not row.rolls else row.remaining if row.cap is None else min(row.remaining, row.cap)
            gone += row.remaining - to_carry
    return Segments(granted=granted, lapsed=gone, reversed=reversed_)
