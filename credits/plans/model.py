"""Values of plans: what a paid period hands out, and what a subscription looked like at one time."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from credits.config.catalogue import Every
from credits.config.expiry import Expiry, ExpiryKind
from credits.units import Money


class PeriodKind(StrEnum):
    """What a row of plan_periods stands for."""

    PERIOD = "period"
    """A whole billing period, paid for (or free)."""
    CHANGE = "change"
    """The rest of a period after a change of plan or quantity."""
    TRIAL = "trial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The credits of one type in a period. Fixed when the period is paid: a later price list changes nothing in it."""

    credit_type: str
    amount: int
    """Per segment, seats counted in."""
    every: Every
    expires: Expiry
    priority: int
    rolls: bool = False
    """Whether what is left over is carried into the next segment."""
    cap: int | None = None
    """At most so many credits are carried; None: all."""
    carries: int | None = None
    """How often a credit may be carried; None: any number of times."""
    first: int | None = None
    """How many are granted with the payment, where a change says so; None: a whole segment."""

    def as_json(self) -> dict[str, Any]:
        return {
            "credit_type": self.credit_type,
            "amount": self.amount,
            "every": self.every.value,
            "expires": [self.expires.kind.value, self.expires.after_days, self.expires.grace_days],
            "priority": self.priority,
            "rolls": self.rolls,
            "cap": self.cap,
            "carries": self.carries,
            "first": self.first,
        }


def part_of(stored: dict[str, Any]) -> Part:
    """A part from what `as_json` wrote."""
    kind, after_days, grace_days = stored["expires"]
    return Part(
        credit_type=stored["credit_type"],
        amount=stored["amount"],
        every=Every(stored["every"]),
        expires=Expiry(kind=ExpiryKind(kind), after_days=after_days, grace_days=grace_days),
        priority=stored["priority"],
        rolls=stored["rolls"],
        cap=stored["cap"],
        carries=stored["carries"],
        first=stored["first"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A paid line of a plan: what it hands out, and when."""

    account: str
    provider: str
    subscription_id: str
    key: str
    """Names the paid line; its grants' keys begin with it."""
    source_ref: str
    plan: str
    kind: PeriodKind
    anchor_ms: int
    """Start of the whole billing period; drips are counted from it."""
    since_ms: int
    """From when on it counts: the anchor, or the change of plan."""
    cut_ms: int
    """Segments that have begun by then are granted with the payment; those after it drip."""
    end_ms: int | None
    usable_until_ms: int | None
    """When credits of the last segment lapse at the soonest, should the period be over before it was paid."""
    parts: tuple[Part, ...]
    zone: str = "UTC"
    quantity: int | None = None
    paid: Money | None = None
    full_price_minor: int | None = None
    """What the whole billing period costs."""
    actor: str = "app"
    event_id: int | None = None
    sent: tuple[object, ...] = ()
    also_known_as: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Money given back, or an old plan's credits replaced: what a change takes out of the plan it leaves."""

    provider: str
    subscription_id: str
    key: str
    plan: str
    """The plan that is left."""
    source_ref: str
    """The invoice that says so."""
    since_ms: int
    cut_ms: int
    """Its drips up to then stay; those after it are another plan's."""
    end_ms: int = 0
    """Of the billing period that it splits, where it asks for any amounts."""
    amounts: tuple[tuple[str, int], ...] = ()
    """Credits that the money given back stands for, by type: taken back, and owed where they are spent."""
    takes_rest: bool = False
    """Whether everything unspent of it goes too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A subscription as the provider showed it at one moment."""

    product_ids: tuple[str, ...]
    status: str | None
    quantity: int | None
    period_start_ms: int | None
    period_end_ms: int | None
    trial_end_ms: int | None
    is_first: bool
    is_paused: bool
    is_unpaid: bool
    ended: bool
    stamp_ms: int
    rank: int
