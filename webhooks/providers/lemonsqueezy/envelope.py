"""The envelope of a Lemon Squeezy webhook: which delivery it is, of what type, in which mode."""

import hashlib
import re
from typing import Final

from credits.config.settings import Tenant
from credits.errors import MalformedPayloadError
from credits.inbox.provider import Delivery, Payload
from webhooks.fields import Node

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def read_envelope(payload: Payload, body: bytes) -> Delivery:
    """Raises MalformedPayloadError if there is no `meta.event_name`, or a test mode that is neither true nor false."""
    meta = Node(payload).child("meta")
    attributes = _attributes(payload)
    return Delivery(
        event_id=_event_id(meta, body),
        event_type=meta.required_text("event_name"),
        tenant=_tenant(meta, attributes),
        occurred_at_ms=_occurred_at_ms(attributes),
    )


def _event_id(meta: Node, body: bytes) -> str:
    # Only a UUID names a delivery. Lemon Squeezy numbers its webhook endpoints, and an endpoint's number taken for
    # the id of an event would make every payment after the first a duplicate. A resend has the same body.
    webhook_id = meta.values.get("webhook_id")
    if isinstance(webhook_id, str) and _UUID.fullmatch(webhook_id):
        return webhook_id
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _tenant(meta: Node, attributes: Node) -> Tenant | None:
    # One word of a test is enough: sandbox credits given by mistake cost nothing.
    modes = {attributes.flag("test_mode"), meta.flag("test_mode")}
    if True in modes:
        return Tenant.SANDBOX
    return Tenant.LIVE if False in modes else None


def _occurred_at_ms(attributes: Node) -> int | None:
    # Only shown to people, so an odd one is no reason to refuse the event.
    try:
        return attributes.instant_ms("updated_at") or attributes.instant_ms("created_at")
    except MalformedPayloadError:
        return None


def _attributes(payload: Payload) -> Node:
    # Types that are not read here may carry a list: their envelope is read all the same.
    data = payload.get("data")
    return Node(data, "data").child("attributes") if isinstance(data, dict) else Node({})
