"""Values of reversals: what is known of a payment's refunds and disputes, and of one lot that the payment granted."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class RefundState(StrEnum):
    """How far a refund has come. Of two states the one further down is the later: a failed one stays failed."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETURNED = "returned"
    """It went through, and its money came back."""


class DisputeState(StrEnum):
    """How far a dispute has come. Of two states the one further down is the later: a lost one may yet be won."""

    OPEN = "open"
    LOST = "lost"
    WON = "won"


class ReturnOf(StrEnum):
    """Of what money came back to us, where an event of its own says so and not which it was."""

    REFUND = "refund"
    DISPUTE = "dispute"


REFUND_RANK: Final = {state: rank for rank, state in enumerate(RefundState)}
DISPUTE_RANK: Final = {state: rank for rank, state in enumerate(DisputeState)}


class Step(StrEnum):
    """What the gate was ordered to do about a lot."""

    TAKE = "take"
    """Take back what is free of it."""
    OWE = "owe"
    """Owe what was spent of it."""
    FREEZE = "freeze"
    """Set aside what is free of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """One refund of a payment."""

    amount_minor: int
    state: RefundState
    is_counted: bool = True
    """Whether it is in the provider's own count of what was refunded; a credit to the payer's balance is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """One dispute of a payment; an inquiry is none."""

    amount_minor: int
    state: DisputeState


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidBack:
    """All that is known of the money of one payment."""

    paid_minor: int
    refunds: Sequence[Refund] = ()
    disputes: Sequence[Dispute] = ()
    counted_minor: int = 0
    """The most that the provider ever said its refunds add up to; it may tell of refunds without naming them."""
    refunds_returned_minor: int = 0
    """Of refunds that went through, what came back to us, as the provider says it without naming them."""
    disputes_returned_minor: int = 0
    """The same of disputes that were lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """How many of a lot's credits are to be taken back, and how many more are to be frozen."""

    clawed: int
    frozen: int


CHANGE_OP: Final = "change:"
"""What the op of an order begins with by which a change of plan takes credits for money that it gave back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LotState:
    """One lot of a reversed payment, as the ledger has it, and what was done about it so far."""

    granted: int
    remaining: int
    frozen: int
    lapsed: int = 0
    """Credits of it that expired, or that its plan reset, for ever gone without being used."""
    returned: int = 0
    """Credits of it that a change of plan took for money that it gave back itself."""
    clawed: int = 0
    """Taken back and not given back since, from the lot or as debt."""
    forgiven: int = 0
    """Spent before they could be taken back, and never owed."""
    judged: int = 0
    """The target up to which it was decided what becomes of credits that had been spent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What to do about a lot next: first what the ledger does by itself, then one order for the gate at most.

    After the order was carried out, the lot is looked at again.
    """

    restored: int = 0
    """Credits to give back: more was taken than should be."""
    forgiven: int = 0
    """What is forgiven in all from now on."""
    judged: int = 0
    clawed_frozen: int = 0
    """Frozen credits to take back for good."""
    unfrozen: int = 0
    """Frozen credits to set free."""
    step: Step | None = None
    amount: int = 0
    """Of the step."""
    is_waiting: bool = False
    """Credits under hold, or on their way to the gate, have to be looked for again."""
