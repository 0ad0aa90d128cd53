"""Decides what a paid period hands out, and when. Pure functions."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor
from typing import Final
from zoneinfo import ZoneInfo

from credits.config.catalogue import Every, Plan, PlanCredits
from credits.config.expiry import ExpiryKind
from credits.config.policies import OnTrialEnd
from credits.ids import digest
from credits.ledger.model import MAX_KEY_LENGTH, GrantOrder, GrantSource
from credits.plans.calendar import Segment, day_of, segments
from credits.plans.model import Part, Period, PeriodKind
from credits.units import MAX_AMOUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class Handout:
    """Credits that a period hands out at one instant: a ledger order, and the segment it is for."""

    order: GrantOrder
    part: Part
    start_ms: int
    end_ms: int | None


OWN: Final = "app"
"""Stands for the provider where the app takes payments by itself."""


def own_period(
    plan: Plan,
    *,
    account: str,
    payment_id: str,
    start_ms: int,
    end_ms: int,
    quantity: int | None,
    zone: str,
    actor: str,
    sent: tuple[object, ...],
) -> Period:
    """A period that the app says was paid for. Each account has one subscription of this kind."""
    key = f"plan:{payment_id}"
    return Period(
        account=account,
        provider=OWN,
        subscription_id=f"account:{digest(account)[:32]}",
        key=key,
        source_ref=key,
        plan=plan.key,
        kind=PeriodKind.PERIOD,
        anchor_ms=start_ms,
        since_ms=start_ms,
        cut_ms=start_ms,
        end_ms=end_ms,
        usable_until_ms=None,
        parts=parts_of(plan, quantity),
        zone=zone,
        quantity=quantity,
        actor=actor,
        sent=sent,
    )


def parts_of(plan: Plan, quantity: int | None) -> tuple[Part, ...]:
    """What `plan` hands out per segment, with `quantity` seats where its credits are per seat."""
    return tuple(_part(one, one.amount * _seats(one, quantity)) for one in plan.credits)


def trial_parts_of(plan: Plan, quantity: int | None) -> tuple[Part, ...]:
    """What `plan` hands out for a trial: once, and never carried over."""
    return tuple(
        replace(_part(one, one.trial * _seats(one, quantity)), every=Every.PERIOD, rolls=False, cap=None, carries=None)
        for one in plan.credits
        if one.trial is not None
    )


def rest_of(period: Period, plan: Plan, *, known: int) -> Period | None:
    """The seats of a whole period beyond those that were `known` at first; None if those were all."""
    if period.kind is not PeriodKind.PERIOD or period.quantity is None or period.quantity <= known:
        return None
    more = zip(plan.credits, parts_of(plan, period.quantity - known), strict=True)
    parts = tuple(part for one, part in more if one.per_seat)
    return replace(period, key=f"{period.key}:rest", parts=parts) if parts else None


def needs_period_end(parts: Iterable[Part]) -> bool:
    """Whether any of the credits lapse when the period does, or drip within it."""
    return any(part.expires.kind is ExpiryKind.PERIOD_END or part.every is not Every.PERIOD for part in parts)


def first_handouts(period: Period, *, on_trial_end: OnTrialEnd = OnTrialEnd.END) -> tuple[Handout, ...]:
    """What is granted with the payment itself: the segments that have begun by the cut, as far as they were charged."""
    found = (_first(period, part, on_trial_end) for part in period.parts)
    return tuple(handout for handout in found if handout is not None)


def drips(period: Period, *, after_ms: int, up_to_ms: int) -> list[Handout]:
    """What the segments hand out that begin after `after_ms` and by `up_to_ms`, in the order of their instants."""
    due = [
        _handout(period, part, part.amount, segment.start_ms, segment.end_ms, is_drip=True)
        for part in period.parts
        for segment in _later_segments(period, part, after_ms)
        if segment.start_ms <= up_to_ms
    ]
    return sorted(due, key=lambda handout: (handout.start_ms, handout.part.credit_type))


def next_drip_ms(period: Period, *, after_ms: int) -> int | None:
    """When the next segment begins after `after_ms`; None: there is none."""
    firsts = (next(_later_segments(period, part, after_ms), None) for part in period.parts)
    return min((segment.start_ms for segment in firsts if segment is not None), default=None)


def share_left(period: Period, part: Part) -> Fraction:
    """How many segments' worth lies between the period's `since` and its end, of the segments begun by its cut."""
    return sum((_overlap(period, segment) for segment in _begun_segments(period, part)), Fraction(0))


def segment_at(period: Period, part: Part, at_ms: int) -> Segment | None:
    """The segment of `part` that `at_ms` lies in; None if the period does not reach there."""
    every_one = segments(period.anchor_ms, period.end_ms, part.every, ZoneInfo(period.zone))
    return next(
        (one for one in every_one if one.start_ms <= at_ms and (one.end_ms is None or at_ms < one.end_ms)), None
    )


def _part(one: PlanCredits, amount: int) -> Part:
    rollover = one.rollover
    cap = None
    if rollover is not None and rollover.cap_credits is not None:
        cap = rollover.cap_credits
    elif rollover is not None and rollover.cap_percent is not None:
        cap = amount * rollover.cap_percent // 100
    return Part(
        credit_type=one.credit_type,
        amount=min(amount, MAX_AMOUNT),
        every=one.every,
        expires=one.expires,
        priority=one.priority,
        rolls=rollover is not None,
        cap=cap,
        carries=None if rollover is None else rollover.periods,
    )


def _seats(one: PlanCredits, quantity: int | None) -> int:
    return quantity if one.per_seat and quantity is not None else 1


def _first(period: Period, part: Part, on_trial_end: OnTrialEnd) -> Handout | None:
    begun = list(_begun_segments(period, part))
    if not begun:
        return None
    amount = floor(part.amount * share_left(period, part)) if part.first is None else part.first
    if amount < 1:
        return None
    last = begun[-1]
    end_ms = last.end_ms
    if end_ms is not None and period.usable_until_ms is not None:
        end_ms = max(end_ms, period.usable_until_ms)
    return _handout(period, part, amount, period.since_ms, end_ms, is_drip=False, on_trial_end=on_trial_end)


def _begun_segments(period: Period, part: Part) -> Iterator[Segment]:
    """Those that have begun by the cut and end after `since`."""
    for segment in segments(period.anchor_ms, period.end_ms, part.every, ZoneInfo(period.zone)):
        if segment.start_ms > period.cut_ms:
            return
        if segment.end_ms is None or segment.end_ms > period.since_ms:
            yield segment


def _later_segments(period: Period, part: Part, after_ms: int) -> Iterator[Segment]:
    if part.every is Every.PERIOD:
        return
    after_ms = max(after_ms, period.cut_ms)
    for segment in segments(period.anchor_ms, period.end_ms, part.every, ZoneInfo(period.zone)):
        if segment.start_ms > after_ms:
            yield segment


def _overlap(period: Period, segment: Segment) -> Fraction:
    if segment.end_ms is None or period.since_ms <= segment.start_ms:
        return Fraction(1)
    return Fraction(segment.end_ms - period.since_ms, segment.end_ms - segment.start_ms)


def _handout(
    period: Period,
    part: Part,
    amount: int,
    start_ms: int,
    end_ms: int | None,
    *,
    is_drip: bool,
    on_trial_end: OnTrialEnd = OnTrialEnd.KEEP_TO_EXPIRY,
) -> Handout:
    key = f"{period.key}:{part.credit_type}"
    if is_drip:
        key = f"{key}:{day_of(start_ms, ZoneInfo(period.zone))}"
        key = key if len(key) <= MAX_KEY_LENGTH else f"drip:{digest(key)}"
    is_trial = period.kind is PeriodKind.TRIAL
    lapses_at_ms = part.expires.lapses_at_ms(granted_at_ms=start_ms, period_end_ms=end_ms)
    if is_trial and on_trial_end is OnTrialEnd.END:
        lapses_at_ms = end_ms
    order = GrantOrder(
        account=period.account,
        credit_type=part.credit_type,
        amount=amount,
        key=key,
        # Not the amount: it comes from the configuration, and a redelivery after a price list changed is still the
        # same payment.
        fingerprint=digest("plan", period.account, period.key, part.credit_type, *period.sent),
        source=GrantSource.TRIAL if is_trial else GrantSource.PLAN,
        source_ref=period.source_ref,
        plan=period.plan,
        priority=part.priority,
        effective_at_ms=0,
        expires_at_ms=lapses_at_ms,
        # A drip costs nothing by itself: what was paid stands on the lots that came with the payment.
        paid=None if is_drip or is_trial else period.paid,
        actor=period.actor,
        reason=f"plan {period.plan}, {period.source_ref}",
        event_id=period.event_id,
        meta={} if period.event_id is None else {"also_known_as": list(period.also_known_as)},
    )
    return Handout(order=order, part=part, start_ms=start_ms, end_ms=end_ms)
