"""Subscriptions as Stripe shows them. They grant nothing by themselves; their paid invoices do."""

from typing import Final

from credits.facts import Deferred, Fact, Feature, Payer, SubscriptionSeen
from credits.inbox.provider import Payload
from webhooks.fields import Node
from webhooks.providers.stripe.shapes import (
    account_of,
    created_ms,
    event_object,
    instant_ms,
    previous_attributes,
    price_of,
    reference,
)

# Events of one subscription often carry the same second. What ends it outranks what changes it, and that what began it.
_RANK_CREATED: Final = 0
_RANK_UPDATED: Final = 1
_RANK_PAUSED: Final = 2
_RANK_DELETED: Final = 3

_ENDED: Final = frozenset({"canceled", "incomplete_expired"})


def subscription_created(payload: Payload) -> tuple[Fact, ...]:
    """A subscription began; perhaps with a trial, for which the plan may have credits."""
    seen = _seen(payload, rank=_RANK_CREATED)
    if seen.status != "trialing":
        return (seen,)
    return (seen, _deferred(seen, Feature.TRIAL, "the subscription begins with a trial"))


def subscription_updated(payload: Payload) -> tuple[Fact, ...]:
    """Something about a subscription changed: its status or period, what it is for, or whether it is collected."""
    seen = _seen(payload, rank=_RANK_UPDATED)
    subscription, before = event_object(payload), previous_attributes(payload)
    facts: list[Fact] = [seen]
    if _plan_changed(subscription, before):
        facts.append(_deferred(seen, Feature.PLAN_CHANGE, "the subscription changed to another price or quantity"))
    # The key is there with null where collection was not paused before.
    if "pause_collection" in before.values:
        facts.append(_deferred(seen, Feature.PAUSE, "the collection of payments was paused or taken up again"))
    return tuple(facts)


def subscription_paused(payload: Payload) -> tuple[Fact, ...]:
    """A subscription was paused: its trial ended without a payment method."""
    seen = _seen(payload, rank=_RANK_PAUSED)
    return (seen, _deferred(seen, Feature.PAUSE, "the subscription was paused"))


def subscription_resumed(payload: Payload) -> tuple[Fact, ...]:
    """A paused subscription goes on."""
    seen = _seen(payload, rank=_RANK_PAUSED)
    return (seen, _deferred(seen, Feature.PAUSE, "the subscription was resumed"))


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


def _plan_changed(subscription: Node, before: Node) -> bool:
    """
    Whether the price or the quantity was another one before.

    `items` among the previous attributes is not enough: since basil they hold the period, so every renewal lists them.
    """
    items, items_before = subscription.child("items"), before.child("items")
    if items_before.has("data"):
        return _terms(items.children("data")) != _terms(items_before.children("data"))
    return any(
        was is not None and was != now
        for was, now in (
            (_plan_before(before), reference(subscription, "plan")),
            (before.integer("quantity"), subscription.integer("quantity")),
        )
    )


def _terms(items: tuple[Node, ...]) -> list[tuple[str, int]]:
    """What is paid for, in an order of its own: Stripe may list the same items in another one."""
    return sorted((price_of(item) or "", item.integer("quantity") or 0) for item in items)


def _plan_before(before: Node) -> str | None:
    """The plan as it was; None where only something about the same plan changed."""
    value = before.values.get("plan")
    return before.child("plan").text("id") if isinstance(value, dict) else before.text("plan")


def _deferred(seen: SubscriptionSeen, feature: Feature, reason: str) -> Deferred:
    return Deferred(feature=feature, subject=f"stripe:sub:{seen.subscription_id}", reason=reason)
