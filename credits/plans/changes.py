"""
Decides what a change of plan or quantity does to credits, out of the lines of its invoice. Pure functions.

A provider that prorates says it in money: the rest of the period is given back at the old price, and charged at the new
one. Credits go the same way: the old plan's for that time go, the new plan's come, and what moves is the difference. So
what an account got in all depends on how long it was on which plan, as the money does, and on no detour in between.

All changes of a subscription are decided together, in the order in which they happened. Whoever learns of another one
decides all of them anew, and posts what is different: in which order they were told makes none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor

from credits.config.catalogue import Plan
from credits.config.policies import OnChange
from credits.facts import PlanLine
from credits.plans import rules
from credits.plans.model import Change, Part, Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """A line of an invoice, with the plan that it bills and the period it would be."""

    line: PlanLine
    plan: Plan
    period: Period

    @property
    def minor(self) -> int:
        return self.line.amount.amount_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The rest of a period on one plan, which a change charges or gives back."""

    key: str
    plan: str
    period: Period
    """Of the same plan; of what is given back it may be another one's, whose credits stood for it."""
    per_seat: frozenset[str]
    """Credit types of which the plan gives so many a seat."""

    @property
    def left_key(self) -> str:
        """Names what the change takes of this side, which it leaves."""
        return f"{self.key}:left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The lines of one invoice that split one billing period: all that a change is decided by, as it was then."""

    key: str
    since_ms: int
    end_ms: int
    policy: OnChange
    is_up: bool
    """Whether it was charged for on balance."""
    given: tuple[Side, ...]
    charged: tuple[Side, ...]
    begins_another: bool
    """Whether the same invoice bills a whole period, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A time on a plan that is known of: with its credits, or without any until the renewal."""

    plan: str
    since_ms: int
    end_ms: int | None
    has_credits: bool
    quantity: int | None = None
    """Seats; None where nothing says how many."""
    stood: tuple[str, tuple[Part, ...]] | None = None
    """Of one without credits: the plan whose credits stayed for it, and these; None if that is not known."""
    left_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a change, or several, lead to."""

    periods: tuple[Period, ...] = ()
    changes: tuple[Change, ...] = ()


def splits_of(whole: Sequence[Billed], prorations: Sequence[Billed]) -> tuple[Split, ...]:
    """
    The changes that one invoice and subscription tell of: one for each period that is split.

    Each follows the policy of the plan that is left, for being charged (up) or for being given money back (down).
    """
    groups: dict[int, list[Billed]] = {}
    for one in prorations:
        groups.setdefault(one.line.period_end_ms or 0, []).append(one)
    splits = []
    for end_ms, group in groups.items():
        charged, given = [one for one in group if one.minor > 0], [one for one in group if one.minor < 0]
        if not charged and not given:
            continue
        price = sum(one.minor for one in group) + (0 if charged else sum(one.minor for one in whole))
        policies = (given or charged)[0].plan.on_change
        splits.append(
            Split(
                key=min(one.line.key for one in (*given, *charged)),
                since_ms=min(one.period.since_ms for one in (*given, *charged)),
                end_ms=end_ms,
                policy=policies.up if price >= 0 else policies.down,
                is_up=price >= 0,
                given=tuple(_side(one) for one in given),
                charged=tuple(_side(one) for one in charged),
                begins_another=bool(whole),
            )
        )
    return tuple(splits)


def decide(splits: Iterable[Split], stays: Sequence[Stay]) -> dict[str, Decided]:
    """
    What each of a subscription's changes leads to, by its key: periods to open, and what it takes.

    `stays` are the times on plans that were billed as such. What never came is not taken back, and of a time that is
    not known of yet nothing is, where it may have come without credits.
    """
    known, decided = list(stays), {}
    open_ones = sorted(splits, key=lambda one: (one.since_ms, one.key))
    while open_ones:
        split = _next(open_ones, known)
        open_ones.remove(split)
        left = [_stay_left(side, known) for side in split.given]
        came = [_as_it_came(side, stay, split) for side, stay in zip(split.given, left, strict=True)]
        known = [replace(one, left_ms=split.since_ms) if one in left else one for one in known]
        decided[split.key], new_stays = _decide(split, came)
        known += new_stays
    return decided


def _next(open_ones: Sequence[Split], known: Sequence[Stay]) -> Split:
    """Of those of the earliest instant, one that leaves what its subscription is on by then, if there is one."""
    first = [one for one in open_ones if one.since_ms == open_ones[0].since_ms]
    return next((one for one in first if all(_stay_left(side, known) for side in one.given)), first[0])


def _side(one: Billed) -> Side:
    per_seat = frozenset(each.credit_type for each in one.plan.credits if each.per_seat)
    return Side(key=one.line.key, plan=one.plan.key, period=one.period, per_seat=per_seat)


def _decide(split: Split, came: Sequence[Side | None]) -> tuple[Decided, list[Stay]]:
    is_reset, is_late = split.policy is OnChange.RESET, split.policy is OnChange.AT_RENEWAL
    given = [one for one in came if one is not None]
    if is_late and None in came and not split.is_up:
        return Decided(), []
    if is_late and (split.is_up or not any(one.period.parts for one in given)):
        # On the new plan from here, without its credits: those of the plan that is left stay.
        periods = [replace(one.period, parts=()) for one in split.charged]
        return Decided(periods=tuple(periods)), [_stay(one, came) for one in periods]
    # Of a reset, the old plan's credits go by themselves, and the new one's come in full.
    comes = _differences(split.charged, [] if is_reset else given)
    went = _differences(given, [] if is_reset else split.charged)
    takes_rest = is_reset and (bool(split.charged) or split.begins_another)
    decided = Decided(
        periods=tuple(_new_periods(split.charged, given, comes)),
        changes=tuple(_left(split, given, went, takes_rest=takes_rest)),
    )
    return decided, [_stay(one.period, came) for one in split.charged]


def _stay(period: Period, came: Sequence[Side | None]) -> Stay:
    left = came[0].period if came and came[0] is not None else None
    stood = (left.plan, left.parts) if left is not None else None if came else (period.plan, ())
    return Stay(
        plan=period.plan,
        since_ms=period.since_ms,
        end_ms=period.end_ms,
        has_credits=bool(period.parts),
        quantity=period.quantity,
        stood=stood,
    )


def _as_it_came(left: Side, stay: Stay | None, split: Split) -> Side | None:
    """
    What money is given back for, with the credits that are there for this time; None: it cannot be said yet.

    Of a plan that was to come with the renewal, these are the last before it that came: they stood for its money, too.
    """
    is_late = split.policy is OnChange.AT_RENEWAL
    if stay is None:
        return None if is_late else left
    if stay.has_credits:
        return left
    if stay.stood is None and is_late:
        return None
    plan, parts = stay.stood or (left.period.plan, ())
    return replace(left, period=replace(left.period, plan=plan, parts=parts))


def _stay_left(left: Side, stays: Sequence[Stay]) -> Stay | None:
    """The stay that a change ends; None if it is not known how its plan was come by."""
    at_ms, seats = left.period.since_ms, left.period.quantity
    there = [
        stay
        for stay in stays
        if stay.plan == left.plan
        and stay.since_ms <= at_ms
        and (stay.end_ms is None or at_ms < stay.end_ms)
        and (stay.left_ms is None or at_ms < stay.left_ms)
    ]
    # Where no stay of so many seats was told of, what is known of the plan has to do.
    same = [stay for stay in there if seats is None or stay.quantity is None or stay.quantity == seats] or there
    return max(same, key=lambda stay: stay.since_ms, default=None)


def _differences(these: Sequence[Side], others: Sequence[Side]) -> dict[str, Fraction]:
    """By credit type: how much more `these` sides are worth than `others`; 0 where they are worth less."""
    worth, less = _worth(these, others), _worth(others, these)
    return {name: max(Fraction(0), value - less.get(name, Fraction(0))) for name, value in worth.items()}


def _worth(sides: Sequence[Side], others: Sequence[Side]) -> dict[str, Fraction]:
    """By credit type: what the rest of the segments that have begun hands out."""
    worth: dict[str, Fraction] = {}
    for one in sides:
        for part in one.period.parts:
            if _moves(one, part, others):
                left = part.amount * rules.share_left(one.period, part)
                worth[part.credit_type] = worth.get(part.credit_type, Fraction(0)) + left
    return worth


def _moves(one: Side, part: Part, others: Sequence[Side]) -> bool:
    """Where only the quantity of a plan changes, only its credits per seat do."""
    return part.credit_type in one.per_seat or all(other.plan != one.plan for other in others)


def _new_periods(charged: Sequence[Side], given: Sequence[Side], came: Mapping[str, Fraction]) -> list[Period]:
    """The rest of the period on the new plan: the difference at once, and in full what drips after it."""
    left, periods = dict(came), []
    for one in charged:
        parts = []
        for part in one.period.parts:
            # Of several items with one credit type, the first brings the difference.
            first = floor(left.pop(part.credit_type, Fraction(0))) if _moves(one, part, given) else 0
            parts.append(replace(part, first=first))
        periods.append(replace(one.period, parts=tuple(parts)))
    return periods


def _left(split: Split, given: Sequence[Side], went: Mapping[str, Fraction], *, takes_rest: bool) -> list[Change]:
    left, changes = dict(went), []
    for one in given:
        amounts = [
            (part.credit_type, ceil(left.pop(part.credit_type, Fraction(0))))
            for part in one.period.parts
            if _moves(one, part, split.charged)
        ]
        changes.append(
            Change(
                provider=one.period.provider,
                subscription_id=one.period.subscription_id,
                key=one.left_key,
                plan=one.period.plan,
                source_ref=one.period.source_ref,
                since_ms=one.period.since_ms,
                cut_ms=one.period.cut_ms,
                end_ms=split.end_ms,
                amounts=tuple((credit_type, amount) for credit_type, amount in amounts if amount > 0),
                takes_rest=takes_rest,
            )
        )
    return changes
