"""Whether the inbox moves: how many events are unfinished, in which state, and since when."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from credits.inbox.model import FINISHED, NEEDS_OPERATOR, EventState
from credits.inbox.tables import events


@dataclass(frozen=True, slots=True, kw_only=True)
class StateHealth:
    """The unfinished events of one tenant in one state."""

    tenant: str
    state: str
    count: int
    oldest_age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxHealth:
    """Every state that has unfinished events."""

    states: tuple[StateHealth, ...]

    def alarms(self, alarm_age_s: int) -> list[str]:
        """
        What somebody should look at, in sentences.

        An event that a worker should have taken is an alarm when it is older than `alarm_age_s`; one that needs an
        operator is an alarm at once; one that waits for something is none.
        """
        found = []
        for part in self.states:
            if part.state in NEEDS_OPERATOR:
                found.append(
                    f"{part.count} {part.tenant} events are {part.state}: credits events list --status {part.state}"
                )
            elif part.state != EventState.WAITING and part.oldest_age_s > alarm_age_s:
                found.append(
                    f"{part.count} {part.tenant} events are {part.state}, the oldest for {part.oldest_age_s:.0f} s: "
                    "are workers running?"
                )
        return found


def inbox_health(connection: Connection, *, now_ms: int) -> InboxHealth:
    """Read the unfinished events; costs one pass over their index, not over the finished ones."""
    unfinished = sorted(set(EventState) - FINISHED)
    rows = connection.execute(
        select(events.c.tenant, events.c.state, func.count(), func.min(events.c.received_at_ms))
        .where(events.c.state.in_(unfinished))
        .group_by(events.c.tenant, events.c.state)
        .order_by(events.c.tenant, events.c.state)
    )
    return InboxHealth(
        states=tuple(
            StateHealth(tenant=row[0], state=row[1], count=row[2], oldest_age_s=max(0, now_ms - row[3]) / 1000)
            for row in rows
        )
    )
