"""SQL of the inbox. Every function runs in the caller's transaction; none commits."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, RowMapping, bindparam, case, delete, insert, select, update
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.sql.elements import ColumnElement

from credits.config.settings import Tenant
from credits.db import insert_new
from credits.errors import LeaseLostError
from credits.inbox.model import CLAIMABLE, FINISHED, ClaimedEvent, EventState, NewEvent, Outcome, Receipt
from credits.inbox.tables import event_waits, events

_IDENTITY = ("tenant", "provider", "provider_account", "endpoint", "event_id")

# A worker took it and was not heard of again, now or earlier.
_IS_SUSPECT = (events.c.crashes > 0) | (events.c.state == EventState.PROCESSING)


def _claiming(*conditions: ColumnElement[bool]) -> ReturningUpdate[Any]:
    due = (
        select(events.c.id)
        .where(
            events.c.id.in_(bindparam("event_ids", expanding=True)),
            events.c.state.in_(sorted(CLAIMABLE)),
            events.c.due_at_ms <= bindparam("now_ms"),
            *conditions,
        )
        .order_by(events.c.id)
        # Two workers with overlapping lists share them out instead of waiting for each other.
        .with_for_update(skip_locked=True)
    )
    return (
        update(events)
        .where(events.c.id.in_(due))
        .values(
            attempts=events.c.attempts + 1,
            crashes=events.c.crashes + case((events.c.state == EventState.PROCESSING, 1), else_=0),
        )
        .returning(*events.c)
    )


# Built once, with parameters: SQLAlchemy takes longer to put them together than the server to run them.
_CLAIM_ONE: Final = _claiming()
_CLAIM_SEVERAL: Final = _claiming(~_IS_SUSPECT)
_WAITED_FOR: Final = (
    select(event_waits.c.tenant, event_waits.c.subject)
    .distinct()
    .where(
        event_waits.c.tenant.in_(bindparam("tenants", expanding=True)),
        event_waits.c.subject.in_(bindparam("subjects", expanding=True)),
    )
    .order_by(event_waits.c.tenant, event_waits.c.subject)
)
_FINISH: Final = update(events).where(
    events.c.id == bindparam("id_held"), events.c.lease_token == bindparam("token_held")
)


def insert_event(connection: Connection, event: NewEvent) -> Receipt | None:
    """Store a webhook that is new; None if this event was delivered before."""
    is_finished = event.state in FINISHED
    row = insert_new(
        connection,
        events,
        {
            "tenant": event.tenant,
            "provider": event.provider,
            "provider_account": event.provider_account,
            "endpoint": event.endpoint,
            "event_id": event.event_id,
            "event_type": event.event_type,
            "body": event.body,
            "state": event.state,
            "code": event.code,
            "detail": event.detail,
            "attempts": 0,
            "crashes": 0,
            "deliveries": 1,
            "due_at_ms": None if is_finished else event.received_at_ms,
            "occurred_at_ms": event.occurred_at_ms,
            "received_at_ms": event.received_at_ms,
            "finished_at_ms": event.received_at_ms if is_finished else None,
        },
        unique=_IDENTITY,
        returning=("id",),
    )
    return None if row is None else Receipt(id=row["id"], state=event.state, is_new=True)


def count_delivery(connection: Connection, event: NewEvent) -> Receipt:
    """Note that an event was delivered once more."""
    row = connection.execute(
        update(events)
        .where(*(events.c[name] == getattr(event, name) for name in _IDENTITY))
        .values(deliveries=events.c.deliveries + 1)
        .returning(events.c.id, events.c.state)
    ).one()
    return Receipt(id=row.id, state=EventState(row.state), is_new=False)


def claim(
    connection: Connection, event_ids: Collection[int], *, now_ms: int, lease_ms: int, lease_token: str
) -> list[ClaimedEvent]:
    """
    Take those of `event_ids` that are due, for `lease_ms`. One worker gets an event, however many ask for it.

    An event whose last worker fell silent counts one more crash, and is taken only by itself: in a batch it would
    take innocent events down with it until they were quarantined, too.
    """
    rows = connection.execute(
        _CLAIM_ONE if len(event_ids) == 1 else _CLAIM_SEVERAL,
        {
            "event_ids": sorted(event_ids),
            "now_ms": now_ms,
            "state": EventState.PROCESSING,
            "due_at_ms": now_ms + lease_ms,
            "lease_token": lease_token,
        },
    )
    return sorted((_claimed(row) for row in rows), key=lambda event: event.id)


def _claimed(row: Row[tuple[object, ...]]) -> ClaimedEvent:
    values = row._mapping
    return ClaimedEvent(
        tenant=Tenant(values["tenant"]),
        **{
            name: values[name]
            for name in (
                "id",
                "provider",
                "event_id",
                "event_type",
                "body",
                "attempts",
                "crashes",
                "lease_token",
                "code",
                "attached_account",
                "attached_credit_type",
                "attached_amount",
            )
        },
    )


def finish(connection: Connection, ended: Sequence[tuple[ClaimedEvent, Outcome]], *, now_ms: int) -> None:
    """
    Write down how attempts ended and give their leases back.

    Raises LeaseLostError if another worker holds one of the leases by now: roll back, that one finishes the event.
    """
    rows = [_finished(event, outcome, now_ms) for event, outcome in ended]
    if connection.execute(_FINISH, rows if len(rows) > 1 else rows[0]).rowcount != len(rows):
        raise LeaseLostError(f"one of events {[event.id for event, _ in ended]} was taken over by another worker")
    _forget_waits(connection, [event.id for event, _ in ended if event.attempts > 1])
    waits = [
        {"event_id": event.id, "subject": name, "tenant": event.tenant}
        for event, outcome in ended
        for name in sorted(set(outcome.waits_for))
    ]
    if waits:
        connection.execute(insert(event_waits), waits)


def _finished(event: ClaimedEvent, outcome: Outcome, now_ms: int) -> dict[str, object]:
    is_over = outcome.state in FINISHED
    return {
        "id_held": event.id,
        "token_held": event.lease_token,
        "state": outcome.state,
        "code": outcome.code,
        "detail": outcome.detail or None,
        "due_at_ms": None if is_over else outcome.due_at_ms,
        "lease_token": None,
        "finished_at_ms": now_ms if is_over else None,
    }


def wake(connection: Connection, tenant: Tenant, subject: str, *, now_ms: int) -> list[int]:
    """
    Make the events that wait for `subject` due now, with their attempts counted from zero; answers their ids.

    They have come a step further, so those that still wait for something else are looked at again as often as new ones.
    """
    waiting = select(event_waits.c.event_id).where(event_waits.c.tenant == tenant, event_waits.c.subject == subject)
    rows = connection.execute(
        update(events)
        .where(events.c.id.in_(waiting), events.c.state.in_([EventState.WAITING, EventState.UNATTRIBUTED]))
        .values(due_at_ms=now_ms, attempts=0)
        .returning(events.c.id)
    )
    woken = sorted(row.id for row in rows)
    _forget_waits(connection, woken)
    return woken


def wake_any(connection: Connection, subjects: Collection[tuple[Tenant, str]], *, now_ms: int) -> None:
    """Wake what waits for any of `subjects`. Mostly nothing does, and one question says so."""
    if not subjects:
        return
    tenants, names = ({pair[number] for pair in subjects} for number in (0, 1))
    for row in connection.execute(_WAITED_FOR, {"tenants": sorted(tenants), "subjects": sorted(names)}).all():
        if (row.tenant, row.subject) in subjects:
            wake(connection, row.tenant, row.subject, now_ms=now_ms)


def due_ids(connection: Connection, *, now_ms: int, limit: int, suspect: bool) -> list[int]:
    """Events that are due, the longest due first: those that may have killed a worker (`suspect`), or the others."""
    query = (
        select(events.c.id)
        .where(events.c.due_at_ms <= now_ms, events.c.state.in_(sorted(CLAIMABLE)))
        .where(_IS_SUSPECT if suspect else ~_IS_SUSPECT)
        .order_by(events.c.due_at_ms, events.c.id)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def requeue(connection: Connection, event_ids: Sequence[int], *, now_ms: int) -> None:
    """Let events start over, with their attempts counted from zero."""
    connection.execute(
        update(events)
        .where(events.c.id.in_(event_ids))
        .values(
            state=EventState.RECEIVED, attempts=0, crashes=0, due_at_ms=now_ms, lease_token=None, finished_at_ms=None
        )
    )
    _forget_waits(connection, event_ids)


def _forget_waits(connection: Connection, event_ids: Sequence[int]) -> None:
    # Whoever sets the attempts back to zero does this, too: a first attempt takes it that there are none.
    if event_ids:
        connection.execute(delete(event_waits).where(event_waits.c.event_id.in_(event_ids)))


def skip(connection: Connection, event_id: int, *, detail: str, now_ms: int) -> None:
    """Take an event out of the way for good."""
    connection.execute(
        update(events)
        .where(events.c.id == event_id)
        .values(
            state=EventState.SKIPPED,
            code="skipped",
            detail=detail,
            due_at_ms=None,
            lease_token=None,
            finished_at_ms=now_ms,
        )
    )


def attach(connection: Connection, event_id: int, *, account: str, credit_type: str | None, amount: int | None) -> None:
    """Set whose an event is, and what it bought."""
    connection.execute(
        update(events)
        .where(events.c.id == event_id)
        .values(attached_account=account, attached_credit_type=credit_type, attached_amount=amount)
    )


def read(connection: Connection, tenant: Tenant, event_id: int, *, lock: bool = False) -> RowMapping | None:
    """One event whole; `lock` keeps workers off it until the transaction ends."""
    query = select(events).where(events.c.tenant == tenant, events.c.id == event_id)
    return connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()


def select_events(
    connection: Connection,
    tenant: Tenant,
    *,
    states: Iterable[EventState] = (),
    provider: str | None = None,
    event_type: str | None = None,
    code: str | None = None,
    before_id: int | None = None,
    limit: int,
) -> list[RowMapping]:
    """Events without their bodies, newest first, that match every filter given."""
    columns = [column for column in events.c if column.name != "body"]
    conditions: list[ColumnElement[bool]] = [events.c.tenant == tenant]
    wanted = sorted(states)
    if wanted:
        conditions.append(events.c.state.in_(wanted))
    if provider is not None:
        conditions.append(events.c.provider == provider)
    if event_type is not None:
        conditions.append(events.c.event_type == event_type)
    if code is not None:
        conditions.append(events.c.code == code)
    if before_id is not None:
        conditions.append(events.c.id < before_id)
    query = select(*columns).where(*conditions).order_by(events.c.id.desc()).limit(limit)
    return list(connection.execute(query).mappings())
