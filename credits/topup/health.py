"""Whether top-ups move: how many are in flight, since when, and which of them have been for too long."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, select

from credits.clock import iso
from credits.config.settings import Tenant
from credits.topup.model import AttemptState
from credits.topup.tables import topup_attempts as attempts

ALARM_AGE_S: Final = 3_600
"""A card is charged in seconds and its credits are there in minutes. A bank that takes days says so: see `pending`."""

PENDING_ALARM_AGE_S: Final = 5 * 86_400
"""For a charge that the provider says is on its way: no bank takes longer."""

_MOST_LISTED: Final = 1_000

_IN_FLIGHT: Final = attempts.c.ended_at_ms.is_(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """The top-ups of one tenant in one state that are not over."""

    tenant: str
    state: str
    count: int
    oldest_age_s: float

    @property
    def alarm(self) -> str | None:
        """What somebody should look at, in a sentence."""
        limit_s = PENDING_ALARM_AGE_S if self.state == AttemptState.PENDING else ALARM_AGE_S
        if self.oldest_age_s <= limit_s:
            return None
        return (
            f"a {self.tenant} top-up is {self.state} and has been in flight for {self.oldest_age_s:.0f} s; "
            f"nothing more is charged for its account meanwhile: credits topup in-flight"
        )


def topup_health(connection: Connection, *, now_ms: int) -> tuple[InFlight, ...]:
    """Read what is in flight; costs one pass over the index of that, not over what is over."""
    rows = connection.execute(
        select(attempts.c.tenant, attempts.c.state, func.count(), func.min(attempts.c.begun_at_ms))
        .where(attempts.c.tenant.in_(sorted(Tenant)), _IN_FLIGHT)
        .group_by(attempts.c.tenant, attempts.c.state)
        .order_by(attempts.c.tenant, attempts.c.state)
    )
    return tuple(
        InFlight(tenant=row[0], state=row[1], count=row[2], oldest_age_s=max(0, now_ms - row[3]) / 1000) for row in rows
    )


def list_in_flight(connection: Connection, tenant: Tenant, *, now_ms: int) -> list[dict[str, Any]]:
    """Every top-up of a tenant that is not over, the oldest first, up to 1,000."""
    rows = connection.execute(
        select(attempts)
        .where(attempts.c.tenant == tenant, _IN_FLIGHT)
        .order_by(attempts.c.begun_at_ms)
        .limit(_MOST_LISTED)
    ).mappings()
    return [
        {
            "account": row["account"],
            "credit_type": row["credit_type"],
            "state": row["state"],
            "age_s": max(0, now_ms - row["begun_at_ms"]) // 1000,
            "amount": row["amount"],
            "cost_minor": row["cost_minor"],
            "currency": row["currency"],
            "provider": row["provider"],
            "payment": row["payment_id"],
            "charge_id": row["charge_id"],
            "purchase_id": row["quote_id"],
            "due_at": iso(row["due_at_ms"]),
        }
        for row in rows
    ]
