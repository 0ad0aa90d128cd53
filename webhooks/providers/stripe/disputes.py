"""Disputes: a bank takes a payment back. Their handling is not built; the events wait for it."""

from credits.facts import Deferred, Fact, Feature, NothingToDo
from credits.inbox.provider import Payload
from webhooks.fields import Node
from webhooks.providers.stripe.shapes import event_object


def dispute_changed(payload: Payload) -> tuple[Fact, ...]:
    """A dispute was opened, changed or closed. One whose status is a warning is a bank's question; no money moved."""
    dispute = event_object(payload)
    status = dispute.text("status") or ""
    if status.startswith("warning_"):
        return (NothingToDo(reason=f"dispute {dispute.text('id')} is only an inquiry ({status})"),)
    return (_deferred(dispute, f"the dispute's status is {status or 'not given'}"),)


def dispute_funds_moved(payload: Payload) -> tuple[Fact, ...]:
    """The disputed money was taken or given back. It was, even where the status still speaks of an inquiry."""
    return (_deferred(event_object(payload), "the disputed money was taken or given back"),)


def _deferred(dispute: Node, reason: str) -> Deferred:
    return Deferred(feature=Feature.DISPUTE, subject=f"stripe:dp:{dispute.required_text('id')}", reason=reason)
