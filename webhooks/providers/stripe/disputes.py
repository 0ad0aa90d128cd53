"""Disputes: a payer's bank takes a payment back, and may have to return it."""

from typing import Final

from credits.facts import DisputeSeen, DisputeStatus, Fact, NothingToDo
from credits.inbox.provider import Payload
from webhooks.fields import Node
from webhooks.providers.stripe.refunds import payment_of
from webhooks.providers.stripe.shapes import event_object

_STATUS: Final = {
    "needs_response": DisputeStatus.OPEN,
    "under_review": DisputeStatus.OPEN,
    "lost": DisputeStatus.LOST,
    "won": DisputeStatus.WON,
    # We refunded the charge instead: the dispute is over, and the refund counts by itself.
    "charge_refunded": DisputeStatus.WON,
    # It was turned away before money moved.
    "prevented": DisputeStatus.WON,
}


def dispute_changed(payload: Payload) -> tuple[Fact, ...]:
    """A dispute was opened, changed or closed. One whose status is a warning is a bank's question; no money moved."""
    dispute = event_object(payload)
    status = dispute.text("status") or ""
    if status.startswith("warning_"):
        return (NothingToDo(reason=f"dispute {dispute.text('id')} is only an inquiry ({status})"),)
    # A word that is yet to be invented: what is frozen can be set free again, what is spent can not be frozen.
    return (_seen(dispute, _STATUS.get(status, DisputeStatus.OPEN)),)


def dispute_funds_withdrawn(payload: Payload) -> tuple[Fact, ...]:
    """The disputed money was taken, even where the status still speaks of an inquiry: the dispute is open, or over."""
    dispute = event_object(payload)
    return (_seen(dispute, _STATUS.get(dispute.text("status") or "", DisputeStatus.OPEN)),)


def dispute_funds_reinstated(payload: Payload) -> tuple[Fact, ...]:
    """The disputed money was given back: the dispute is won, whatever was said of it before."""
    return (_seen(event_object(payload), DisputeStatus.WON),)


def _seen(dispute: Node, status: DisputeStatus) -> DisputeSeen:
    return DisputeSeen(
        ref=f"stripe:dp:{dispute.required_text('id')}",
        names=payment_of(dispute),
        amount=dispute.required_money("amount", dispute.required_text("currency")),
        status=status,
    )
