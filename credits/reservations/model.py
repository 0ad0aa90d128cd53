"""Values of the gate: what its scripts answer, and what a hold is."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from credits.reservations.scripts import Verb


class Answer(StrEnum):
    """The first word of a script's answer. The headers of the scripts say what each means."""

    ARMED = "ARMED"
    OLD = "OLD"
    HANDED = "HANDED"
    ADOPTED = "ADOPTED"
    BEGUN = "BEGUN"
    LOADED = "LOADED"
    LOADING = "LOADING"
    DRAIN = "DRAIN"
    LOST_TOKEN = "LOST_TOKEN"  # noqa: S105
    APPLIED = "APPLIED"
    DUP = "DUP"
    GAP = "GAP"
    HELD = "HELD"
    REPLAYED = "REPLAYED"
    CONFLICT = "CONFLICT"
    INSUFFICIENT = "INSUFFICIENT"
    BAD = "BAD"
    COMMITTED = "COMMITTED"
    RESCUED = "RESCUED"
    GONE = "GONE"
    RELEASED = "RELEASED"
    ENDED = "ENDED"
    NONE = "NONE"
    EXTENDED = "EXTENDED"
    TAKEN = "TAKEN"
    LEADING = "LEADING"
    LED = "LED"
    SETTLED = "SETTLED"
    TOLD = "TOLD"
    READ = "READ"
    HOLDS = "HOLDS"
    UNLOADED = "UNLOADED"
    BUSY = "BUSY"
    USED = "USED"
    MEMBER = "MEMBER"
    LIMIT = "LIMIT"
    RELOADED = "RELOADED"
    VOIDED = "VOIDED"
    COLD = "COLD"
    STALE = "STALE"


ANSWERS_OF: Final[dict[Verb, frozenset[Answer]]] = {
    Verb.ARM: frozenset({Answer.ARMED, Answer.OLD}),
    Verb.HANDOVER: frozenset({Answer.HANDED, Answer.STALE}),
    Verb.ADOPT: frozenset({Answer.ADOPTED, Answer.STALE}),
    Verb.BEGIN_LOAD: frozenset({Answer.BEGUN, Answer.LOADED, Answer.LOADING, Answer.DRAIN, Answer.STALE}),
    Verb.FINISH_LOAD: frozenset({Answer.LOADED, Answer.LOST_TOKEN, Answer.BAD, Answer.STALE}),
    Verb.APPLY: frozenset({Answer.APPLIED, Answer.DUP, Answer.GAP, Answer.BAD, Answer.COLD, Answer.STALE}),
    Verb.RESERVE: frozenset(
        {
            Answer.HELD,
            Answer.REPLAYED,
            Answer.CONFLICT,
            Answer.INSUFFICIENT,
            Answer.LIMIT,
            Answer.MEMBER,
            Answer.BAD,
            Answer.COLD,
            Answer.STALE,
        }
    ),
    Verb.COMMIT: frozenset(
        {
            Answer.COMMITTED,
            Answer.RESCUED,
            Answer.REPLAYED,
            Answer.CONFLICT,
            Answer.INSUFFICIENT,
            Answer.GONE,
            Answer.LIMIT,
            Answer.MEMBER,
            Answer.BAD,
            Answer.COLD,
            Answer.STALE,
        }
    ),
    Verb.RELEASE: frozenset({Answer.RELEASED, Answer.ENDED, Answer.NONE, Answer.COLD, Answer.STALE}),
    Verb.EXTEND: frozenset({Answer.EXTENDED, Answer.ENDED, Answer.NONE, Answer.COLD, Answer.STALE}),
    Verb.SPEND: frozenset(
        {
            Answer.COMMITTED,
            Answer.REPLAYED,
            Answer.CONFLICT,
            Answer.INSUFFICIENT,
            Answer.LIMIT,
            Answer.MEMBER,
            Answer.BAD,
            Answer.COLD,
            Answer.STALE,
        }
    ),
    Verb.TAKE_LOTS: frozenset({Answer.TAKEN, Answer.REPLAYED, Answer.CONFLICT, Answer.BAD, Answer.COLD, Answer.STALE}),
    Verb.LEAD: frozenset({Answer.LEADING, Answer.LED, Answer.STALE}),
    Verb.SETTLED: frozenset({Answer.SETTLED, Answer.STALE}),
    Verb.TELL: frozenset({Answer.TOLD, Answer.STALE}),
    Verb.READ: frozenset({Answer.READ, Answer.COLD, Answer.STALE}),
    Verb.LIST_HOLDS: frozenset({Answer.HOLDS, Answer.COLD, Answer.STALE}),
    Verb.UNLOAD: frozenset({Answer.UNLOADED, Answer.BUSY, Answer.COLD, Answer.STALE}),
    Verb.USED: frozenset({Answer.USED}),
    Verb.LOAD_MEMBER: frozenset({Answer.LOADED, Answer.RELOADED, Answer.BAD, Answer.COLD, Answer.STALE}),
    Verb.READ_MEMBER: frozenset({Answer.READ, Answer.MEMBER, Answer.COLD, Answer.STALE}),
    Verb.VOID_LOAD: frozenset({Answer.VOIDED, Answer.COLD, Answer.STALE}),
}
"""What each verb may answer; equal to the headers of the scripts (tested)."""


class HoldState(StrEnum):
    """Where a hold is. The letters stand in its record in Redis."""

    HELD = "H"
    COMMITTED = "C"
    RELEASED = "R"
    EXPIRED = "X"
    SPENT = "S"


class Overage(StrEnum):
    """What a commit above its hold does."""

    DENY = "deny"
    IF_AVAILABLE = "if_available"
    ALLOW_DEBT = "allow_debt"


class Durability(StrEnum):
    """What an acknowledged commit survives: losing Redis too (ledger), or what that Redis survives (redis)."""

    LEDGER = "ledger"
    REDIS = "redis"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLot:
    """A lot as it is loaded into the gate."""

    credit_type: str
    available: int
    sort_key: str


_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_NEVER: Final = "zzzzzzzzz"


def sort_key(*, priority: int, expires_at_ms: int | None, is_paid: bool, grant_id: int) -> str:
    """A lot's place in the burn order as text that sorts: priority, soonest expiry, free before paid, oldest."""
    expiry = _NEVER if expires_at_ms is None else _base36(min(expires_at_ms, 36**9 - 2), 9)
    return f"{_base36(priority, 4)}{expiry}{int(is_paid)}{lot_name(grant_id)}"


def lot_name(grant_id: int) -> str:
    """A grant as the gate names it."""
    return _base36(grant_id, 11)


def grant_id_of(name: str) -> int:
    """The grant that the gate calls `name`."""
    return int(name, 36)


def _base36(number: int, width: int) -> str:
    if not 0 <= number < 36**width:
        raise ValueError(f"must be from 0 to {36**width - 1} to have {width} digits of base 36, got {number}")
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text.rjust(width, "0")
