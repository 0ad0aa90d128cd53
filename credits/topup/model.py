"""Values of automatic top-ups: what an owner agreed to, what was tried, and what is decided."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from credits.checkout.cards import DeclineKind


class AttemptState(StrEnum):
    """How far one attempt has come. The first three are in flight: no other one begins beside them."""

    OPEN = "open"
    """The quote is stored; what the provider made of it is not known yet."""
    PENDING = "pending"
    """The provider is at it."""
    CHARGED = "charged"
    """The money is taken; its event brings the credits."""
    GRANTED = "granted"
    DECLINED = "declined"
    HANDED_OFF = "handed_off"
    """The bank wants to see its customer, who has a link to pay by."""
    REFUSED = "refused"
    """The provider would not even try."""
    LOST = "lost"
    """The provider never heard of it, and it is too late to ask again."""


IN_FLIGHT: Final = (AttemptState.OPEN, AttemptState.PENDING, AttemptState.CHARGED)
TAKEN: Final = (*IN_FLIGHT, AttemptState.GRANTED)
"""What counts as money of the month: it is taken, or may yet be."""


class Reason(StrEnum):
    """Why a top-up does or does not happen. docs/topup.md explains each."""

    SHORTAGE = "shortage"
    ENOUGH = "enough"
    IN_FLIGHT = "in_flight"
    JUST_TOPPED_UP = "just_topped_up"
    BACK_OFF = "back_off"
    MONTHLY_CAP = "monthly_cap"
    OFF = "off"
    ACCOUNT_BLOCKED = "account_blocked"
    REFUNDED = "refunded"
    CARD_DECLINED = "card_declined"
    AUTHENTICATION_NEEDED = "authentication_needed"
    DECLINED_TOO_OFTEN = "declined_too_often"
    CAP_TOO_SMALL = "cap_too_small"
    NOT_FOR_SALE = "not_for_sale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an account's owner agreed to, for one credit type."""

    account: str
    credit_type: str
    provider: str
    is_on: bool
    threshold: int
    """Fewer available credits than these are a shortage."""
    amount: int | None
    """Bought each time; or else as many as are missing to `target`."""
    target: int | None
    cap_minor: int
    """The most that is charged in a calendar month (UTC)."""
    currency: str
    confirmed_at_ms: int
    """When somebody last said that it is right as it is: declines before that count no more."""
    customer_id: str | None = None
    payment_method: str | None = None

    def __post_init__(self) -> None:
        if (self.amount is None) == (self.target is None):
            raise ValueError("a policy has an amount or a target")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt to charge for one shortage."""

    seq: int
    state: AttemptState
    begun_at_ms: int
    ended_at_ms: int | None
    """None while it is in flight."""
    kind: DeclineKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything else that a decision rests on."""

    available: int
    attempts: tuple[Attempt, ...] = ()
    """The newest first: every one that is in flight, and the last ones that are not."""
    spent_minor: int = 0
    """Charged in this month, or about to be."""
    cost_minor: int | None = None
    """What the amount costs; None where it has not been asked yet."""
    is_account_blocked: bool = False
    reversed_at_ms: int | None = None
    """When a payment of the account was last refunded or disputed."""


@dataclass(frozen=True, slots=True)
class Charge:
    """Buy so many credits now."""

    amount: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing now; `until_ms` is when it may change by itself, None if that hangs on something else."""

    reason: Reason
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Blocked:
    """Nothing until somebody does something."""

    reason: Reason


Decision = Charge | Wait | Blocked


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A decision with what it rests on, for people."""

    decision: Decision
    available: int
    spent_minor: int
    detail: str = ""
    attempts: tuple[dict[str, Any], ...] = field(default=())
