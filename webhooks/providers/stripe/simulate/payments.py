"""Simulated single payments: checkout sessions, payment intents and charges, in three shapes."""

from typing import Final

from credits.checkout.marks import KIND, TOPUP
from credits.inbox.provider import Simulation
from webhooks.metadata import write_metadata
from webhooks.providers.stripe.simulate.common import (
    Names,
    Shape,
    StripeObject,
    at_s,
    event,
    is_live,
    listed,
    shape_of,
)

_DAY_S: Final = 24 * 60 * 60
_EVERY_CHARGE: Final[StripeObject] = {
    "application": None,
    "application_fee": None,
    "application_fee_amount": None,
    "billing_details": {"address": None, "email": None, "name": None, "phone": None},
    "calculated_statement_descriptor": "CREDITS",
    "captured": True,
    "description": None,
    "disputed": False,
    "failure_code": None,
    "failure_message": None,
    "fraud_details": {},
    "metadata": {},
    "on_behalf_of": None,
    "outcome": {"network_status": "approved_by_network", "risk_level": "normal", "type": "authorized"},
    "paid": True,
    "payment_method_details": {"card": {"brand": "visa", "funding": "credit"}, "type": "card"},
    "receipt_email": None,
    "receipt_number": None,
    "review": None,
    "shipping": None,
    "source_transfer": None,
    "status": "succeeded",
    "transfer_data": None,
    "transfer_group": None,
}
"""What is alike in every simulated charge."""

_EVERY_SESSION: Final[StripeObject] = {
    "after_expiration": None,
    "allow_promotion_codes": None,
    "automatic_tax": {"enabled": False, "status": None},
    "billing_address_collection": None,
    "cancel_url": "https://shop.example/cancelled",
    "consent": None,
    "consent_collection": None,
    "customer_details": {"address": None, "email": None, "name": None, "phone": None, "tax_exempt": "none"},
    "customer_email": None,
    "locale": None,
    "payment_link": None,
    "payment_method_options": {},
    "payment_method_types": ["card"],
    "phone_number_collection": {"enabled": False},
    "recovered_from": None,
    "setup_intent": None,
    "shipping_address_collection": None,
    "shipping_cost": None,
    "shipping_options": [],
    "submit_type": None,
    "success_url": "https://shop.example/thanks",
    "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
    "url": None,
}
"""What is alike in every simulated checkout session."""

_EVERY_INTENT: Final[StripeObject] = {
    "amount_capturable": 0,
    "amount_details": {"tip": {}},
    "application": None,
    "application_fee_amount": None,
    "automatic_payment_methods": None,
    "canceled_at": None,
    "cancellation_reason": None,
    "capture_method": "automatic",
    "client_secret": None,
    "confirmation_method": "automatic",
    "description": None,
    "last_payment_error": None,
    "next_action": None,
    "on_behalf_of": None,
    "payment_method_options": {},
    "payment_method_types": ["card"],
    "processing": None,
    "receipt_email": None,
    "review": None,
    "setup_future_usage": None,
    "shipping": None,
    "source": None,
    "transfer_data": None,
    "transfer_group": None,
}
"""What is alike in every simulated payment intent."""


def session_completed(simulation: Simulation) -> bytes:
    """A complete checkout: of a plan where one is named and no credits are; free where there is nothing to pay."""
    payment_status = "paid" if simulation.paid_minor else "no_payment_required"
    return event(simulation, _session(simulation, status="complete", payment_status=payment_status))


def session_paid_late(simulation: Simulation) -> bytes:
    return event(simulation, _session(simulation, status="complete", payment_status="paid"))


def session_failed(simulation: Simulation) -> bytes:
    return event(simulation, _session(simulation, status="complete", payment_status="unpaid"))


def session_expired(simulation: Simulation) -> bytes:
    return event(simulation, _session(simulation, status="expired", payment_status="unpaid"))


def intent_succeeded(simulation: Simulation) -> bytes:
    """A top-up of ours: a saved card was charged without a checkout."""
    return event(simulation, _intent(simulation, status="succeeded"))


def intent_created(simulation: Simulation) -> bytes:
    return event(simulation, _intent(simulation, status="requires_payment_method"))


def charge_succeeded(simulation: Simulation) -> bytes:
    return event(simulation, charge(simulation, refunded_minor=0))


def charge(simulation: Simulation, *, refunded_minor: int) -> StripeObject:
    """The charge that paid, with what was refunded of it so far. Its list of refunds is left to the caller."""
    names, shape = Names(simulation), shape_of(simulation)
    content: StripeObject = {
        "id": names.charge,
        "object": "charge",
        "amount": simulation.paid_minor,
        "amount_captured": simulation.paid_minor,
        "amount_refunded": refunded_minor,
        **_EVERY_CHARGE,
        "balance_transaction": f"txn_{names.charge.removeprefix('ch_')}",
        "created": at_s(simulation),
        "currency": simulation.currency.lower(),
        "customer": names.customer,
        "livemode": is_live(simulation),
        "payment_intent": names.payment_intent,
        "payment_method": f"pm_{names.charge.removeprefix('ch_')}",
        "refunded": refunded_minor == simulation.paid_minor,
    }
    if shape is not Shape.BASIL:
        content |= {"invoice": None, "source": None, "dispute": None, "order": None}
    return content


def _session(simulation: Simulation, *, status: str, payment_status: str) -> StripeObject:
    names = Names(simulation)
    # Sold is a plan, if one is named, unless the simulation says how many credits are bought.
    is_subscription = simulation.product_id is not None and simulation.amount is None
    was_charged = payment_status != "no_payment_required" and status == "complete"
    return {
        "id": names.session,
        "object": "checkout.session",
        **_EVERY_SESSION,
        "amount_subtotal": simulation.paid_minor,
        "amount_total": simulation.paid_minor,
        "client_reference_id": simulation.client_reference,
        "created": at_s(simulation),
        "currency": simulation.currency.lower(),
        "customer": names.customer,
        "expires_at": at_s(simulation) + _DAY_S,
        "invoice": names.invoice if is_subscription and status == "complete" else None,
        "livemode": is_live(simulation),
        "metadata": {**write_metadata(simulation), KIND: "checkout"},
        "mode": "subscription" if is_subscription else "payment",
        "payment_intent": names.payment_intent if was_charged and not is_subscription else None,
        "payment_method_collection": "always" if is_subscription else "if_required",
        "payment_status": payment_status,
        "status": status,
        "subscription": names.subscription if is_subscription and status == "complete" else None,
        **_session_of_version(shape_of(simulation)),
    }


def _session_of_version(shape: Shape) -> StripeObject:
    """The fields that only some versions of a session have."""
    match shape:
        case Shape.OLD:
            return {"shipping": None}
        case Shape.ACACIA:
            return {"currency_conversion": None, "shipping_details": None, "ui_mode": "hosted", "custom_fields": []}
        case Shape.BASIL:
            return {
                "adaptive_pricing": {"enabled": True},
                "collected_information": {"shipping_details": None},
                "custom_fields": [],
                "discounts": [],
                "origin_context": None,
                "permissions": None,
                "ui_mode": "hosted",
                "wallet_options": None,
            }


def _intent(simulation: Simulation, *, status: str) -> StripeObject:
    names, shape = Names(simulation), shape_of(simulation)
    is_paid = status == "succeeded"
    content: StripeObject = {
        "id": names.payment_intent,
        "object": "payment_intent",
        "amount": simulation.paid_minor,
        **_EVERY_INTENT,
        "amount_received": simulation.paid_minor if is_paid else 0,
        "created": at_s(simulation),
        "currency": simulation.currency.lower(),
        "customer": names.customer,
        "livemode": is_live(simulation),
        "metadata": {**write_metadata(simulation), KIND: TOPUP},
        "payment_method": f"pm_{names.payment_intent.removeprefix('pi_')}" if is_paid else None,
        "status": status,
    }
    if shape is Shape.OLD:
        charges = [charge(simulation, refunded_minor=0)] if is_paid else []
        content["charges"] = listed(f"/v1/charges?payment_intent={names.payment_intent}", *charges)
    else:
        content["latest_charge"] = names.charge if is_paid else None
    if shape is not Shape.BASIL:
        content["invoice"] = None
    return content
