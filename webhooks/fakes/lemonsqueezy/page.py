"""A checkout and an order of the fake Lemon Squeezy as pages: which buttons there are follows from their state."""

from typing import Final

from credits.clock import from_iso
from webhooks.fakes.lemonsqueezy.desk import PROVIDER, Desk, Resource, shown
from webhooks.fakes.lemonsqueezy.fate import CURRENCY, PRICE_OF_A_PLAN, is_plan
from webhooks.fakes.till import Button, Till

_SELLER: Final = "Fake Lemon Squeezy"
_STATES: Final = {
    "open": "waits for its payer",
    "expired": "expired",
    "pending": "its money is on the way",
    "paid": "paid",
    "failed": "its payment has failed",
    "refunded": "refunded",
    "partial_refund": "refunded in part",
}


def till_of_checkout(desk: Desk, checkout: Resource, message: str = "") -> Till:
    """The page on which it is paid, as often as somebody does."""
    attributes = checkout["attributes"]
    expires_at = attributes["expires_at"]
    state = "expired" if expires_at is not None and from_iso(expires_at) <= desk.now_ms() else "open"
    price = shown(attributes["custom_price"] or PRICE_OF_A_PLAN, CURRENCY)
    later = Button(action="pay_later", label="Pay later", hint="the money comes later, or never")
    payer = (
        Button(action="pay", label="Pay", is_main=True),
        *(() if is_plan(desk, attributes["variant_id"]) else (later,)),
        Button(action="decline", label="Pay with a card that is declined"),
    )
    return Till(
        provider=PROVIDER,
        seller=_SELLER,
        title=attributes["product_options"].get("name") or f"Variant {attributes['variant_id']}",
        total=price,
        lines=(("Price", price),),
        state=state,
        state_text=_STATES[state],
        is_open=state == "open",
        buttons=payer if state == "open" else (),
        fate=(Button(action="expire", label="Let it expire"),) if state == "open" else (),
        cancel_url=None,
        marks=tuple(sorted(attributes["checkout_data"]["custom"].items())),
        message=message,
        links=tuple(
            (f"Order {order['id']}: {order['attributes']['status']}", f"/lemonsqueezy/orders/{order['id']}")
            for order in desk.store.all(PROVIDER, "orders")
            if desk.notes("orders", order["id"])["checkout"] == checkout["id"]
        ),
    )


def till_of_order(desk: Desk, order: Resource, message: str = "") -> Till:
    """The page on which its fate is decided."""
    attributes, notes = order["attributes"], desk.notes("orders", order["id"])
    lines = [("Price", shown(attributes["subtotal"], attributes["currency"]))]
    if attributes["discount_total"]:
        lines.append(("Promotion", shown(-attributes["discount_total"], attributes["currency"])))
    if attributes["tax"]:
        lines.append(("Tax", shown(attributes["tax"], attributes["currency"])))
    if attributes["refunded_amount"]:
        lines.append(("Refunded", shown(-attributes["refunded_amount"], attributes["currency"])))
    return Till(
        provider=PROVIDER,
        seller=_SELLER,
        title=notes["title"],
        total=shown(attributes["total"], attributes["currency"]),
        lines=tuple(lines),
        state=attributes["status"],
        state_text=_STATES[attributes["status"]],
        is_open=False,
        buttons=(),
        fate=_fate(attributes["status"], notes, is_subscription=is_plan(desk, notes["variant"])),
        cancel_url=None,
        marks=tuple(sorted(notes["custom"].items())),
        message=message,
        links=(("Its checkout", f"/lemonsqueezy/checkout/{notes['checkout']}"),),
    )


def _fate(status: str, notes: Resource, *, is_subscription: bool) -> tuple[Button, ...]:
    if status == "pending":
        return (
            Button(action="arrive", label="The money arrives"),
            Button(action="bounce", label="The payment fails"),
        )
    if status not in {"paid", "partial_refund"}:
        return ()
    if is_subscription:
        return (
            Button(action="renew", label=f"Period {notes.get('period', 0) + 2} is paid"),
            Button(action="cancel", label="Cancel the subscription"),
        )
    return (
        Button(action="refund", label="Refund all"),
        Button(action="refund_half", label="Refund half"),
        Button(action="chargeback", label="Chargeback", hint="looks like a refund"),
    )
