"""Stripe's events in three shapes, and what real life changes about the simulated ones."""

from typing import Any

from credits.facts import Fact
from credits.payload import parse
from tests.support.webhooks import NOW_S, simulation
from webhooks.providers.stripe import PROVIDER
from webhooks.providers.stripe.simulate.common import Shape

SHAPES = list(Shape)

Payload = dict[str, Any]


def payload(event_type: str, shape: Shape = Shape.BASIL, **changes: Any) -> Payload:
    """A simulated event; `changes` are fields of the simulation."""
    said = {"payment": "p1", "subscription": "s1", "delivery": "d1", "product_id": "price_pro", "started_at_ms": 0}
    return parse(PROVIDER.simulate(simulation(event_type, **{**said, "api_version": shape.value, **changes})))


def session(shape: Shape = Shape.BASIL, event: str = "completed", **fields: Any) -> Payload:
    """An event of a checkout session that sells credits; `fields` replace the session's own."""
    return changed(payload(f"checkout.session.{event}", shape), **fields)


def changed(event: Payload, **fields: Any) -> Payload:
    """The event with `fields` of its object replaced."""
    event["data"]["object"].update(fields)
    return event


def without(event: Payload, *fields: str) -> Payload:
    """The event with `fields` of its object taken away."""
    for field in fields:
        event["data"]["object"].pop(field, None)
    return event


def facts(event: Payload) -> tuple[Fact, ...]:
    return PROVIDER.interpret(event)


def invoice(shape: Shape, *lines: Payload, event: str = "paid", **fields: Any) -> Payload:
    """An event of a subscription's invoice with these lines; subtotal and total are their sum unless `fields` say."""
    content = payload(f"invoice.{event}", shape)
    total = sum(line["amount"] or 0 for line in lines)
    content["data"]["object"]["lines"]["data"] = list(lines)
    return changed(content, **{"subtotal": total, "total": total, "amount_due": total, "amount_paid": total, **fields})


def line(
    shape: Shape,
    amount: int = 1000,
    *,
    line_id: str = "il_1",
    item: str = "si_1",
    price: str = "price_pro",
    start_s: int = NOW_S,
    quantity: int = 1,
    proration: bool = False,
) -> Payload:
    """A line of a subscription's invoice."""
    subscription = {"subscription": "sub_s1", "subscription_item": item, "proration": proration}
    return {**_bare_line(amount, line_id, start_s, quantity), **_billed(shape, subscription, price)}


def single_item(shape: Shape, amount: int = 500, *, line_id: str = "il_9") -> Payload:
    """A line that bills a single thing, no subscription's period."""
    place: Payload
    if shape is Shape.BASIL:
        details = {"invoice_item": "ii_9", "proration": False, "subscription": None}
        place = {"parent": {"type": "invoice_item_details", "invoice_item_details": details}}
        place["pricing"] = {"type": "price_details", "price_details": {"price": "price_pack", "product": "prod_9"}}
    else:
        place = {"type": "invoiceitem", "proration": False, "price": {"id": "price_pack"}, "subscription": None}
    return {**_bare_line(amount, line_id, NOW_S, 1), **place}


def single_invoice(shape: Shape, **fields: Any) -> Payload:
    """The invoice of a purchase: it bills no subscription."""
    nothing = {"parent": None} if shape is Shape.BASIL else {"subscription": None, "subscription_details": None}
    return invoice(shape, single_item(shape), billing_reason="manual", **{**nothing, **fields})


def _bare_line(amount: int, line_id: str, start_s: int, quantity: int) -> Payload:
    return {
        "id": line_id,
        "object": "line_item",
        "amount": amount,
        "currency": "usd",
        "metadata": {},
        "period": {"start": start_s, "end": start_s + 30 * 24 * 60 * 60},
        "quantity": quantity,
    }


def _billed(shape: Shape, subscription: Payload, price: str) -> Payload:
    if shape is not Shape.BASIL:
        kind = "invoiceitem" if subscription["proration"] else "subscription"
        return {"type": kind, "price": {"id": price}, "plan": {"id": price}, **subscription}
    kind = "invoice_item_details" if subscription["proration"] else "subscription_item_details"
    return {
        "parent": {"type": kind, kind: subscription},
        "pricing": {"type": "price_details", "price_details": {"price": price, "product": "prod_1"}},
    }
