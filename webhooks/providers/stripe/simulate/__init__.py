"""Make Stripe's events: payloads written for this project, laid out as each API version does."""

from collections.abc import Mapping
from typing import Final

from webhooks.providers.assembly import Simulator
from webhooks.providers.stripe.simulate import customers, invoices, payments, reversals, subscriptions
from webhooks.providers.stripe.simulate.common import thin_event

SIMULATORS: Final[Mapping[str, Simulator]] = {
    "checkout.session.completed": payments.session_completed,
    "checkout.session.async_payment_succeeded": payments.session_paid_late,
    "checkout.session.async_payment_failed": payments.session_failed,
    "checkout.session.expired": payments.session_expired,
    "payment_intent.created": payments.intent_created,
    "payment_intent.succeeded": payments.intent_succeeded,
    "charge.succeeded": payments.charge_succeeded,
    "invoice.created": invoices.invoice_created,
    "invoice.finalized": invoices.invoice_finalized,
    "invoice.paid": invoices.invoice_paid,
    "invoice.payment_succeeded": invoices.invoice_paid,
    "invoice.payment_failed": invoices.invoice_payment_failed,
    "invoice.upcoming": invoices.invoice_upcoming,
    "invoice.voided": invoices.invoice_voided,
    "invoice_payment.paid": invoices.invoice_payment_paid,
    "customer.subscription.created": subscriptions.subscription_created,
    "customer.subscription.updated": subscriptions.subscription_updated,
    "customer.subscription.paused": subscriptions.subscription_paused,
    "customer.subscription.resumed": subscriptions.subscription_resumed,
    "customer.subscription.deleted": subscriptions.subscription_deleted,
    "customer.subscription.trial_will_end": subscriptions.trial_will_end,
    "charge.refunded": reversals.charge_refunded,
    "charge.refund.updated": reversals.refund_updated,
    "refund.created": reversals.refund_succeeded,
    "refund.updated": reversals.refund_updated,
    "refund.failed": reversals.refund_failed,
    "credit_note.created": reversals.credit_note_created,
    "charge.dispute.created": reversals.dispute_created,
    "charge.dispute.updated": reversals.dispute_updated,
    "charge.dispute.closed": reversals.dispute_closed,
    "charge.dispute.funds_withdrawn": reversals.dispute_funds_withdrawn,
    "charge.dispute.funds_reinstated": reversals.dispute_funds_reinstated,
    "radar.early_fraud_warning.created": reversals.fraud_warning_created,
    "customer.created": customers.customer_created,
    "customer.deleted": customers.customer_deleted,
    "v1.billing.meter.error_report_triggered": thin_event,
}
"""By event type."""
