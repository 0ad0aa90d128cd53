"""Read Lemon Squeezy events: one small pure function per event type, from raw JSON to facts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from credits.errors import MalformedPayloadError
from credits.facts import (
    Fact,
    Listed,
    NothingToDo,
    Payer,
    PlanLine,
    PlanPaid,
    PurchasePaid,
    PurchasePending,
    PurchaseVoided,
    RefundsCounted,
    SubscriptionSeen,
)
from credits.inbox.provider import Payload
from credits.plans.calendar import period_end_ms
from credits.units import Money
from webhooks.fields import Node
from webhooks.metadata import Metadata, read_metadata

# What was given back was paid first: should the refund's event overtake the payment's, both still count.
_PAID: Final = frozenset({"paid", "refunded", "partial_refund"})
_UNPAID: Final = frozenset({"past_due", "unpaid"})
_VOID: Final = frozenset({"failed", "fraudulent"})

_KEY_OF: Final = {"orders": "order", "subscriptions": "sub", "subscription-invoices": "subinv"}
"""By JSON:API type: the word in the key."""

_RANK: Final = {"on_trial": 1, "active": 2, "paused": 3, "past_due": 4, "unpaid": 5, "cancelled": 6, "expired": 7}
"""Times have a resolution of one second. Of two states within one, the one that is harder to leave is the later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resource:
    """The JSON:API object an event is about, and our own custom data beside it."""

    id: str
    key: str
    """Names it in the ledger, for ever."""
    attributes: Node
    metadata: Metadata
    renews_every: str | None = None
    """How long a subscription's periods are, as `1 month`, where a backfill asked for it."""

    def payer(self, subscription_id: str | None = None) -> Payer:
        return Payer(
            account=self.metadata.account,
            customer_id=self.attributes.identifier("customer_id"),
            subscription_id=subscription_id,
        )

    def charged(self, name: str) -> Money:
        return self.attributes.required_money(name, self.attributes.required_text("currency"))


# ── Orders ───────────────────────────────────────────────────────────────────────────────────────────────


def _order_created(payload: Payload) -> tuple[Fact, ...]:
    order = _resource(payload, "orders")
    status = order.attributes.required_text("status")
    if status in _VOID:
        return (PurchaseVoided(key=order.key, reason=f"the order is {status}", quote_id=order.metadata.quote_id),)
    if status not in _PAID:
        return (
            PurchasePending(
                key=order.key, reason=f"the order is {status}, not yet paid", quote_id=order.metadata.quote_id
            ),
        )
    return (
        PurchasePaid(
            key=order.key,
            payer=order.payer(),
            credit_type=order.metadata.credit_type,
            amount=order.metadata.amount,
            quote_id=order.metadata.quote_id,
            product_id=order.attributes.child("first_order_item").identifier("variant_id"),
            asked=_asked(order),
            paid=order.charged("total"),
            listed=_listed(payload, order),
            occurred_at_ms=order.attributes.required_instant_ms("created_at"),
        ),
    )


def _listed(payload: Payload, order: _Resource) -> Listed | None:
    """What a backfill put in says for our custom data; no payer can write beside the object."""
    made_by = Node(payload).child("creditgate")
    if made_by.text("made_by") != "backfill":
        return None
    return Listed(
        is_ours=made_by.flag("sold_by_us") is True,
        email=order.attributes.text("user_email"),
        title=order.attributes.child("first_order_item").text("product_name"),
    )


def _asked(order: _Resource) -> Money:
    """
    The price before discounts and before taxes that are added to it.

    Where prices include their tax, the sum of what was charged and what was taken off is the price, whether or not the
    subtotal shows it with its tax.
    """
    if not order.attributes.flag("tax_inclusive"):
        return order.charged("subtotal")
    total = order.charged("total")
    discount = order.attributes.money("discount_total", total.currency)
    return Money(amount_minor=total.amount_minor + (discount.amount_minor if discount else 0), currency=total.currency)


def _order_refunded(payload: Payload) -> tuple[Fact, ...]:
    order = _resource(payload, "orders")
    return (_refunded(order),)


# ── Subscriptions ────────────────────────────────────────────────────────────────────────────────────────


def _subscription(payload: Payload) -> tuple[Fact, ...]:
    return (_subscription_seen(_resource(payload, "subscriptions")),)


def _subscription_created(payload: Payload) -> tuple[Fact, ...]:
    return (replace(_subscription_seen(_resource(payload, "subscriptions")), is_first=True),)


def _subscription_seen(subscription: _Resource) -> SubscriptionSeen:
    attributes = subscription.attributes
    status = attributes.required_text("status")
    variant_id = attributes.identifier("variant_id")
    return SubscriptionSeen(
        subscription_id=subscription.id,
        payer=subscription.payer(subscription.id),
        product_ids=() if variant_id is None else (variant_id,),
        status=status,
        quantity=attributes.child("first_subscription_item").integer("quantity"),
        # While on trial, the period is the trial.
        period_start_ms=attributes.instant_ms("created_at") if status == "on_trial" else None,
        period_end_ms=attributes.instant_ms("renews_at") or attributes.instant_ms("ends_at"),
        first_period_ms=_first_period_ms(attributes, status) or _by_its_price(attributes, subscription.renews_every),
        trial_end_ms=attributes.instant_ms("trial_ends_at"),
        trial_key=f"ls:sub:{subscription.id}:trial" if status == "on_trial" else None,
        is_paused=status == "paused",
        is_unpaid=status in _UNPAID,
        ended=status == "expired",
        stamp_ms=attributes.required_instant_ms("updated_at"),
        rank=_RANK.get(status, 0),
    )


def _first_period_ms(attributes: Node, status: str) -> tuple[int, int] | None:
    """
    The first paid period, if it is surely the first that this sight of the subscription shows.

    A later period ends at `renews_at` too, and then the span from the start holds two of them or more. It is seen in
    the second half of that span at the earliest (a little sooner where a short month comes first): the first third is
    safe from it.
    """
    start_ms = attributes.instant_ms("trial_ends_at") or attributes.instant_ms("created_at")
    end_ms = attributes.instant_ms("renews_at")
    if status != "active" or start_ms is None or end_ms is None:
        return None
    since_start_ms = attributes.required_instant_ms("updated_at") - start_ms
    return (start_ms, end_ms) if 0 <= since_start_ms * 3 < end_ms - start_ms else None


def _by_its_price(attributes: Node, renews_every: str | None) -> tuple[int, int] | None:
    """The first paid period, from its start and the length of the price's periods."""
    start_ms = attributes.instant_ms("trial_ends_at") or attributes.instant_ms("created_at")
    if start_ms is None or renews_every is None:
        return None
    return start_ms, period_end_ms(start_ms, renews_every)


# ── Invoices of subscriptions ────────────────────────────────────────────────────────────────────────────


def _invoice_paid(payload: Payload) -> tuple[Fact, ...]:
    invoice = _resource(payload, "subscription-invoices")
    status = invoice.attributes.required_text("status")
    if status not in _PAID:
        return (NothingToDo(reason=f"the invoice is {status}, not paid"),)
    return (_plan_paid(invoice),)


def _invoice_failed(_payload: Payload) -> tuple[Fact, ...]:
    return (NothingToDo(reason="the payment failed; should it be made up for, that is an event of its own"),)


def _invoice_refunded(payload: Payload) -> tuple[Fact, ...]:
    invoice = _resource(payload, "subscription-invoices")
    return (_refunded(invoice),)


def _refunded(resource: _Resource) -> RefundsCounted:
    """The object counts what all its refunds add up to. Before there were partial ones, it only said that it was."""
    charged = resource.charged("total")
    in_full = resource.attributes.text("status") == "refunded"
    counted = resource.attributes.money("refunded_amount", charged.currency)
    return RefundsCounted(
        names=(resource.key,), refunded=charged if counted is None or in_full else counted, charged=charged
    )


def _plan_paid(invoice: _Resource) -> PlanPaid:
    total = invoice.charged("total")
    asked = total if total.amount_minor or not invoice.attributes.has("subtotal") else invoice.charged("subtotal")
    # The invoice names neither variant, quantity nor period: the stored subscription does.
    line = PlanLine(
        key=invoice.key,
        product_id=None,
        period_start_ms=None,
        period_end_ms=None,
        # Of a free one, what it would have cost.
        amount=asked,
    )
    return PlanPaid(
        key=invoice.key,
        payer=invoice.payer(invoice.attributes.required_identifier("subscription_id")),
        lines=(line,),
        total=total,
        is_change=invoice.attributes.text("billing_reason") == "updated",
        is_initial=invoice.attributes.text("billing_reason") == "initial",
        occurred_at_ms=invoice.attributes.required_instant_ms("created_at"),
    )


READERS: Final[Mapping[str, Callable[[Payload], tuple[Fact, ...]]]] = {
    "order_created": _order_created,
    "order_refunded": _order_refunded,
    "subscription_created": _subscription_created,
    "subscription_updated": _subscription,
    "subscription_cancelled": _subscription,
    "subscription_resumed": _subscription,
    "subscription_expired": _subscription,
    "subscription_paused": _subscription,
    "subscription_unpaused": _subscription,
    "subscription_plan_changed": _subscription,
    "subscription_payment_success": _invoice_paid,
    "subscription_payment_recovered": _invoice_paid,
    "subscription_payment_failed": _invoice_failed,
    "subscription_payment_refunded": _invoice_refunded,
}


def _resource(payload: Payload, kind: str) -> _Resource:
    data = Node(payload).child("data")
    if data.required_text("type") != kind:
        raise MalformedPayloadError(f"data.type must be {kind!r}, got {data.text('type')!r}")
    custom_data = Node(payload).child("meta").values.get("custom_data")
    resource_id = data.required_identifier("id")
    return _Resource(
        id=resource_id,
        key=f"ls:{_KEY_OF[kind]}:{resource_id}",
        attributes=data.child("attributes"),
        metadata=read_metadata(custom_data),
        renews_every=Node(payload).child("creditgate").text("renews_every"),
    )
