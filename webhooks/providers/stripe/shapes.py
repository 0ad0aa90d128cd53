"""Where Stripe keeps things: one function per fact, for every API version from 2016 on."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from credits.errors import MalformedPayloadError
from credits.inbox.provider import Payload
from webhooks.fields import Node
from webhooks.metadata import read_metadata

_LAST_SECOND: Final = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())


def event_object(payload: Payload) -> Node:
    """The object an event is about; empty where the event carries none, so that its first field is the one refused."""
    return Node(payload).child("data").child("object")


def created_ms(payload: Payload) -> int:
    """When the event happened. Stripe says it in whole seconds."""
    created = instant_ms(Node(payload), "created")
    if created is None:
        raise MalformedPayloadError("created is missing; it must be the event's time in seconds since 1970")
    return created


def instant_ms(node: Node, name: str) -> int | None:
    """A field of seconds since 1970, in milliseconds."""
    seconds = node.integer(name)
    if seconds is None:
        return None
    if not 0 <= seconds <= _LAST_SECOND:
        raise MalformedPayloadError(
            f"{_at(node, name)} must be seconds since 1970 before the year 10000, got {seconds}"
        )
    return seconds * 1000


def reference(node: Node, name: str) -> str | None:
    """The id of another object: Stripe sends the id alone, or the whole object where it was expanded."""
    if isinstance(node.values.get(name), dict):
        return node.child(name).required_text("id")
    return node.text(name)


def known_as(*named: tuple[str, str | None]) -> tuple[str, ...]:
    """Names of one payment as refunds and disputes spell them, out of (kind, id) pairs; absent ids are left out."""
    names = [f"stripe:{kind}:{object_id}" for kind, object_id in named if object_id is not None]
    return tuple(dict.fromkeys(names))


def account_of(*nodes: Node) -> str | None:
    """The account in the first metadata that names one. Each node is an object with a field `metadata`."""
    return next((found for node in nodes if (found := read_metadata(node.values.get("metadata")).account)), None)


def price_of(node: Node) -> str | None:
    """The price of an invoice line or subscription item: once its plan; since basil, a string within `pricing`."""
    return (
        reference(node.child("pricing").child("price_details"), "price")
        or reference(node, "price")
        or reference(node, "plan")
    )


def invoice_subscription(invoice: Node) -> str | None:
    """The subscription an invoice bills; None for one that bills something else."""
    return reference(subscription_details(invoice), "subscription") or reference(invoice, "subscription")


def subscription_details(invoice: Node) -> Node:
    """What an invoice repeats of its subscription: below `parent` since basil; before 2023 there was nothing."""
    parent = invoice.child("parent")
    if parent.has("type"):
        # The parent's other details may be filled with what does not apply.
        return parent.child("subscription_details") if parent.text("type") == "subscription_details" else Node({})
    return invoice.child("subscription_details")


class LineKind(StrEnum):
    """What an invoice line bills."""

    SUBSCRIPTION = "subscription"
    """A subscription item for a period."""
    PRORATION = "proration"
    """The difference that a change in the middle of a period makes; negative for time given back."""
    OTHER = "other"
    """A single thing: a purchase, a fee."""


def line_kind(line: Node) -> LineKind:
    """What `line` bills, by the flags on the line itself."""
    details = _line_details(line)
    if details.flag("proration"):
        return LineKind.PRORATION
    if line.child("parent").has("type"):
        is_subscription = line.child("parent").text("type") == "subscription_item_details"
    elif line.has("type"):
        is_subscription = line.text("type") == "subscription"
    else:
        is_subscription = line.has("subscription_item") or line.has("subscription")
    return LineKind.SUBSCRIPTION if is_subscription else LineKind.OTHER


def line_subscription(line: Node) -> str | None:
    """The subscription a line bills. Until 2018 a subscription's line had the subscription's id for its own."""
    named = reference(_line_details(line), "subscription")
    own = line.text("id")
    return named or (own if own is not None and own.startswith("sub_") else None)


def line_item(line: Node) -> str:
    """The subscription item a line bills; the line's own id in shapes that name none, which is as lasting."""
    return reference(_line_details(line), "subscription_item") or line.required_text("id")


def _line_details(line: Node) -> Node:
    """Where the line says what it bills: below `parent`, in the field that its type names, or on the line itself."""
    parent = line.child("parent")
    details = parent.text("type")
    return line if details is None else parent.child(details)


def _at(node: Node, name: str) -> str:
    return f"{node.path}.{name}" if node.path else name
