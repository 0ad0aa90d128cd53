"""Values of the inbox: an event's states, what is stored of it, and how an attempt can end."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from credits.config.settings import Tenant
from credits.ids import digest


class EventState(StrEnum):
    """Where an event is on its way to credits. docs/glossary.md says what each means to an operator."""

    RECEIVED = "received"
    PROCESSING = "processing"
    DONE = "done"
    IGNORED = "ignored"
    REJECTED = "rejected"
    UNATTRIBUTED = "unattributed"
    WAITING = "waiting"
    FAILED = "failed"
    DEAD = "dead"
    SKIPPED = "skipped"


FINISHED: Final = frozenset({EventState.DONE, EventState.IGNORED, EventState.REJECTED, EventState.SKIPPED})
"""States that nothing more is expected of."""

CLAIMABLE: Final = frozenset(EventState) - FINISHED - {EventState.DEAD}
"""States in which a worker may take the event once it is due."""

RETRYABLE: Final = frozenset(
    {EventState.FAILED, EventState.DEAD, EventState.UNATTRIBUTED, EventState.WAITING, EventState.RECEIVED}
)
"""States in which an operator's retry does something."""

SUBSCRIPTION_UNKNOWN: Final = "subscription_unknown"
"""The code of a payment that waits until its subscription's own event has come."""

PAYMENT_UNKNOWN: Final = "payment_unknown"
"""The code of a refund or dispute that waits until its payment's own event has come."""

NEEDS_OPERATOR: Final = frozenset({EventState.FAILED, EventState.DEAD, EventState.UNATTRIBUTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """A verified webhook on its way into the inbox."""

    tenant: Tenant
    provider: str
    provider_account: str
    endpoint: Tenant
    event_id: str
    event_type: str
    body: bytes
    state: EventState
    code: str | None = None
    detail: str | None = None
    occurred_at_ms: int | None
    received_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What storing a webhook came to."""

    id: int
    state: EventState
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedEvent:
    """An event in the hands of one worker, until its lease ends."""

    id: int
    tenant: Tenant
    provider: str
    event_id: str
    event_type: str
    body: bytes
    attempts: int
    """How often it was claimed, this time included."""
    crashes: int
    lease_token: str
    code: str | None
    """How the attempt before this one ended."""
    attached_account: str | None
    attached_credit_type: str | None
    attached_amount: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended. A later attempt may end better."""

    state: EventState
    code: str | None = None
    detail: str = ""
    due_at_ms: int | None = None
    """When to try again by itself; None: never."""
    waits_for: tuple[str, ...] = ()
    """Subjects whose arrival makes the event due at once: `stripe:customer:cus_1`."""
    account: str | None = None
    """Whose credits moved, for the log."""
    payment: str | None = None
    """What was paid for, for the log: `stripe:cs:cs_1`."""


def customer_subject(provider: str, customer_id: str) -> str:
    """What an event waits for until the customer is known to belong to an account."""
    return _subject(provider, "customer", customer_id)


def subscription_subject(provider: str, subscription_id: str) -> str:
    """What an event waits for until the subscription has been seen, or belongs to an account."""
    return _subject(provider, "subscription", subscription_id)


def payment_subject(name: str) -> str:
    """What a refund or dispute waits for until a payment of that name has been seen. Names begin with the provider."""
    return _subject("payment", "name", name)


def _subject(provider: str, kind: str, name: str) -> str:
    subject = f"{provider}:{kind}:{name}"
    # What the column holds; an id as long as that is nobody's yet.
    return subject if len(subject) <= 255 else f"{provider}:{kind}:sha256:{digest(name)}"
