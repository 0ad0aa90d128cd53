"""Read Stripe's events: the envelope, and the table of readers, one small pure function per event type."""

import hashlib
from collections.abc import Mapping
from typing import Final

from credits.config.settings import Tenant
from credits.errors import MalformedPayloadError
from credits.inbox.provider import Delivery, Payload
from webhooks.fields import Node
from webhooks.providers.assembly import Reader
from webhooks.providers.stripe import checkout, disputes, invoices, refunds, subscriptions
from webhooks.providers.stripe.shapes import instant_ms

READERS: Final[Mapping[str, Reader]] = {
    "checkout.session.completed": checkout.session_completed,
    "checkout.session.async_payment_succeeded": checkout.session_paid_late,
    "checkout.session.async_payment_failed": checkout.session_failed,
    "checkout.session.expired": checkout.session_expired,
    "payment_intent.succeeded": checkout.payment_intent_succeeded,
    "invoice.paid": invoices.invoice_paid,
    "invoice.payment_succeeded": invoices.invoice_payment_succeeded,
    "invoice.payment_failed": invoices.invoice_payment_failed,
    "invoice_payment.paid": refunds.invoice_payment_paid,
    "invoice.voided": refunds.invoice_voided,
    "credit_note.created": refunds.credit_note_created,
    "customer.subscription.created": subscriptions.subscription_created,
    "customer.subscription.updated": subscriptions.subscription_updated,
    "customer.subscription.paused": subscriptions.subscription_paused,
    "customer.subscription.resumed": subscriptions.subscription_resumed,
    "customer.subscription.deleted": subscriptions.subscription_deleted,
    "charge.refunded": refunds.charge_refunded,
    "charge.refund.updated": refunds.refund_changed,
    "refund.created": refunds.refund_changed,
    "refund.updated": refunds.refund_changed,
    "refund.failed": refunds.refund_changed,
    "charge.dispute.created": disputes.dispute_changed,
    "charge.dispute.updated": disputes.dispute_changed,
    "charge.dispute.closed": disputes.dispute_changed,
    "charge.dispute.funds_withdrawn": disputes.dispute_funds_withdrawn,
    "charge.dispute.funds_reinstated": disputes.dispute_funds_reinstated,
}
"""By event type; every other type is kept as ignored."""

# What the inbox's columns hold.
_MAX_TYPE_LENGTH: Final = 100
_MAX_ACCOUNT_LENGTH: Final = 64


def read_envelope(payload: Payload, body: bytes) -> Delivery:
    """
    Id, type, mode, connected account and time of an event; thin events (`v2.core.event`) have the same.

    Raises MalformedPayloadError if there is no type, or a field is of another kind than Stripe documents.
    """
    event = Node(payload)
    live = event.flag("livemode")
    return Delivery(
        event_id=event.text("id") or f"sha256:{hashlib.sha256(body).hexdigest()}",
        event_type=_at_most(_MAX_TYPE_LENGTH, "type", event.required_text("type")),
        tenant=None if live is None else Tenant.LIVE if live else Tenant.SANDBOX,
        provider_account=_at_most(_MAX_ACCOUNT_LENGTH, "account", event.text("account") or ""),
        occurred_at_ms=_occurred_at_ms(event),
    )


def _occurred_at_ms(event: Node) -> int | None:
    """Seconds since 1970, or in a thin event an ISO 8601 instant."""
    # Only shown to people, so an odd one is no reason to refuse the event; readers that need the time look themselves.
    is_text = isinstance(event.values.get("created"), str)
    try:
        return event.instant_ms("created") if is_text else instant_ms(event, "created")
    except MalformedPayloadError:
        return None


def _at_most(length: int, name: str, text: str) -> str:
    if len(text) > length:
        raise MalformedPayloadError(f"{name} must have at most {length} characters, got {len(text)}")
    return text
