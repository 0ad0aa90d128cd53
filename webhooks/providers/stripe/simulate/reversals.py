"""Simulated money that goes back: refunds, disputes, credit notes, warnings of fraud."""

from typing import Final

from credits.inbox.provider import Simulation
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
from webhooks.providers.stripe.simulate.payments import charge

_WEEK_S: Final = 7 * 24 * 60 * 60
_UNDER_REVIEW: Final[StripeObject] = {"status": "under_review"}


def refund_succeeded(simulation: Simulation) -> bytes:
    """The payment was refunded: the whole amount, or the part that the simulation says."""
    return event(simulation, _refund(simulation, status="succeeded"))


def refund_updated(simulation: Simulation) -> bytes:
    return event(simulation, _refund(simulation, status="succeeded"), previous={"status": "pending"})


def refund_failed(simulation: Simulation) -> bytes:
    """The bank did not take the refund; the money came back to us."""
    failed = _refund(simulation, status="failed") | {"failure_reason": "expired_or_canceled_card"}
    return event(simulation, failed, previous={"status": "pending"})


def charge_refunded(simulation: Simulation) -> bytes:
    """The charge after its refund. Until 2022-08-01 it listed its refunds."""
    so_far = simulation.refunded_before_minor + _refunded_minor(simulation)
    content = charge(simulation, refunded_minor=so_far)
    previous: StripeObject = {"amount_refunded": simulation.refunded_before_minor, "refunded": False}
    if shape_of(simulation) is Shape.OLD:
        url = f"/v1/charges/{Names(simulation).charge}/refunds"
        content["refunds"] = listed(url, _refund(simulation, status="succeeded"))
        previous["refunds"] = {"data": [], "total_count": 0}
    return event(simulation, content, previous=previous)


def credit_note_created(simulation: Simulation) -> bytes:
    names = Names(simulation)
    return event(
        simulation,
        {
            "id": names.credit_note,
            "object": "credit_note",
            "amount": simulation.paid_minor,
            "created": at_s(simulation),
            "currency": simulation.currency.lower(),
            "customer": names.customer,
            "customer_balance_transaction": None,
            "discount_amount": 0,
            "invoice": names.invoice,
            "lines": listed(f"/v1/credit_notes/{names.credit_note}/lines"),
            "livemode": is_live(simulation),
            "memo": None,
            "metadata": {},
            "number": "SIM-0001-CN-01",
            "out_of_band_amount": None,
            "reason": "order_change",
            "status": "issued",
            "subtotal": simulation.paid_minor,
            "total": simulation.paid_minor,
            "type": "post_payment",
            "voided_at": None,
        },
    )


def dispute_created(simulation: Simulation) -> bytes:
    return event(simulation, _dispute(simulation, status="needs_response"))


def dispute_updated(simulation: Simulation) -> bytes:
    content = _dispute(simulation, status="under_review")
    return event(simulation, content, previous={"status": "needs_response"})


def dispute_closed(simulation: Simulation) -> bytes:
    """The dispute was lost, unless the simulation says otherwise."""
    return event(simulation, _dispute(simulation, status=simulation.status or "lost"), previous=_UNDER_REVIEW)


def dispute_funds_withdrawn(simulation: Simulation) -> bytes:
    content = _dispute(simulation, status="needs_response")
    return event(simulation, content, previous={"balance_transactions": []})


def dispute_funds_reinstated(simulation: Simulation) -> bytes:
    return event(simulation, _dispute(simulation, status="won"))


def fraud_warning_created(simulation: Simulation) -> bytes:
    names = Names(simulation)
    return event(
        simulation,
        {
            "id": f"issfr_{names.charge.removeprefix('ch_')}",
            "object": "radar.early_fraud_warning",
            "actionable": True,
            "charge": names.charge,
            "created": at_s(simulation),
            "fraud_type": "unauthorized_use_of_card",
            "livemode": is_live(simulation),
            "payment_intent": names.payment_intent,
        },
    )


def _refunded_minor(simulation: Simulation) -> int:
    left = simulation.paid_minor - simulation.refunded_before_minor
    return left if simulation.refunded_minor is None else simulation.refunded_minor


def _refund(simulation: Simulation, *, status: str) -> StripeObject:
    names = Names(simulation)
    content: StripeObject = {
        "id": names.refund,
        "object": "refund",
        "amount": _refunded_minor(simulation),
        "balance_transaction": f"txn_{names.refund}",
        "charge": names.charge,
        "created": at_s(simulation),
        "currency": simulation.currency.lower(),
        "metadata": {},
        "payment_intent": names.payment_intent,
        "reason": "requested_by_customer",
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
    }
    if shape_of(simulation) is not Shape.OLD:
        content["destination_details"] = {"card": {"type": "refund"}, "type": "card"}
    return content


def _dispute(simulation: Simulation, *, status: str) -> StripeObject:
    names = Names(simulation)
    movement = {
        "id": f"txn_{names.dispute}",
        "object": "balance_transaction",
        "amount": -simulation.paid_minor,
        "currency": simulation.currency.lower(),
        "reporting_category": "dispute",
        "source": names.dispute,
        "type": "adjustment",
    }
    return {
        "id": names.dispute,
        "object": "dispute",
        "amount": simulation.paid_minor,
        "balance_transactions": [movement],
        "charge": names.charge,
        "created": at_s(simulation),
        "currency": simulation.currency.lower(),
        "evidence": {},
        "evidence_details": {
            "due_by": at_s(simulation) + _WEEK_S,
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": is_live(simulation),
        "metadata": {},
        "payment_intent": names.payment_intent,
        "reason": "fraudulent",
        "status": status,
    }
