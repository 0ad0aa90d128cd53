"""Simulated invoices of a subscription: one line for one period, or those of a change, in three shapes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from credits.inbox.provider import SettledBy, SimulatedLine, Simulation
from webhooks.providers.stripe.simulate.common import (
    Names,
    Shape,
    StripeObject,
    at_s,
    event,
    is_live,
    listed,
    period_start_s,
    shape_of,
)
from webhooks.providers.stripe.simulate.subscriptions import plan, price, subscription_metadata

_HOUR_S: Final = 60 * 60
_DAY_S: Final = 24 * _HOUR_S
_EVERY_INVOICE: Final[StripeObject] = {
    "account_country": "US",
    "automatic_tax": {"enabled": False, "status": None},
    "collection_method": "charge_automatically",
    "custom_fields": None,
    "customer_email": None,
    "description": None,
    "due_date": None,
    "metadata": {},
    "post_payment_credit_notes_amount": 0,
    "pre_payment_credit_notes_amount": 0,
    "receipt_number": None,
    "webhooks_delivered_at": None,
}
"""What is alike in every simulated invoice."""


def invoice_paid(simulation: Simulation) -> bytes:
    """A period was paid; a trial's costs nothing, as any of a `paid_minor` of 0."""
    return event(simulation, _invoice(simulation, status="paid"))


def invoice_created(simulation: Simulation) -> bytes:
    return event(simulation, _invoice(simulation, status="draft"))


def invoice_finalized(simulation: Simulation) -> bytes:
    return event(simulation, _invoice(simulation, status="open"))


def invoice_payment_failed(simulation: Simulation) -> bytes:
    retried = {"attempted": True, "attempt_count": 1, "next_payment_attempt": at_s(simulation) + 3 * _DAY_S}
    return event(simulation, _invoice(simulation, status="open") | retried)


def invoice_voided(simulation: Simulation) -> bytes:
    return event(simulation, _invoice(simulation, status="void"))


def invoice_upcoming(simulation: Simulation) -> bytes:
    """A preview of the next invoice. It has no id, since there is no such invoice yet."""
    preview = _invoice(simulation, status="draft")
    del preview["id"]
    return event(simulation, preview)


def invoice_payment_paid(simulation: Simulation) -> bytes:
    """The link between an invoice and the payment that settled it, an object of its own since basil."""
    names = Names(simulation)
    return event(
        simulation,
        {
            "id": f"inpay_{names.invoice.removeprefix('in_')}",
            "object": "invoice_payment",
            "amount_paid": simulation.paid_minor,
            "amount_requested": simulation.paid_minor,
            "created": at_s(simulation),
            "currency": simulation.currency.lower(),
            "invoice": names.invoice,
            "is_default": True,
            "livemode": is_live(simulation),
            "payment": {"payment_intent": names.payment_intent, "type": "payment_intent"},
            "status": "paid",
            "status_transitions": {"canceled_at": None, "paid_at": at_s(simulation)},
        },
    )


def _invoice(simulation: Simulation, *, status: str) -> StripeObject:
    names = Names(simulation)
    is_paid = status == "paid"
    asked, total = simulation.asked_minor, _total_minor(simulation)
    amount = 0 if simulation.settled_by is SettledBy.BALANCE else total
    # What was paid past Stripe counts as paid since basil.
    is_counted = simulation.settled_by is SettledBy.CARD or shape_of(simulation) is Shape.BASIL
    charged = amount if is_paid and is_counted else 0
    # The invoice's own period is the one before: when what it bills was added to it.
    added_from = period_start_s(simulation, max(simulation.period - 1, 0))
    return {
        "id": names.invoice,
        "object": "invoice",
        **_EVERY_INVOICE,
        "amount_due": amount,
        "amount_paid": charged,
        "amount_remaining": 0 if is_paid else amount,
        "attempt_count": 1 if is_paid else 0,
        "attempted": is_paid,
        "auto_advance": status == "draft",
        "billing_reason": _billing_reason(simulation),
        "created": at_s(simulation),
        "currency": simulation.currency.lower(),
        "customer": names.customer,
        "ending_balance": 0 if is_paid else None,
        "lines": listed(f"/v1/invoices/{names.invoice}/lines", *_lines(simulation)),
        "livemode": is_live(simulation),
        "next_payment_attempt": at_s(simulation) + _HOUR_S if status == "draft" else None,
        "number": f"SIM-{simulation.period + 1:04d}",
        "period_start": added_from,
        "period_end": period_start_s(simulation, simulation.period),
        "status": status,
        "status_transitions": {"paid_at": at_s(simulation) if is_paid else None},
        "starting_balance": amount - total,
        "subtotal": asked,
        "total": total,
        **_invoice_of_version(simulation, is_paid=is_paid),
    }


def _total_minor(simulation: Simulation) -> int:
    return 0 if simulation.settled_by is SettledBy.COUPON else simulation.asked_minor


def _invoice_of_version(simulation: Simulation, *, is_paid: bool) -> StripeObject:
    """Subscription and payment, which each shape of an invoice keeps in another place."""
    names = Names(simulation)
    details = {"metadata": subscription_metadata(simulation)}
    is_by_card = simulation.settled_by is SettledBy.CARD and simulation.asked_minor > 0
    before_basil: StripeObject = {
        "charge": names.charge if is_paid and is_by_card else None,
        "discount": None,
        "paid": is_paid,
        "paid_out_of_band": is_paid and simulation.settled_by is SettledBy.OUT_OF_BAND,
        "payment_intent": names.payment_intent if is_by_card else None,
        "subscription": names.subscription,
        "tax": None,
    }
    match shape_of(simulation):
        case Shape.OLD:
            return before_basil
        case Shape.ACACIA:
            return before_basil | {"subscription_details": details}
        case Shape.BASIL:
            parent = {
                "quote_details": None,
                "subscription_details": details | {"subscription": names.subscription},
                "type": "subscription_details",
            }
            return {"discounts": [], "parent": parent, "total_taxes": []}


def _billing_reason(simulation: Simulation) -> str:
    if any(line.is_proration for line in simulation.lines):
        return "subscription_update"
    return "subscription_create" if simulation.period == 0 else "subscription_cycle"


def _lines(simulation: Simulation) -> Iterator[StripeObject]:
    """The lines that the simulation names, or the one of the whole period."""
    if not simulation.lines:
        start_ms, end_ms = (1000 * period_start_s(simulation, simulation.period + one) for one in (0, 1))
        only = SimulatedLine(
            product_id=Names(simulation).price,
            amount_minor=simulation.asked_minor,
            start_ms=start_ms,
            end_ms=end_ms,
            quantity=simulation.quantity,
        )
        yield _line(simulation, only, Names(simulation).line)
    for number, line in enumerate(simulation.lines):
        billed = replace(simulation, product_id=line.product_id, paid_minor=line.amount_minor, quantity=line.quantity)
        yield _line(billed, line, f"il_{Names(simulation).invoice.removeprefix('in_')}_{number}")


def _line(simulation: Simulation, line: SimulatedLine, line_id: str) -> StripeObject:
    return {
        "id": line_id,
        "object": "line_item",
        "amount": line.amount_minor,
        "currency": simulation.currency.lower(),
        "description": f"{line.quantity} × Plan (by the month)",
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "livemode": is_live(simulation),
        # A subscription's line repeats the subscription's metadata.
        "metadata": subscription_metadata(simulation),
        "period": {"start": line.start_ms // 1000, "end": line.end_ms // 1000},
        "quantity": line.quantity,
        **_line_of_version(simulation, is_proration=line.is_proration),
    }


def _line_of_version(simulation: Simulation, *, is_proration: bool) -> StripeObject:
    """Price, subscription item and proration, which each shape of a line keeps in another place."""
    names = Names(simulation)
    before_basil: StripeObject = {
        "plan": plan(simulation),
        "price": price(simulation),
        "proration": is_proration,
        "subscription": names.subscription,
        "subscription_item": names.item,
        "tax_amounts": [],
        "tax_rates": [],
        "type": "invoiceitem" if is_proration else "subscription",
    }
    match shape_of(simulation):
        case Shape.OLD:
            return before_basil
        case Shape.ACACIA:
            credited = {"credited_items": None}
            return before_basil | {"invoice": names.invoice, "proration_details": credited}
        case Shape.BASIL:
            return _line_since_basil(simulation, is_proration=is_proration)


def _line_since_basil(simulation: Simulation, *, is_proration: bool) -> StripeObject:
    names = Names(simulation)
    kind = "invoice_item_details" if is_proration else "subscription_item_details"
    details = {
        "invoice_item": f"ii_{names.line}" if is_proration else None,
        "proration": is_proration,
        "proration_details": {"credited_items": None},
        "subscription": names.subscription,
        "subscription_item": names.item,
    }
    return {
        "invoice": names.invoice,
        "parent": {"invoice_item_details": None, "subscription_item_details": None, kind: details, "type": kind},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": names.price, "product": names.product},
            "type": "price_details",
            "unit_amount_decimal": str(simulation.paid_minor // simulation.quantity),
        },
        "taxes": [],
    }
