"""What operators do with events. Each action checks the event's state, acts, and says who and why in the audit log."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping

from credits import audit_log
from credits.audit_log import Act
from credits.config.settings import Tenant
from credits.errors import EventActionError, EventNotFoundError, InvalidInputError
from credits.ids import checked_id
from credits.inbox import store
from credits.inbox.model import FINISHED, NEEDS_OPERATOR, RETRYABLE, EventState, NewEvent, Receipt
from credits.units import checked_amount

MAX_RETRIED_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """What an action found and did."""

    event_id: int
    state_before: EventState
    is_requeued: bool
    """Whether the event is processed again now."""


def find(connection: Connection, tenant: Tenant, event_id: int) -> RowMapping:
    """One event with its body. Raises EventNotFoundError."""
    row = store.read(connection, tenant, event_id)
    if row is None:
        raise EventNotFoundError(event_id)
    return row


def retry(connection: Connection, tenant: Tenant, event_id: int, act: Act, *, now_ms: int) -> Acted:
    """Let an event start over, attempts counted from zero. For one that is finished this changes nothing."""
    state = _locked_state(connection, tenant, event_id)
    if state not in RETRYABLE:
        return Acted(event_id=event_id, state_before=state, is_requeued=False)
    return _requeue(connection, tenant, event_id, state, act, action="event.retry", now_ms=now_ms)


def retry_matching(
    connection: Connection,
    tenant: Tenant,
    act: Act,
    *,
    states: Iterable[EventState] = (),
    provider: str | None = None,
    event_type: str | None = None,
    code: str | None = None,
    now_ms: int,
) -> list[Acted]:
    """
    Let every event start over that matches all filters given; without states, those that need an operator.

    Up to 10,000 at once, the newest; repeat it for more.
    """
    wanted = frozenset(states) or NEEDS_OPERATOR
    rows = store.select_events(
        connection,
        tenant,
        states=wanted & RETRYABLE,
        provider=provider,
        event_type=event_type,
        code=code,
        limit=MAX_RETRIED_AT_ONCE,
    )
    # In ascending order, as every writer of several events locks them.
    return [retry(connection, tenant, event_id, act, now_ms=now_ms) for event_id in sorted(row["id"] for row in rows)]


def attach(
    connection: Connection,
    tenant: Tenant,
    event_id: int,
    account: str,
    act: Act,
    *,
    credit_type: str | None = None,
    amount: int | None = None,
    now_ms: int,
) -> Acted:
    """
    Say whose payment an event is, and if it does not say so itself what it bought; it is processed again at once.

    The provider's customer is linked to the account with it, so that the next payment finds its way.
    Raises EventActionError for an event that is finished: its credits, if any, are with somebody already.
    """
    state = _locked_state(connection, tenant, event_id)
    if state in FINISHED:
        raise EventActionError(f"event {event_id} is {state.value}; only an event that is not finished can be attached")
    if (credit_type is None) != (amount is None):
        raise InvalidInputError("credit_type", "goes together with an amount: give both or neither")
    store.attach(
        connection,
        event_id,
        account=checked_id(account, "account"),
        credit_type=credit_type,
        amount=None if amount is None else checked_amount(amount),
    )
    return _requeue(
        connection,
        tenant,
        event_id,
        state,
        act,
        action="event.attach",
        now_ms=now_ms,
        account=account,
        credit_type=credit_type,
        amount=amount,
    )


def skip(connection: Connection, tenant: Tenant, event_id: int, act: Act, *, now_ms: int) -> Acted:
    """Take an event out of the way for good. Raises EventActionError for one that is finished."""
    state = _locked_state(connection, tenant, event_id)
    if state in FINISHED:
        raise EventActionError(f"event {event_id} is {state.value} already; there is nothing to skip")
    store.skip(connection, event_id, detail=f"skipped by {act.actor}: {act.reason}", now_ms=now_ms)
    _log(connection, tenant, event_id, state, act, action="event.skip", now_ms=now_ms)
    return Acted(event_id=event_id, state_before=state, is_requeued=False)


def replay_stored(connection: Connection, tenant: Tenant, event_id: int, act: Act, *, now_ms: int) -> Acted:
    """
    Process a stored event once more, whatever its state, even a done one. What it granted is not granted again.

    Raises EventActionError for a rejected event: it belongs to the other mode.
    """
    state = _locked_state(connection, tenant, event_id)
    if state is EventState.REJECTED:
        raise EventActionError(f"event {event_id} was rejected: it is of another mode than its endpoint")
    return _requeue(connection, tenant, event_id, state, act, action="event.replay", now_ms=now_ms)


def replay_body(connection: Connection, event: NewEvent, act: Act, *, now_ms: int) -> Receipt:
    """Put a webhook's body into the inbox by hand. One that was delivered before is left as it is."""
    receipt = store.insert_event(connection, event) or store.count_delivery(connection, event)
    _log(connection, event.tenant, receipt.id, receipt.state, act, action="event.replay_file", now_ms=now_ms)
    return receipt


def _locked_state(connection: Connection, tenant: Tenant, event_id: int) -> EventState:
    row = store.read(connection, tenant, event_id, lock=True)
    if row is None:
        raise EventNotFoundError(event_id)
    return EventState(row["state"])


def _requeue(
    connection: Connection,
    tenant: Tenant,
    event_id: int,
    state: EventState,
    act: Act,
    *,
    action: str,
    now_ms: int,
    **detail: object,
) -> Acted:
    store.requeue(connection, [event_id], now_ms=now_ms)
    _log(connection, tenant, event_id, state, act, action=action, now_ms=now_ms, **detail)
    return Acted(event_id=event_id, state_before=state, is_requeued=True)


def _log(
    connection: Connection,
    tenant: Tenant,
    event_id: int,
    state: EventState,
    act: Act,
    *,
    action: str,
    now_ms: int,
    **detail: object,
) -> None:
    audit_log.record(
        connection,
        tenant,
        act,
        action=action,
        subject=f"event:{event_id}",
        detail={"state_before": state.value} | detail,
        now_ms=now_ms,
    )
