"""SQL of notifications. Every function runs in the caller's transaction."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, Select, delete, insert, select, update

from credits.config.settings import Tenant
from credits.db import insert_new
from credits.ids import new_id
from credits.notifications.destinations import read_destination
from credits.notifications.model import (
    Answered,
    Delivery,
    DeliveryState,
    Kind,
    Notification,
)
from credits.notifications.rules import Verdict
from credits.notifications.tables import deliveries, delivery_attempts, destinations, notifications

LEASE_MS: Final = 60_000
"""An attempt is over in 15 s; a worker that is silent for longer than this is taken for dead."""


# ── What happened ────────────────────────────────────────────────────────────────────────────────────────


def insert_notification(
    connection: Connection,
    tenant: Tenant,
    kind: Kind,
    *,
    key: str,
    account: str | None,
    data: dict[str, Any],
    now_ms: int,
) -> int | None:
    """Note that something happened; its id, or None if it was noted before under the same key."""
    row = insert_new(
        connection,
        notifications,
        {
            "tenant": tenant,
            "name": f"ntf_{new_id()}",
            "kind": kind,
            "account": account,
            "key": key,
            "data": data,
            "at_ms": now_ms,
            "addressed_at_ms": None,
        },
        unique=("tenant", "key"),
        returning=("id",),
    )
    return None if row is None else int(row["id"])


def unaddressed(connection: Connection, *, limit: int) -> list[RowMapping]:
    """Notifications whose deliveries are not made yet, the oldest first."""
    return list(
        connection.execute(
            select(notifications)
            .where(notifications.c.addressed_at_ms.is_(None))
            .order_by(notifications.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).mappings()
    )


def address(connection: Connection, tenant: Tenant, notification_id: int, to: Sequence[int], *, now_ms: int) -> None:
    """Make a delivery to each of these destinations, due now. Safe to repeat."""
    for destination_id in to:
        insert_new(
            connection,
            deliveries,
            {
                "tenant": tenant,
                "notification_id": notification_id,
                "destination_id": destination_id,
                "state": DeliveryState.PENDING,
                "attempts": 0,
                "due_at_ms": now_ms,
            },
            unique=("notification_id", "destination_id"),
            returning=("id",),
        )
    connection.execute(
        update(notifications).where(notifications.c.id == notification_id).values(addressed_at_ms=now_ms)
    )


# ── Deliveries ───────────────────────────────────────────────────────────────────────────────────────────


def due_ids(connection: Connection, *, now_ms: int, limit: int) -> list[int]:
    """Deliveries that are due, the longest due first."""
    return list(
        connection.execute(
            select(deliveries.c.id)
            .where(deliveries.c.due_at_ms <= now_ms)
            .order_by(deliveries.c.due_at_ms)
            .limit(limit)
        ).scalars()
    )


def claim(connection: Connection, ids: Collection[int], *, now_ms: int, lease_token: str) -> list[Delivery]:
    """Take those of `ids` that are due. One worker gets a delivery, however many ask for it."""
    due = (
        select(deliveries.c.id)
        .where(deliveries.c.id.in_(ids), deliveries.c.state == DeliveryState.PENDING, deliveries.c.due_at_ms <= now_ms)
        .order_by(deliveries.c.id)
        .with_for_update(skip_locked=True)
    )
    claimed = connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(due))
        .values(attempts=deliveries.c.attempts + 1, due_at_ms=now_ms + LEASE_MS, lease_token=lease_token)
        .returning(deliveries.c.id)
    ).scalars()
    rows = connection.execute(_with_everything().where(deliveries.c.id.in_(sorted(claimed)))).mappings()
    return [_delivery(row) for row in rows]


def finish(connection: Connection, delivery: Delivery, answered: Answered, decided: Verdict, *, now_ms: int) -> bool:
    """Write down what an attempt came to; False if another worker has it by now, and nothing was written."""
    is_over = decided.state is not DeliveryState.PENDING
    result = connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery.id, deliveries.c.lease_token == delivery.lease_token)
        .values(
            state=decided.state,
            due_at_ms=decided.due_at_ms,
            lease_token=None,
            last_status=answered.status,
            last_detail=answered.detail,
            finished_at_ms=now_ms if is_over else None,
        )
    )
    if result.rowcount != 1:
        return False
    connection.execute(
        insert(delivery_attempts).values(
            tenant=delivery.notification.tenant,
            delivery_id=delivery.id,
            at_ms=now_ms,
            status=answered.status,
            detail=answered.detail,
            duration_ms=answered.duration_ms,
        )
    )
    return True


def retry(connection: Connection, tenant: Tenant, ids: Collection[int], *, now_ms: int) -> int:
    """
    Make deliveries due now, with their attempts counted from zero, whatever became of them; answers how many.

    Those to a destination that is deleted or disabled stay as they are.
    """
    told = select(destinations.c.id).where(
        destinations.c.deleted_at_ms.is_(None), destinations.c.disabled_reason.is_(None)
    )
    return connection.execute(
        update(deliveries)
        .where(
            deliveries.c.tenant == tenant,
            deliveries.c.id.in_(ids),
            deliveries.c.lease_token.is_(None),
            deliveries.c.destination_id.in_(told),
        )
        .values(state=DeliveryState.PENDING, attempts=0, due_at_ms=now_ms, finished_at_ms=None)
    ).rowcount


def list_deliveries(
    connection: Connection,
    tenant: Tenant,
    *,
    state: DeliveryState | None = None,
    destination: str | None = None,
    before_id: int | None = None,
    limit: int,
) -> list[RowMapping]:
    """Deliveries with their notification and destination, newest first."""
    query = _with_everything().where(deliveries.c.tenant == tenant)
    if state is not None:
        query = query.where(deliveries.c.state == state)
    if destination is not None:
        query = query.where(destinations.c.name == destination)
    if before_id is not None:
        query = query.where(deliveries.c.id < before_id)
    return list(connection.execute(query.order_by(deliveries.c.id.desc()).limit(limit)).mappings())


def find_delivery(connection: Connection, tenant: Tenant, delivery_id: int) -> RowMapping | None:
    """One delivery with its notification and destination."""
    query = _with_everything().where(deliveries.c.tenant == tenant, deliveries.c.id == delivery_id)
    return connection.execute(query).mappings().one_or_none()


def ping_named(connection: Connection, tenant: Tenant, key: str) -> int:
    """The id of the one delivery of a test that was sent under `key`."""
    query = (
        select(deliveries.c.id)
        .join(notifications, notifications.c.id == deliveries.c.notification_id)
        .where(notifications.c.tenant == tenant, notifications.c.key == key)
    )
    return int(connection.execute(query).scalar_one())


def attempts_of(connection: Connection, tenant: Tenant, delivery_id: int) -> list[RowMapping]:
    """Every attempt of a delivery, the first one first."""
    return list(
        connection.execute(
            select(delivery_attempts)
            .where(delivery_attempts.c.tenant == tenant, delivery_attempts.c.delivery_id == delivery_id)
            .order_by(delivery_attempts.c.id)
        ).mappings()
    )


def forget_old(connection: Connection, *, before_ms: int, limit: int) -> int:
    """Delete what was told long ago, with its deliveries; answers how many notifications. Pending ones stay."""
    pending = select(deliveries.c.notification_id).where(deliveries.c.state == DeliveryState.PENDING)
    old = list(
        connection.execute(
            select(notifications.c.id)
            .where(
                notifications.c.at_ms < before_ms,
                notifications.c.addressed_at_ms.is_not(None),
                notifications.c.id.not_in(pending),
            )
            .limit(limit)
        ).scalars()
    )
    if old:
        of_old = select(deliveries.c.id).where(deliveries.c.notification_id.in_(old))
        connection.execute(delete(delivery_attempts).where(delivery_attempts.c.delivery_id.in_(of_old)))
        connection.execute(delete(deliveries).where(deliveries.c.notification_id.in_(old)))
        connection.execute(delete(notifications).where(notifications.c.id.in_(old)))
    return len(old)


def _with_everything() -> Select[Any]:
    return (
        select(
            deliveries,
            notifications.c.name.label("notification_name"),
            notifications.c.kind,
            notifications.c.account,
            notifications.c.data,
            notifications.c.at_ms,
            *(column.label(f"destination_{column.name}") for column in destinations.c if column.name != "id"),
        )
        .join(notifications, notifications.c.id == deliveries.c.notification_id)
        .join(destinations, destinations.c.id == deliveries.c.destination_id)
    )


def _delivery(row: RowMapping) -> Delivery:
    return Delivery(
        id=row["id"],
        attempts=row["attempts"],
        lease_token=row["lease_token"],
        notification=Notification(
            id=row["notification_id"],
            name=row["notification_name"],
            tenant=Tenant(row["tenant"]),
            kind=Kind(row["kind"]),
            account=row["account"],
            data=row["data"],
            at_ms=row["at_ms"],
        ),
        destination=read_destination(
            {
                "id": row["destination_id"],
                **{column.name: row[f"destination_{column.name}"] for column in destinations.c if column.name != "id"},
            }
        ),
    )
