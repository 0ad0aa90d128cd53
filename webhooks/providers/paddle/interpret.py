"""Read Paddle events: one small pure function per event type, from raw JSON to facts."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from credits.facts import (
    DisputeSeen,
    DisputeStatus,
    Fact,
    MoneyReturned,
    NothingToDo,
    RefundSeen,
    RefundStatus,
    ReversalKind,
    SubscriptionSeen,
)
from credits.inbox.provider import Payload
from credits.units import Money
from webhooks.fields import Node
from webhooks.providers.paddle.custom_data import payer_of
from webhooks.providers.paddle.transactions import key_of, transaction_canceled, transaction_completed, transaction_paid

_RANK: Final = {"trialing": 1, "active": 2, "paused": 3, "past_due": 4, "canceled": 5}
"""Of two sights with one `updated_at` the one that is harder to leave counts."""

_REFUNDS: Final = frozenset({"refund", "credit"})
"""Money given back, to the card or to the customer's balance."""

_CHARGEBACK_STATUS: Final = {"approved": DisputeStatus.LOST, "reversed": DisputeStatus.WON}
"""Paddle books a chargeback when the bank has taken the money. A warning of one is only an inquiry."""

_UNDOES: Final = {"chargeback_reverse": ReversalKind.DISPUTE, "credit_reverse": ReversalKind.REFUND}
"""Each is an adjustment of its own, which does not say what it undoes; that one becomes `reversed` beside it."""

_REFUND_STATUS: Final = {
    "approved": RefundStatus.SUCCEEDED,
    "rejected": RefundStatus.FAILED,
    "reversed": RefundStatus.RETURNED,
}


# ── Subscriptions ────────────────────────────────────────────────────────────────────────────────────────


def _subscription(payload: Payload) -> tuple[Fact, ...]:
    return (_subscription_seen(Node(payload).child("data")),)


def _subscription_created(payload: Payload) -> tuple[Fact, ...]:
    return (replace(_subscription_seen(Node(payload).child("data")), is_first=True),)


def _subscription_seen(subscription: Node) -> SubscriptionSeen:
    subscription_id, status = subscription.required_text("id"), subscription.required_text("status")
    items = [item for item in subscription.children("items") if item.flag("recurring") is not False]
    period = subscription.child("current_billing_period")
    trials = [item.child("trial_dates").instant_ms("ends_at") for item in items]
    return SubscriptionSeen(
        subscription_id=subscription_id,
        payer=payer_of(subscription, subscription_id),
        product_ids=tuple(item.child("price").required_text("id") for item in items),
        status=status,
        quantity=next((item.integer("quantity") for item in items), None),
        period_start_ms=period.instant_ms("starts_at"),
        period_end_ms=period.instant_ms("ends_at"),
        trial_end_ms=max((end_ms for end_ms in trials if end_ms is not None), default=None),
        is_paused=status == "paused",
        is_unpaid=status == "past_due",
        ended=status == "canceled",
        stamp_ms=subscription.required_instant_ms("updated_at"),
        rank=_RANK.get(status, 0),
    )


# ── Adjustments ──────────────────────────────────────────────────────────────────────────────────────────


def _adjustment(payload: Payload) -> tuple[Fact, ...]:
    """Money that went back: a refund, a credit to the customer's balance, a chargeback, or one of these undone."""
    adjustment = Node(payload).child("data")
    action, status = adjustment.required_text("action"), adjustment.required_text("status")
    transaction_id = adjustment.required_text("transaction_id")
    names, amount = (key_of(transaction_id),), _given_back(adjustment)
    ref = f"paddle:adj:{adjustment.required_text('id')}"
    if action not in _REFUNDS | _UNDOES.keys() | {"chargeback"}:
        return (NothingToDo(reason=f"an adjustment that is a {action} takes no credits back"),)
    if status not in _REFUND_STATUS:
        return (NothingToDo(reason=f"the {action} is {status}; once it is approved, that is an event of its own"),)
    if amount.amount_minor == 0:
        return (NothingToDo(reason=f"the {action} is of tax alone, and of nothing of the price"),)
    if action in _REFUNDS:
        return (RefundSeen(ref=ref, names=names, amount=amount, status=_REFUND_STATUS[status]),)
    if action == "chargeback" and status in _CHARGEBACK_STATUS:
        return (DisputeSeen(ref=ref, names=names, amount=amount, status=_CHARGEBACK_STATUS[status]),)
    if action in _UNDOES and status == "approved":
        return (MoneyReturned(ref=ref, names=names, amount=amount, undoes=_UNDOES[action]),)
    return (NothingToDo(reason=f"the {action} is {status}"),)


def _given_back(adjustment: Node) -> Money:
    """The adjustment's total, without what it gives back of taxes alone."""
    currency = adjustment.required_text("currency_code")
    total = adjustment.child("totals").required_money_in_text("total", currency)
    taxes = [
        item.child("totals").required_money_in_text("total", currency).amount_minor
        for item in adjustment.children("items")
        if item.text("type") == "tax"
    ]
    return Money(amount_minor=max(0, total.amount_minor - sum(taxes)), currency=total.currency)


READERS: Final[Mapping[str, Callable[[Payload], tuple[Fact, ...]]]] = {
    "transaction.paid": transaction_paid,
    "transaction.completed": transaction_completed,
    "transaction.canceled": transaction_canceled,
    "subscription.created": _subscription_created,
    "subscription.activated": _subscription,
    "subscription.canceled": _subscription,
    "subscription.imported": _subscription,
    "subscription.past_due": _subscription,
    "subscription.paused": _subscription,
    "subscription.resumed": _subscription,
    "subscription.trialing": _subscription,
    "subscription.updated": _subscription,
    "adjustment.created": _adjustment,
    "adjustment.updated": _adjustment,
}
