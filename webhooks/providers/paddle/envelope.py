"""The envelope of a Paddle notification: which event it is, and of what type. It does not say in which mode."""

from credits.errors import MalformedPayloadError
from credits.inbox.provider import Delivery, Payload
from webhooks.fields import Node


def read_envelope(payload: Payload, _body: bytes) -> Delivery:
    """
    Raises MalformedPayloadError if there is no `event_id` or `event_type`.

    Sandbox and live are accounts of their own at Paddle, each with its secret: the secret tells which it is. A
    notification sent again has another `notification_id` and the same `event_id`.
    """
    event = Node(payload)
    return Delivery(
        event_id=event.required_text("event_id"),
        event_type=event.required_text("event_type"),
        tenant=None,
        occurred_at_ms=_occurred_at_ms(event),
    )


def _occurred_at_ms(event: Node) -> int | None:
    # Only shown to people, so an odd one is no reason to refuse the event.
    try:
        return event.instant_ms("occurred_at")
    except MalformedPayloadError:
        return None
