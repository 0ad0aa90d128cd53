"""What the gate's answers mean to a caller: values for a yes, errors for a no."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from credits.errors import (
    CreditsError,
    HoldEndedError,
    IdempotencyConflictError,
    InsufficientCreditsError,
    InvalidInputError,
    LimitExceeded,
    MemberLimitExceededError,
    Shortage,
)
from credits.reservations.member_names import member_of
from credits.reservations.model import Answer, Durability, HoldState
from credits.reservations.records import HoldRecord, read_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Credits set aside for one job."""

    account: str
    reservation_id: str
    items: Mapping[str, int]
    expires_at_ms: int
    state: HoldState
    """HELD, or what became of the hold since, if the same reservation was made before."""
    replayed: bool
    member: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The answer to a commit, with what it survives."""

    reservation_id: str
    durability: Durability
    """`ledger`: booked in SQL. `redis`: as durable as that Redis; booked within moments."""
    is_pending: bool = False
    """True if the ledger was asked for but did not answer in time: repeat the commit to learn more."""
    rescued: bool = False
    """The hold was gone; what was available paid for it."""
    replayed: bool = False


def held(
    account: str, name: str, items: Mapping[str, int], answer: Sequence[str], *, member: str | None = None
) -> Held:
    """The hold that `reserve` answered. Raises the error that a refusal stands for."""
    match answer[0]:
        case Answer.HELD:
            state, due = HoldState.HELD, int(answer[1])
        case Answer.REPLAYED:
            state, due = HoldState(answer[1]), int(answer[2])
        case _:
            raise refusal(answer, name)
    return Held(
        account=account,
        reservation_id=name,
        items=items,
        expires_at_ms=due,
        state=state,
        replayed=answer[0] == Answer.REPLAYED,
        member=member,
    )


def refusal(answer: Sequence[str], name: str) -> CreditsError:
    """The error that an answer of refusal stands for."""
    if answer[0] == Answer.LIMIT:
        return MemberLimitExceededError(member_of(answer[1]) or "", *_exceeded(answer))
    shortages = [Shortage(answer[at], int(answer[at + 1]), int(answer[at + 2])) for at in range(1, len(answer) - 2, 3)]
    match answer[0]:
        case Answer.CONFLICT:
            return IdempotencyConflictError(name, first="other content", now="this")
        case Answer.INSUFFICIENT:
            return InsufficientCreditsError(*shortages)
        case Answer.GONE:
            words = "; ".join(f"{one.credit_type}: {one.needed} needed, {one.available} available" for one in shortages)
            return HoldEndedError(f"hold {name!r} is over" + (f" ({words})" if words else ""), *shortages)
        case _:
            return InvalidInputError("items", f"the gate refused them ({answer[0]}): too many steps, or not amounts")


def _exceeded(answer: Sequence[str]) -> list[LimitExceeded]:
    return [
        LimitExceeded(
            credit_type=answer[at],
            per=answer[at + 1],
            limit=int(answer[at + 2]),
            used=int(answer[at + 3]),
            needed=int(answer[at + 4]),
            ends_at_ms=int(answer[at + 5]) or None,
        )
        for at in range(2, len(answer), 6)
    ]


def nothing_there(items: Mapping[str, int]) -> InsufficientCreditsError:
    """The refusal of an account that never had credits."""
    return InsufficientCreditsError(*(Shortage(kind, amount, 0) for kind, amount in items.items()))


def hold_records(answer: Sequence[str]) -> list[HoldRecord]:
    """The holds that `list_holds` answered."""
    return [read_record(answer[at], answer[at + 1]) for at in range(1, len(answer), 2)]
