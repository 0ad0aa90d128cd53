"""What allocation tells outside: that credits were bought, a payment is disputed, or it could not be credited."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection

from credits.allocation.model import InHand
from credits.facts import PurchasePaid
from credits.inbox.model import ClaimedEvent, EventState, Outcome
from credits.inbox.rules import fix_of
from credits.notifications.model import Kind
from credits.notifications.service import Audience, notify

_NEEDS_SOMEBODY: Final = frozenset({EventState.UNATTRIBUTED, EventState.FAILED, EventState.DEAD})


def tell_of_purchase(hand: InHand, fact: PurchasePaid, *, account: str, credit_type: str, amount: int) -> None:
    """Tell that a purchase was credited, in the transaction that credits it."""
    if not hand.audience.is_there(hand.connection, hand.tenant, now_ms=hand.now_ms):
        return
    data = {
        "credit_type": credit_type,
        "amount": amount,
        "payment": fact.key,
        "quote_id": fact.quote_id,
        "paid_minor": None if fact.paid is None else fact.paid.amount_minor,
        "currency": None if fact.paid is None else fact.paid.currency,
    }
    notify(
        hand.connection,
        hand.tenant,
        Kind.PURCHASE_COMPLETED,
        key=fact.key,
        account=account,
        data=data,
        now_ms=hand.now_ms,
    )


def tell_of_dispute(hand: InHand, ref: str, *, lots: Mapping[str, str]) -> None:
    """Tell, once per dispute and account, that a payer's bank wants a payment back. `lots`: payment by account."""
    if not hand.audience.is_there(hand.connection, hand.tenant, now_ms=hand.now_ms):
        return
    for account, payment in sorted(lots.items()):
        notify(
            hand.connection,
            hand.tenant,
            Kind.DISPUTE_OPENED,
            key=f"{ref}:{account}",
            account=account,
            data={"payment": payment, "dispute": ref},
            now_ms=hand.now_ms,
        )


def tell_of_failure(
    connection: Connection, audience: Audience, event: ClaimedEvent, outcome: Outcome, *, now_ms: int
) -> None:
    """Tell, once per event and reason, that a payment needs somebody. Not while it is tried again by itself."""
    is_tried_again = outcome.state is EventState.FAILED and outcome.due_at_ms is not None
    if outcome.state not in _NEEDS_SOMEBODY or is_tried_again:
        return
    if not audience.is_there(connection, event.tenant, now_ms=now_ms):
        return
    data = {
        "event": event.id,
        "provider": event.provider,
        "event_type": event.event_type,
        "state": outcome.state.value,
        "code": outcome.code,
        "detail": outcome.detail,
        "fix": fix_of(outcome.code),
    }
    notify(
        connection,
        event.tenant,
        Kind.ALLOCATION_FAILED,
        key=f"{event.id}:{outcome.code}",
        account=outcome.account,
        data=data,
        now_ms=now_ms,
    )
