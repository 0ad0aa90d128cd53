"""Subscriptions as Stripe shows them. They grant nothing by themselves; their paid invoices do."""

from typing import Final

from credits.facts import Fact, Payer, SubscriptionSeen
from credits.inbox.provider import Payload
from webhooks.fields import Node
from webhooks.providers.stripe.shapes import (
    account_of,
    created_ms,
    event_object,
    instant_ms,
    price_of,
    reference,
)

# Events of one subscription often carry the same second. What ends it outranks what changes it, and that what began it.
_RANK_CREATED: Final = 0
_RANK_UPDATED: Final = 1
_RANK_PAUSED: Final = 2
_RANK_DELETED: Final = 3

_ENDED: Final = frozenset({"canceled", "incomplete_expired"})
_UNPAID: Final = frozenset({"past_due", "unpaid"})


def subscription_created(payload: Payload) -> tuple[Fact, ...]:
    """A subscription began."""
    return (_seen(payload, rank=_RANK_CREATED),)


def subscription_updated(payload: Payload) -> tuple[Fact, ...]:
    """Something about a subscription changed: its status or period, what it is for, or whether it is collected."""
    return (_seen(payload, rank=_RANK_UPDATED),)


def subscription_paused(payload: Payload) -> tuple[Fact, ...]:
    """A subscription was paused: its trial ended without a payment method."""
    return (_seen(payload, rank=_RANK_PAUSED),)


def subscription_resumed(payload: Payload) -> tuple[Fact, ...]:
    """A paused subscription goes on."""
    return (_seen(payload, rank=_RANK_PAUSED),)


def subscription_deleted(payload: Payload) -> tuple[Fact, ...]:
    """A subscription ended, whatever its status says (until 2018 it could still say active)."""
    return (_seen(payload, rank=_RANK_DELETED, deleted=True),)


def _seen(payload: Payload, *, rank: int, deleted: bool = False) -> SubscriptionSeen:
    subscription = event_object(payload)
    subscription_id = subscription.required_text("id")
    status = subscription.text("status")
    items = subscription.child("items").children("data")
    start_ms, end_ms = _period_ms(subscription, items)
    return SubscriptionSeen(
        subscription_id=subscription_id,
        payer=Payer(
            account=account_of(subscription),
            customer_id=reference(subscription, "customer"),
            subscription_id=subscription_id,
        ),
        product_ids=_prices(subscription, items),
        status=status,
        quantity=_quantity(subscription, items),
        period_start_ms=start_ms,
        period_end_ms=end_ms,
        trial_end_ms=instant_ms(subscription, "trial_end"),
        is_first=rank == _RANK_CREATED,
        # Paused by Stripe because a trial ended without a card, or by us, who stopped collecting.
        is_paused=status == "paused" or subscription.has("pause_collection"),
        is_unpaid=status in _UNPAID,
        ended=deleted or status in _ENDED,
        stamp_ms=created_ms(payload),
        rank=rank,
    )


def _prices(subscription: Node, items: tuple[Node, ...]) -> tuple[str, ...]:
    """Prices of the items; before 2017 a subscription had no items, but one plan."""
    prices = [price_of(node) for node in items or (subscription,)]
    return tuple(dict.fromkeys(price for price in prices if price is not None))


def _quantity(subscription: Node, items: tuple[Node, ...]) -> int | None:
    """How many of its one price; None where several items make the word ambiguous."""
    if len(items) > 1:
        return None
    in_item = items[0].integer("quantity") if items else None
    return subscription.integer("quantity") if in_item is None else in_item


def _period_ms(subscription: Node, items: tuple[Node, ...]) -> tuple[int | None, int | None]:
    """The period on the subscription; since basil each item has its own, and the one that ends first counts."""
    if subscription.has("current_period_start"):
        return _bounds_ms(subscription)
    periods = [_bounds_ms(item) for item in items if item.has("current_period_end")]
    return min(periods, key=lambda period: period[1] or 0, default=(None, None))


def _bounds_ms(node: Node) -> tuple[int | None, int | None]:
    return instant_ms(node, "current_period_start"), instant_ms(node, "current_period_end")
