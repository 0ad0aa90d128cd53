"""Money that goes back: refunds, credit notes, voided invoices. Their handling is not built; the events wait for it."""

from credits.facts import Deferred, Fact, Feature
from credits.inbox.provider import Payload
from webhooks.providers.stripe.shapes import event_object


def refund_changed(payload: Payload) -> tuple[Fact, ...]:
    """A refund was made, went through, or failed; its status tells which."""
    return _deferred(payload, "re", "a refund was made or changed its status")


def charge_refunded(payload: Payload) -> tuple[Fact, ...]:
    """A charge was refunded, in part or whole. The event counts what all its refunds add up to."""
    return _deferred(payload, "ch", "the charge was refunded, in part or whole")


def credit_note_created(payload: Payload) -> tuple[Fact, ...]:
    """An invoice was reduced after it was sent."""
    return _deferred(payload, "cn", "a credit note reduced an invoice")


def invoice_voided(payload: Payload) -> tuple[Fact, ...]:
    """An invoice was declared void. Credits that it brought, if any, have to go back."""
    return _deferred(payload, "in", "the invoice was voided")


def _deferred(payload: Payload, kind: str, reason: str) -> tuple[Fact, ...]:
    subject = f"stripe:{kind}:{event_object(payload).required_text('id')}"
    return (Deferred(feature=Feature.REFUND, subject=subject, reason=reason),)
