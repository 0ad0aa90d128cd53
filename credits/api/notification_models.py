"""What requests about notifications carry and answers hold."""

from typing import Annotated, Any, Final

from credits.api import fields
from credits.api.fields import Checked
from credits.api.models import DEFAULT_PAGE, MAX_PAGE, Sent, Shown
from credits.errors import InvalidInputError
from credits.errors.tree import shown
from credits.ledger.model import MAX_REASON_LENGTH
from credits.notifications.model import MAX_URL_LENGTH, SUBSCRIBABLE, DeliveryState

DESTINATION_FORMAT: Final = "creditgate-destination"
"""In the OpenAPI document: an https URL of a public host, or a mailto: address."""

MAX_SECRET_VERSION: Final = 2**31 - 1

_KINDS: Final = sorted(kind.value for kind in SUBSCRIBABLE)
_STATES: Final = [state.value for state in DeliveryState]


def _checked_kinds(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(kind, str) and kind in _KINDS for kind in value):
        raise InvalidInputError("kinds", f"must be a list of {', '.join(_KINDS)}, got {shown(value)}")
    return tuple(sorted(set(value)))


def _checked_state(value: Any) -> DeliveryState:
    if value not in _STATES:
        raise InvalidInputError("state", f"must be one of {', '.join(_STATES)}, got {shown(value)}")
    return DeliveryState(value)


def _checked_version(value: object) -> int:
    if type(value) is not int or not 1 <= value <= MAX_SECRET_VERSION:
        raise InvalidInputError("version", f"must be a whole number from 1 to {MAX_SECRET_VERSION}")
    return value


KINDS: Final = Checked(_checked_kinds, {"type": "array", "items": {"type": "string", "enum": _KINDS}})
STATE: Final = Checked(_checked_state, {"type": "string", "enum": _STATES})
VERSION: Final = Checked(_checked_version, {"type": "integer", "minimum": 1, "maximum": MAX_SECRET_VERSION})
URL: Final = Checked(
    # What may stand in it is checked by the library, which knows the networks that are allowed.
    fields.a_text("url", max_length=MAX_URL_LENGTH).check,
    {"type": "string", "maxLength": MAX_URL_LENGTH, "format": DESTINATION_FORMAT},
)


REASON: Final = Checked(
    fields.a_text("reason", max_length=MAX_REASON_LENGTH).check,
    # The only field of some bodies: a fuzzer has to know what makes it wrong.
    {"type": "string", "maxLength": MAX_REASON_LENGTH, "pattern": r"^[^\x00]*$"},
)


class ReasonBody(Sent):
    reason: Annotated[str, REASON] = ""
    """Why; it stays in the audit log."""


class DestinationBody(ReasonBody):
    url: Annotated[str, URL]
    """`https://…` of a public host on port 443 or 8443, or `mailto:` with one address."""
    kinds: Annotated[tuple[str, ...], KINDS] = ()
    """What it is told of; empty: of everything."""
    key: Annotated[str | None, fields.an_id("key").or_none()] = None
    """Names the destination. Left out: the Idempotency-Key, or else every request makes another one."""


class SecretBody(ReasonBody):
    version: Annotated[int, VERSION]
    """Of the secret that is wanted: `secret_version` for the present one, one more to rotate it."""


class DeliveriesQuery(Sent):
    state: Annotated[DeliveryState | None, STATE] = None
    destination: Annotated[str | None, fields.an_id("destination")] = None
    limit: Annotated[int, fields.a_whole_number("limit", largest=MAX_PAGE)] = DEFAULT_PAGE
    cursor: Annotated[int | None, fields.a_whole_number("cursor", largest=fields.MAX_CURSOR)] = None
    """`next` of the page before."""


class DestinationFound(Shown):
    destination: str
    url: str
    kinds: list[str]
    """Empty: all."""
    disabled_reason: str | None
    """Null while it is told."""
    secret_version: int
    previous_secret_until: str | None
    """Until when the secret before this one signs, too."""


class DestinationWithSecret(DestinationFound):
    secret: str
    """Signs what it is sent. It is derived, not stored, and shown here alone."""
    replayed: bool


class DestinationList(Shown):
    items: list[DestinationFound]


class DestinationDeleted(Shown):
    destination: str
    deleted: bool


class DeliveryFound(Shown):
    id: int
    notification: str
    """The `webhook-id`."""
    kind: str
    account: str | None
    destination: str
    state: str
    """pending, delivered or dead."""
    attempts: int
    status: int | None
    """Of the last attempt; null if nobody answered."""
    detail: str | None
    at: str
    """When it happened."""
    due_at: str | None
    """When it is tried (again); null: never by itself."""


class DeliveryPage(Shown):
    items: list[DeliveryFound]
    next: int | None


class AttemptFound(Shown):
    at: str
    status: int | None
    duration_ms: int
    detail: str


class DeliveryWithLog(DeliveryFound):
    log: list[AttemptFound]
    """Every attempt, the first one first."""


class Pinged(Shown):
    destination: str
    delivery: int


class Retried(Shown):
    destination: str
    retried: int
