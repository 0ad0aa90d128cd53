"""What may happen to a checkout and to an order at the fake Lemon Squeezy. A checkout may be paid more than once."""

import secrets
from collections.abc import Callable, Mapping
from typing import Final

from credits.clock import iso
from webhooks.fakes.lemonsqueezy.desk import Desk, Resource, priced, shown
from webhooks.fakes.till import Extras

PRICE_OF_A_PLAN: Final = 2000
CURRENCY: Final = "USD"

Happening = Callable[[Desk, Resource, Extras], str]
"""Does it, and answers what to tell whoever clicked; an empty text sends the payer back to the shop."""


# ── To a checkout ────────────────────────────────────────────────────────────────────────────────────────


def pay(desk: Desk, checkout: Resource, extras: Extras) -> str:
    """The card is charged: an order, and for a plan a subscription with its first invoice."""
    _ordered(desk, checkout, extras, "paid")
    return ""


def pay_later(desk: Desk, checkout: Resource, extras: Extras) -> str:
    """An order whose money is on the way."""
    _ordered(desk, checkout, extras, "pending")
    return ""


def decline(_desk: Desk, _checkout: Resource, _extras: Extras) -> str:
    return "Your card was declined. Nothing was charged; you may try again."


def expire(desk: Desk, checkout: Resource, _extras: Extras) -> str:
    checkout["attributes"]["expires_at"] = iso(desk.now_ms())
    desk.keep(checkout)
    return "The checkout has expired. Lemon Squeezy tells nobody."


# ── To an order ──────────────────────────────────────────────────────────────────────────────────────────


def arrive(desk: Desk, order: Resource, _extras: Extras) -> str:
    _told(desk, order, "order_created", {"status": "paid", "status_formatted": "Paid"})
    return "The money has arrived."


def bounce(desk: Desk, order: Resource, _extras: Extras) -> str:
    _told(desk, order, "order_created", {"status": "failed", "status_formatted": "Failed"})
    return "The payment has failed."


def refund(desk: Desk, order: Resource, _extras: Extras) -> str:
    return refunded(desk, order, None)


def refund_half(desk: Desk, order: Resource, _extras: Extras) -> str:
    return refunded(desk, order, order["attributes"]["total"] // 2)


def refunded(desk: Desk, order: Resource, amount_minor: int | None) -> str:
    """Give `amount_minor` back, or what is left."""
    total, before = order["attributes"]["total"], order["attributes"]["refunded_amount"]
    now = total if amount_minor is None else min(total, before + amount_minor)
    if now == before:
        return "Nothing is left to refund."
    status = "refunded" if now == total else "partial_refund"
    change = {
        "status": status,
        "status_formatted": status.replace("_", " ").capitalize(),
        "refunded": now == total,
        "refunded_amount": now,
        "refunded_amount_usd": now,
        "refunded_at": iso(desk.now_ms()),
    }
    _told(desk, order, "order_refunded", change)
    currency = order["attributes"]["currency"]
    return f"{shown(now, currency)} of {shown(total, currency)} are refunded."


def renew(desk: Desk, order: Resource, _extras: Extras) -> str:
    notes = desk.notes("orders", order["id"])
    notes["period"] = notes.get("period", 0) + 1
    desk.keep_notes("orders", order["id"], notes)
    desk.tell(*_period(desk, notes, ("subscription_updated", "subscription_payment_success"), Extras()))
    return f"The invoice of period {notes['period'] + 1} was paid."


def cancel(desk: Desk, order: Resource, _extras: Extras) -> str:
    notes = desk.notes("orders", order["id"])
    desk.tell(*_period(desk, notes, ("subscription_cancelled",), Extras()))
    return "The subscription is cancelled; it runs until its period ends."


ON_CHECKOUTS: Final[Mapping[str, Happening]] = {
    "pay": pay,
    "pay_later": pay_later,
    "decline": decline,
    "expire": expire,
}
ON_ORDERS: Final[Mapping[str, Happening]] = {
    "arrive": arrive,
    "bounce": bounce,
    "refund": refund,
    "refund_half": refund_half,
    "chargeback": refund,
    "renew": renew,
    "cancel": cancel,
}
"""By the action that a button posts."""


def is_plan(desk: Desk, variant: object) -> bool:
    """Whether this variant is a plan's."""
    return str(variant) != desk.credits_variant


def _ordered(desk: Desk, checkout: Resource, extras: Extras, status: str) -> None:
    attributes = checkout["attributes"]
    variant = str(attributes["variant_id"])
    notes = {
        "token": secrets.token_hex(12),
        "custom": attributes["checkout_data"]["custom"],
        "email": extras.email or attributes["checkout_data"].get("email", ""),
        "variant": variant,
        "checkout": checkout["id"],
        "title": attributes["product_options"].get("name") or f"Variant {variant}",
        "at_ms": desk.now_ms(),
    }
    price_minor = attributes["custom_price"] or PRICE_OF_A_PLAN
    webhook = desk.webhook("order_created", notes, paid_minor=price_minor, currency=CURRENCY)
    order = webhook["data"]
    priced(order["attributes"], price_minor, extras)
    order["attributes"] |= {"status": status, "status_formatted": status.capitalize()}
    desk.keep_notes("orders", order["id"], notes)
    follow = _period(desk, notes, ("subscription_created", "subscription_payment_success"), extras)
    desk.tell(webhook, *(follow if is_plan(desk, variant) and status == "paid" else ()))


def _period(desk: Desk, notes: Resource, event_types: tuple[str, ...], extras: Extras) -> list[Resource]:
    webhooks = []
    for event_type in event_types:
        webhook = desk.webhook(event_type, notes, paid_minor=PRICE_OF_A_PLAN, currency=CURRENCY)
        if webhook["data"]["type"] == "subscription-invoices":
            priced(webhook["data"]["attributes"], PRICE_OF_A_PLAN, extras)
        webhooks.append(webhook)
    return webhooks


def _told(desk: Desk, order: Resource, event_type: str, change: Mapping[str, object]) -> None:
    """The order as it is with `change`, in a webhook of that type."""
    notes = desk.notes("orders", order["id"])
    attributes = {**order["attributes"], **change, "updated_at": iso(desk.now_ms())}
    webhook = desk.webhook(event_type, notes, paid_minor=attributes["total"], currency=attributes["currency"])
    webhook["data"]["attributes"] = attributes
    order["attributes"] = attributes
    desk.tell(webhook)
