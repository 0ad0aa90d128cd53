"""
Decides what a change of plan or quantity does to credits, out of the lines of its invoice. Pure functions.

A provider that prorates says it in money: the rest of the period is given back at the old price, and charged at the new
one. Credits go the same way: the old plan's for that time go, the new plan's come, and what moves is the difference. So
what an account got in all depends on how long it was on which plan, as the money does, and on no detour in between.
"""

from collections.abc import Sequence
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
class Stay:
    """A time on a plan that is known of: with its credits, or without any until the renewal."""

    plan: str
    since_ms: int
    end_ms: int | None
    has_credits: bool
    quantity: int | None = None
    """Seats; None where nothing says how many."""
    parts: tuple[Part, ...] = ()
    """Its credits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What the invoice's lines lead to."""

    periods: tuple[Period, ...] = ()
    changes: tuple[Change, ...] = ()
    is_early: bool = False
    """Whether it gives money back for a time on a plan that is not known of yet; nothing is decided then."""


def decide(
    whole: Sequence[Billed],
    prorations: Sequence[Billed],
    stays: Sequence[Stay],
    *,
    may_wait: bool = False,
    may_wait_to_reset: bool = False,
) -> Decided:
    """
    What the lines of one invoice and subscription lead to: periods to open, and changes to apply.

    Whole periods are granted in full. Prorations are decided per period that they split, by the policy of the plan
    that is left, for being charged (up) or for being given money back (down). `stays` are the times on plans that are
    known of: what never came is not taken back, and of a time not known of it cannot be said yet (`may_wait`). A reset
    ends the credits of the time that it leaves, and so comes after them (`may_wait_to_reset`).
    """
    periods = [one.period for one in whole]
    changes: list[Change] = []
    groups: dict[int | None, list[Billed]] = {}
    for one in prorations:
        groups.setdefault(one.line.period_end_ms, []).append(one)
    for group in groups.values():
        charged, given = [one for one in group if one.minor > 0], [one for one in group if one.minor < 0]
        if not charged and not given:
            continue
        price = sum(one.minor for one in group) + (0 if charged else sum(one.minor for one in whole))
        policies = (given or charged)[0].plan.on_change
        policy = policies.up if price >= 0 else policies.down
        came = [_had_credits(one, stays) for one in given]
        is_reset, is_late = policy is OnChange.RESET, policy is OnChange.AT_RENEWAL
        if None in came and ((is_late and may_wait) or (is_reset and may_wait_to_reset)):
            return Decided(is_early=True)
        if is_late and price >= 0:
            # On the new plan from here, without its credits: those of the plan that is left stay.
            periods += [replace(one.period, parts=()) for one in charged]
            continue
        given = [_as_it_came(one, stays, is_late=is_late) for one in given]
        if is_late and not any(one.period.parts for one in given):
            continue
        # Of a reset, the old plan's credits go by themselves, and the new one's come in full.
        comes, went = _differences(charged, [] if is_reset else given), _differences(given, [] if is_reset else charged)
        periods += _new_periods(charged, given, comes)
        changes += _left(given, charged, went, takes_rest=is_reset and bool(charged or whole))
    return Decided(periods=tuple(periods), changes=tuple(changes))


def _as_it_came(left: Billed, stays: Sequence[Stay], *, is_late: bool) -> Billed:
    """
    What money is given back for, with the credits that are there for this time.

    Of a plan that was to come with the renewal, these are the last before it that came: they stood for its money, too.
    """
    had_credits = _had_credits(left, stays)
    if had_credits is None:
        # No stay of so many seats was ever told of: what is known of the plan has to do.
        stays = [replace(stay, quantity=None) for stay in stays]
        had_credits = _had_credits(left, stays)
    if had_credits or (had_credits is None and not is_late):
        return left
    if had_credits is None:
        return replace(left, period=replace(left.period, parts=()))
    at_ms = left.period.since_ms
    there = [stay for stay in stays if stay.has_credits and _lasts(stay, at_ms)]
    if not there:
        return replace(left, period=replace(left.period, parts=()))
    stood = max(there, key=lambda stay: stay.since_ms)
    return replace(left, period=replace(left.period, plan=stood.plan, parts=stood.parts))


def _lasts(stay: Stay, at_ms: int) -> bool:
    return stay.since_ms <= at_ms and (stay.end_ms is None or at_ms < stay.end_ms)


def _had_credits(left: Billed, stays: Sequence[Stay]) -> bool | None:
    """Whether the plan that is left had come with its credits; None if it is not known how it was come by."""
    at_ms, seats = left.period.since_ms, left.period.quantity
    there = [
        stay
        for stay in stays
        if stay.plan == left.plan.key
        and (seats is None or stay.quantity is None or stay.quantity == seats)
        and _lasts(stay, at_ms)
    ]
    return max(there, key=lambda stay: stay.since_ms).has_credits if there else None


def _differences(these: Sequence[Billed], others: Sequence[Billed]) -> dict[str, Fraction]:
    """By credit type: how much more `these` lines are worth than `others`; 0 where they are worth less."""
    worth, less = _worth(these, others), _worth(others, these)
    return {name: max(Fraction(0), value - less.get(name, Fraction(0))) for name, value in worth.items()}


def _worth(lines: Sequence[Billed], others: Sequence[Billed]) -> dict[str, Fraction]:
    """By credit type: what the rest of the segments that have begun hands out."""
    worth: dict[str, Fraction] = {}
    for one in lines:
        for part in one.period.parts:
            if _moves(one, part, others):
                left = part.amount * rules.share_left(one.period, part)
                worth[part.credit_type] = worth.get(part.credit_type, Fraction(0)) + left
    return worth


def _moves(one: Billed, part: Part, others: Sequence[Billed]) -> bool:
    """Where only the quantity of a plan changes, only its credits per seat do."""
    is_same = any(other.plan.key == one.plan.key for other in others)
    return not is_same or any(each.per_seat and each.credit_type == part.credit_type for each in one.plan.credits)


def _new_periods(charged: Sequence[Billed], given: Sequence[Billed], came: dict[str, Fraction]) -> list[Period]:
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


def _left(
    given: Sequence[Billed], charged: Sequence[Billed], went: dict[str, Fraction], *, takes_rest: bool
) -> list[Change]:
    left, changes = dict(went), []
    for one in given:
        amounts = [
            (part.credit_type, ceil(left.pop(part.credit_type, Fraction(0))))
            for part in one.period.parts
            if _moves(one, part, charged)
        ]
        changes.append(
            Change(
                provider=one.period.provider,
                subscription_id=one.period.subscription_id,
                key=f"{one.line.key}:left",
                plan=one.period.plan,
                source_ref=one.period.source_ref,
                since_ms=one.period.since_ms,
                cut_ms=one.period.cut_ms,
                amounts=tuple((credit_type, amount) for credit_type, amount in amounts if amount > 0),
                takes_rest=takes_rest,
            )
        )
    return changes
