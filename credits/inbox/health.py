"""Whether the inbox moves: how many events are unfinished, in which state, and since when."""

from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select

from credits.config.settings import Tenant
from credits.inbox.model import FINISHED, NEEDS_OPERATOR, SUBSCRIPTION_UNKNOWN, EventState
from credits.inbox.tables import events


@dataclass(frozen=True, slots=True, kw_only=True)
class StateHealth:
    """The unfinished events of one tenant in one state."""

    tenant: str
    state: str
    count: int
    oldest_age_s: float
    oldest_payment_age_s: float | None = None
    """Of those that wait: the oldest payment whose subscription has not been heard of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxHealth:
    """Every state that has unfinished events."""

    states: tuple[StateHealth, ...]

    def alarms(self, alarm_age_s: int) -> list[str]:
        """
        What somebody should look at, in sentences.

        An event that a worker should have taken is an alarm when it is older than `alarm_age_s`; one that needs an
        operator is an alarm at once; one that waits is none, unless it is a payment: its money is there.
        """
        found = []
        for part in self.states:
            if part.state in NEEDS_OPERATOR:
                found.append(
                    f"{part.count} {part.tenant} events are {part.state}: credits events list --status {part.state}"
                )
            elif part.state == EventState.WAITING:
                if part.oldest_payment_age_s is not None and part.oldest_payment_age_s > alarm_age_s:
                    found.append(
                        f"a {part.tenant} payment has waited {part.oldest_payment_age_s:.0f} s for its subscription: "
                        f"credits events list --status waiting --code {SUBSCRIPTION_UNKNOWN}"
                    )
            elif part.oldest_age_s > alarm_age_s:
                found.append(
                    f"{part.count} {part.tenant} events are {part.state}, the oldest for {part.oldest_age_s:.0f} s: "
                    "are workers running?"
                )
        return found


def inbox_health(connection: Connection, *, now_ms: int) -> InboxHealth:
    """Read the unfinished events; costs one pass over their index, not over the finished ones."""
    unfinished = sorted(set(EventState) - FINISHED)
    payment_at_ms = case((events.c.code == SUBSCRIPTION_UNKNOWN, events.c.received_at_ms))
    rows = connection.execute(
        select(
            events.c.tenant,
            events.c.state,
            func.count(),
            func.min(events.c.received_at_ms),
            func.min(payment_at_ms),
        )
        # Every tenant there is, by name: the index begins with it.
        .where(events.c.tenant.in_(sorted(Tenant)), events.c.state.in_(unfinished))
        .group_by(events.c.tenant, events.c.state)
        .order_by(events.c.tenant, events.c.state)
    )
    return InboxHealth(
        states=tuple(
            StateHealth(
                tenant=row[0],
                state=row[1],
                count=row[2],
                oldest_age_s=_age_s(row[3], now_ms),
                oldest_payment_age_s=None if row[4] is None else _age_s(row[4], now_ms),
            )
            for row in rows
        )
    )


def _age_s(since_ms: int, now_ms: int) -> float:
    return max(0, now_ms - since_ms) / 1000
