"""SQL of events that are not finished. Every function runs in the caller's transaction."""

from typing import Final

from sqlalchemy import Connection, select

from credits.config.settings import Tenant
from credits.inbox.model import CLAIMABLE
from credits.inbox.tables import events

MOST_UNFINISHED: Final = 500


def unfinished_bodies(connection: Connection, tenant: Tenant, provider: str, event_type: str) -> list[bytes]:
    """The bodies of events of one type that may yet move credits, the newest first, 500 (`MOST_UNFINISHED`) at most."""
    query = (
        select(events.c.body)
        .where(
            events.c.tenant == tenant,
            events.c.provider == provider,
            events.c.event_type == event_type,
            events.c.state.in_(sorted(CLAIMABLE)),
        )
        .order_by(events.c.id.desc())
        .limit(MOST_UNFINISHED)
    )
    return [bytes(body) for body in connection.execute(query).scalars()]
