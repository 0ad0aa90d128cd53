"""Reads a change of plan of which the invoice tells only what was charged on balance, as Lemon Squeezy's do."""

from dataclasses import replace
from fractions import Fraction

from credits.allocation import plan_lines
from credits.allocation.model import InHand
from credits.allocation.outcomes import done
from credits.allocation.plan_lines import Invoice
from credits.facts import PlanLine
from credits.inbox.model import Outcome
from credits.plans import periods_store, sights
from credits.plans.changes import Billed
from credits.plans.model import Period, Sight
from credits.units import Money


def lines_of_change(hand: InHand, invoice: Invoice, line: PlanLine) -> list[Billed] | Outcome:
    """
    A change of plan of which the invoice tells only what was charged on balance, as the two lines it is made of.

    The unused time of the old plan is what was paid for it times the time that is left.
    """
    fact, at_ms = invoice.fact, invoice.fact.occurred_at_ms
    net = fact.total.amount_minor
    if net <= 0:
        return done("the change of plan charged nothing; the new plan's credits come with its next period")
    rows = periods_store.periods_of(hand.connection, hand.tenant, hand.provider, fact.payer.subscription_id or "")
    active = [
        row
        for row in rows
        if row["full_price_minor"] is not None
        and row["end_ms"] is not None
        and row["since_ms"] <= at_ms < row["end_ms"]
    ]
    if not active:
        return plan_lines.waiting(hand, fact, "the period that the change splits was not paid yet")
    old, end_ms = periods_store.period_of(active[-1]), int(active[-1]["end_ms"])
    new = _sight_of_change(hand, invoice, old)
    if new is None and _is_back(hand, invoice, old):
        return done(f"back on plan {old.plan}, whose credits had stayed when it was left; nothing more comes")
    if new is None:
        return plan_lines.waiting(hand, fact, "the subscription does not show yet what it was changed to")
    left = Fraction(end_ms - at_ms, end_ms - old.anchor_ms)
    back = round((old.full_price_minor or 0) * left)
    old_plan = hand.catalogue.plan(old.plan)
    plan = plan_lines.plan_of(hand, new.product_ids[0])
    currency = fact.total.currency
    named = replace(line, period_start_ms=at_ms, period_end_ms=end_ms, is_proration=True)
    given = replace(named, quantity=old.quantity, amount=Money(amount_minor=-back, currency=currency))
    charged = replace(named, quantity=new.quantity, amount=Money(amount_minor=net + back, currency=currency))
    read = [plan_lines.proration(hand, invoice, given, old_plan)] if back else []
    read.append(plan_lines.proration(hand, invoice, charged, plan))
    price_minor = round((net + back) / left)
    found = [one for one in read if isinstance(one, Billed)]
    found[-1] = replace(found[-1], period=replace(found[-1].period, full_price_minor=price_minor, paid=fact.total))
    return found


def _sight_of_change(hand: InHand, invoice: Invoice, old: Period) -> Sight | None:
    """The first sight around the invoice's time that shows another plan or quantity than the one that is left."""
    at_ms = invoice.fact.occurred_at_ms
    return next(
        (
            sight
            for sight in invoice.sights
            if at_ms - sights.JUST_BEFORE_MS <= sight.stamp_ms <= at_ms + sights.JUST_AFTER_MS
            and sight.product_ids
            and not _shows(hand, sight, old)
        ),
        None,
    )


def _is_back(hand: InHand, invoice: Invoice, old: Period) -> bool:
    """
    Whether the subscription was changed to another plan, for which nothing was charged, and now to this one again.

    The credits of the plan that was left so stay until the renewal (above), and are not bought a second time.
    """
    at_ms = invoice.fact.occurred_at_ms
    known = [sight for sight in invoice.sights if sight.product_ids and sight.stamp_ms >= old.since_ms]
    was_away = any(sight.stamp_ms < at_ms - sights.JUST_BEFORE_MS and not _shows(hand, sight, old) for sight in known)
    is_here = any(
        at_ms - sights.JUST_BEFORE_MS <= sight.stamp_ms <= at_ms + sights.JUST_AFTER_MS and _shows(hand, sight, old)
        for sight in known
    )
    return was_away and is_here


def _shows(hand: InHand, sight: Sight, period: Period) -> bool:
    return (plan_lines.plan_of(hand, sight.product_ids[0]).key, sight.quantity) == (period.plan, period.quantity)
