"""
Decides what a change of plan or quantity does to credits, out of the lines of its invoice. Pure functions.

A provider that prorates says it in money: so much of the old plan's time is given back, so much of the new one's is
charged. Credits follow that money, so that no sequence of changes leaves anybody with more of them than the money that
was kept would buy: what is charged on balance adds in proportion, and what is given back on balance takes back.
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
class Decided:
    """What the invoice's lines lead to."""

    periods: tuple[Period, ...]
    changes: tuple[Change, ...]


def decide(whole: Sequence[Billed], prorations: Sequence[Billed]) -> Decided:
    """
    What the lines of one invoice and subscription lead to: periods to open, and changes to apply.

    Whole periods are granted in full. Prorations are decided per period that they split, by the policy of the plan
    that is left, for being charged (up) or for being given money back (down).
    """
    periods, changes = [one.period for one in whole], []
    groups: dict[int | None, list[Billed]] = {}
    for one in prorations:
        groups.setdefault(one.line.period_end_ms, []).append(one)
    for group in groups.values():
        charged, given = [one for one in group if one.minor > 0], [one for one in group if one.minor < 0]
        if charged:
            decided = _split_period(charged, given)
            periods += decided.periods
            changes += decided.changes
        elif given:
            periods, left = _given_back(periods, whole, given)
            changes += left
    return Decided(periods=tuple(periods), changes=tuple(changes))


def _split_period(charged: Sequence[Billed], given: Sequence[Billed]) -> Decided:
    """A change within a period: the rest of it is charged at the new price, and given back at the old one."""
    up, down = sum(one.minor for one in charged), -sum(one.minor for one in given)
    left = (given or charged)[0].plan
    policy = left.on_change.up if up >= down else left.on_change.down
    if policy is OnChange.AT_RENEWAL and up >= down:
        return Decided(periods=(), changes=())
    if policy is OnChange.RESET:
        share_in, share_back = Fraction(1), Fraction(1)
    else:
        share_in, share_back = Fraction(max(0, up - down), up), Fraction(max(0, down - up), down or 1)
    old_keys, new_keys = {one.plan.key for one in given}, {one.plan.key for one in charged}
    return Decided(
        periods=tuple(_new_period(one, share_in, is_same=one.plan.key in old_keys) for one in charged),
        changes=tuple(
            _left(one, share_back, takes_rest=policy is OnChange.RESET, is_same=one.plan.key in new_keys)
            for one in given
        ),
    )


def _given_back(
    periods: Sequence[Period], whole: Sequence[Billed], given: Sequence[Billed]
) -> tuple[list[Period], list[Change]]:
    """Time given back for a new whole period, or for nothing: an item or seats were taken away."""
    price, back = sum(one.minor for one in whole), -sum(one.minor for one in given)
    policies = given[0].plan.on_change
    policy = policies.up if price >= back else policies.down
    if policy is OnChange.KEEP_AND_ADD and price >= back:
        # What was unused of the old plan stays, and has paid for so much of the new one.
        left = Fraction(price - back, price) if price else Fraction(1)
        keys = {one.period.key for one in whole}
        scaled = [_scaled(period, left) if period.key in keys else period for period in periods]
        return scaled, [_left(one, Fraction(0), takes_rest=False, is_same=False) for one in given]
    takes_rest = policy is OnChange.RESET and bool(whole)
    return list(periods), [_left(one, Fraction(1), takes_rest=takes_rest, is_same=False) for one in given]


def _new_period(one: Billed, share: Fraction, *, is_same: bool) -> Period:
    """The rest of the period on the new plan. Where only the quantity changed, only credits per seat are added now."""
    per_seat = {part.credit_type for part in one.plan.credits if part.per_seat}
    parts = tuple(
        replace(part, is_first=share > 0 and (not is_same or part.credit_type in per_seat)) for part in one.period.parts
    )
    return replace(one.period, parts=parts, share=(share.numerator, share.denominator))


def _left(one: Billed, share: Fraction, *, takes_rest: bool, is_same: bool) -> Change:
    per_seat = {part.credit_type for part in one.plan.credits if part.per_seat}
    amounts = [
        (part.credit_type, ceil(part.amount * rules.share_left(one.period, part) * share))
        for part in one.period.parts
        if not is_same or part.credit_type in per_seat
    ]
    return Change(
        provider=one.period.provider,
        subscription_id=one.period.subscription_id,
        key=f"{one.line.key}:left",
        plan=one.plan.key,
        source_ref=one.period.source_ref,
        since_ms=one.period.since_ms,
        cut_ms=one.period.cut_ms,
        amounts=tuple((credit_type, amount) for credit_type, amount in amounts if amount > 0),
        takes_rest=takes_rest,
    )


def _scaled(period: Period, share: Fraction) -> Period:
    parts = tuple(scaled for part in period.parts if (scaled := _scaled_part(part, share)) is not None)
    return replace(period, parts=parts)


def _scaled_part(part: Part, share: Fraction) -> Part | None:
    amount = floor(part.amount * share)
    return replace(part, amount=amount) if amount > 0 else None
