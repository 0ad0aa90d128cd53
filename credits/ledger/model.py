"""Values of the ledger: what is ordered, what was posted, and what an account holds."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from credits.clock import checked_instant_ms
from credits.ids import checked_text
from credits.units import Money, checked_amount

MAX_KEY_LENGTH: Final = 255

OWN_KEY: Final = "manual:"
"""Before the names that callers give to changes of their own, so that no provider's payment is named alike."""
MAX_ACTOR_LENGTH: Final = 200
MAX_REASON_LENGTH: Final = 500


class EntryKind(StrEnum):
    """Why the ledger itself moved credits. What the gate takes has a `DebitKind`."""

    GRANT = "grant"
    RESTORE = "restore"
    """Credits given back after a clawback: a refund failed, a dispute was won."""


class DebitKind(StrEnum):
    """Why the gate took credits; the kind of the ledger entry."""

    SPEND = "spend"
    DEDUCT = "deduct"
    EXPIRE = "expire"
    CLAWBACK = "clawback"
    RESET = "reset"
    FREEZE = "freeze"
    """No entry: what is frozen is in the balance still. It leaves what the gate may give."""


ORDERED_KINDS: Final = frozenset({DebitKind.EXPIRE, DebitKind.CLAWBACK, DebitKind.RESET, DebitKind.FREEZE})
"""Debits that begin as an order in SQL (credits.ledger.orders)."""


class GrantSource(StrEnum):
    """Where a grant came from. Free ones are burnt before paid ones of the same priority and expiry."""

    PURCHASE = "purchase"
    PLAN = "plan"
    ROLLOVER = "rollover"
    TRIAL = "trial"
    WELCOME = "welcome"
    PROMO = "promo"
    MANUAL = "manual"


PAID_SOURCES = frozenset({GrantSource.PURCHASE, GrantSource.PLAN, GrantSource.ROLLOVER})


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantOrder:
    """Credits to be put in: one lot."""

    account: str
    credit_type: str
    amount: int
    key: str
    """Names what was paid for, and the credit type; unique for ever."""
    fingerprint: str
    """Digest of what the caller sent, without anything derived from configuration."""
    source: GrantSource
    source_ref: str
    plan: str | None = None
    priority: int
    effective_at_ms: int
    expires_at_ms: int | None
    paid: Money | None = None
    actor: str
    reason: str
    event_id: int | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_order(self)
        checked_text(self.source_ref, "source_ref", max_length=MAX_KEY_LENGTH)
        if self.expires_at_ms is not None:
            checked_instant_ms(self.expires_at_ms, "expires_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """The answer to an order: the entry, and whether this call wrote it or an earlier one with the same key."""

    account: str
    credit_type: str
    key: str
    seq: int
    amount: int
    """Positive for credits put in, negative for credits taken out."""
    balance_after: int
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """An open grant as the burn order sees it."""

    grant_id: int
    remaining: int
    frozen: int
    priority: int
    source: GrantSource
    effective_at_ms: int
    expires_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """Credits taken from one lot."""

    grant_id: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What an account has of one credit type. `as_json` is the shape every face shows."""

    balance: int
    """What the ledger says: Σ remaining of the grants − debt."""
    held: int = 0
    pending: int = 0
    available: int
    """What a job may reserve now: without what has lapsed, is frozen, is held, or is not effective yet."""
    debt: int = 0

    def as_json(self) -> dict[str, int]:
        return {
            "balance": self.balance,
            "held": self.held,
            "pending": self.pending,
            "available": self.available,
            "debt": self.debt,
        }


def _check_order(order: GrantOrder) -> None:
    """What the columns hold, said before PostgreSQL refuses it and SQLite does not."""
    checked_amount(order.amount)
    checked_text(order.key, "key", max_length=MAX_KEY_LENGTH)
    checked_text(order.actor, "actor", max_length=MAX_ACTOR_LENGTH)
    checked_text(order.reason, "reason", max_length=MAX_REASON_LENGTH)
