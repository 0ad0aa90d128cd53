"""SQL of destinations. Every function runs in the caller's transaction."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, func, select, update

from credits.config.settings import Tenant
from credits.db import insert_new
from credits.notifications.model import DeliveryState, Destination, Kind
from credits.notifications.tables import deliveries, destinations


def insert_destination(
    connection: Connection, tenant: Tenant, *, name: str, url: str, kinds: Collection[Kind], now_ms: int
) -> Destination | None:
    """Add a destination; it hears of what happens from now on. None if there is one of that name, or was."""
    row = insert_new(
        connection,
        destinations,
        {
            "tenant": tenant,
            "name": name,
            "url": url,
            "kinds": sorted(kinds),
            "secret_version": 1,
            "created_at_ms": now_ms,
        },
        unique=("name",),
        returning=[column.name for column in destinations.c],
    )
    return None if row is None else read_destination(row)


def find_destination(connection: Connection, tenant: Tenant, name: str) -> Destination | None:
    """A destination that is not deleted."""
    row = connection.execute(_present(tenant).where(destinations.c.name == name)).mappings().one_or_none()
    return None if row is None else read_destination(row)


def list_destinations(connection: Connection, tenant: Tenant | None = None) -> list[Destination]:
    """Every destination of a tenant (of both, if none is named) that is not deleted, the oldest first."""
    return [
        read_destination(row) for row in connection.execute(_present(tenant).order_by(destinations.c.id)).mappings()
    ]


def count_destinations(connection: Connection, tenant: Tenant) -> int:
    """How many destinations a tenant has."""
    query = select(func.count()).select_from(_present(tenant).subquery())
    return int(connection.execute(query).scalar_one())


def change_destination(connection: Connection, destination_id: int, **values: Any) -> Destination:
    """Set columns of a destination; answers it as it is now."""
    statement = update(destinations).where(destinations.c.id == destination_id).values(**values)
    return read_destination(connection.execute(statement.returning(*destinations.c)).mappings().one())


def drop_pending(connection: Connection, destination_id: int, *, detail: str, now_ms: int) -> int:
    """End what is on its way to a destination that is gone; answers how many deliveries."""
    return connection.execute(
        update(deliveries)
        .where(deliveries.c.destination_id == destination_id, deliveries.c.state == DeliveryState.PENDING)
        .values(state=DeliveryState.DEAD, due_at_ms=None, lease_token=None, last_detail=detail, finished_at_ms=now_ms)
    ).rowcount


def _present(tenant: Tenant | None) -> Select[Any]:
    query = select(destinations).where(destinations.c.deleted_at_ms.is_(None))
    return query if tenant is None else query.where(destinations.c.tenant == tenant)


def read_destination(row: Any) -> Destination:
    """A row of the table as a value."""
    return Destination(
        id=row["id"],
        name=row["name"],
        tenant=Tenant(row["tenant"]),
        url=row["url"],
        kinds=frozenset(Kind(kind) for kind in row["kinds"]),
        secret_version=row["secret_version"],
        previous_until_ms=row["previous_until_ms"],
        disabled_reason=row["disabled_reason"],
    )
