"""Values of members: a limit, what has been used of it, and an account's member as the gate loads one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from credits.clock import iso


class Per(StrEnum):
    """How long a limit is for, in the account's time zone."""

    DAY = "day"
    MONTH = "month"
    EVER = "ever"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLimit:
    """What a member may spend of one credit type in each window."""

    member: str
    credit_type: str
    per: Per
    amount: int
    raised_to: int | None = None
    raised_until_ms: int | None = None

    def at(self, now_ms: int) -> int:
        """The limit at an instant: the raised one until it ends."""
        if self.raised_to is not None and self.raised_until_ms is not None and now_ms < self.raised_until_ms:
            return self.raised_to
        return self.amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a member has used of a credit type, committed, in the windows of now."""

    day: int = 0
    month: int = 0
    ever: int = 0

    def of(self, per: Per) -> int:
        match per:
            case Per.DAY:
                return self.day
            case Per.MONTH:
                return self.month
            case Per.EVER:
                return self.ever


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSnapshot:
    """A member at one instant, as the gate loads it."""

    version: int
    """Number of the last change of the account's limits or zone that it knows of."""
    days: tuple[int, ...]
    """When the day of now began, and the next ones begin, in ms."""
    months: tuple[int, ...]
    limits: tuple[MemberLimit, ...]
    used: Mapping[str, Used]
    """By credit type, as the ledger has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """A limit and how far it is used up."""

    credit_type: str
    per: Per
    limit: int
    """As of now: the raised one, while it is raised."""
    amount: int
    """Without the raise."""
    raised_until_ms: int | None
    used: int
    """Committed in the window, and held now."""
    held: int
    ends_at_ms: int | None
    """When the window ends; None: never."""

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of an account with its limits."""

    member: str
    limits: tuple[LimitUse, ...]
    used: Mapping[str, int] = field(default_factory=dict)
    """Credits used in all, by type: committed and held."""


def member_json(member: Member) -> dict[str, Any]:
    """A member as every face shows it."""
    return {
        "member": member.member,
        "used": dict(member.used),
        "limits": [
            {
                "credit_type": one.credit_type,
                "per": one.per.value,
                "limit": one.limit,
                "amount": one.amount,
                "raised_until": iso(one.raised_until_ms),
                "used": one.used,
                "held": one.held,
                "left": one.left,
                "ends_at": iso(one.ends_at_ms),
            }
            for one in member.limits
        ],
    }
