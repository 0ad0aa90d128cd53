"""Reads one line of a subscription's invoice: which plan it bills, for which period, and whether it earns credits."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from credits.allocation.model import InHand
from credits.allocation.outcomes import done, ignored
from credits.allocation.payer import subjects_of
from credits.config.catalogue import Plan
from credits.errors import UnknownPriceError
from credits.facts import PlanLine, PlanPaid
from credits.inbox.model import SUBSCRIPTION_UNKNOWN, EventState, Outcome
from credits.inbox.rules import MAX_RECHECKS, recheck_at_ms
from credits.plans import periods_store, rules, sights
from credits.plans.calendar import interval_by_renewal, period_end_ms
from credits.plans.changes import Billed
from credits.plans.model import Part, Period, PeriodKind, Sight
from credits.plans.store import Subscription

SETTLED: Final = frozenset({EventState.DONE, EventState.IGNORED})

BRIEF_LOOKS: Final = 4
"""Eleven minutes. The one provider whose invoices name no plan gives up on a delivery after 155 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """A settled invoice, with what is known of its subscription."""

    fact: PlanPaid
    subscription: Subscription | None
    sights: tuple[Sight, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What a line bills: the price or variant, and how many of it."""

    product_id: str
    quantity: int | None


def owned_by(account: str) -> Callable[[Billed], Billed]:
    """The same line, as `account`'s."""
    return lambda one: replace(one, period=replace(one.period, account=account))


def plan_of(hand: InHand, product_id: str) -> Plan:
    """The plan that a product sells. Raises UnknownPriceError."""
    plan = hand.catalogue.plan_of(hand.provider, product_id)
    if plan is None:
        raise UnknownPriceError(product_id)
    return plan


def product_of(hand: InHand, invoice: Invoice, line: PlanLine) -> Product | Outcome:
    """What `line` bills; where the invoice does not say, what the subscription was for at the time."""
    if line.product_id is not None:
        return Product(product_id=line.product_id, quantity=line.quantity)
    fact = invoice.fact
    if fact.is_initial and not any(sight.is_first for sight in invoice.sights) and hand.event.attempts <= MAX_RECHECKS:
        return waiting(hand, fact, "its subscription, which names the plan, is not known yet")
    is_known = fact.is_initial or sights.is_seen_since(invoice.sights, fact.occurred_at_ms)
    if not is_known and hand.event.attempts <= BRIEF_LOOKS:
        return waiting(hand, fact, "its subscription, which names the plan, was last seen before it")
    sight = sights.sight_for(invoice.sights, fact.occurred_at_ms, is_initial=fact.is_initial)
    if sight is not None and sight.product_ids:
        return Product(product_id=sight.product_ids[0], quantity=sight.quantity)
    stored = invoice.subscription
    if stored is not None and stored.product_ids:
        return Product(product_id=stored.product_ids[0], quantity=stored.quantity)
    return waiting(hand, fact, "its subscription, which names the plan, is not known yet")


def skipped(plan: Plan, fact: PlanPaid, line: PlanLine) -> Outcome | None:
    """Why a line earns nothing although it was settled; None if it does."""
    if line.amount.amount_minor == 0:
        return None
    asked = sum(one.amount.amount_minor for one in fact.lines)
    if fact.total.amount_minor <= 0 < asked and plan.zero_invoice.coupon == "skip":
        return ignored('a coupon left nothing to pay; zero_invoice.coupon = "skip"')
    if fact.is_from_balance and plan.zero_invoice.balance == "skip":
        return ignored('paid from the customer\'s balance; zero_invoice.balance = "skip"')
    if fact.is_out_of_band and plan.zero_invoice.out_of_band == "skip":
        return ignored('paid out of band; zero_invoice.out_of_band = "skip"')
    return None


def whole_period(
    hand: InHand,
    invoice: Invoice,
    line: PlanLine,
    plan: Plan,
    product: Product,
    *,
    kind: PeriodKind = PeriodKind.PERIOD,
) -> Billed | Outcome:
    """A line that bills a billing period of its own."""
    quantity = product.quantity
    parts = rules.trial_parts_of(plan, quantity) if kind is PeriodKind.TRIAL else rules.parts_of(plan, quantity)
    start_ms = invoice.fact.occurred_at_ms if line.period_start_ms is None else line.period_start_ms
    end_ms = line.period_end_ms
    if end_ms is None:
        end_ms = _period_end_ms(invoice.subscription, start_ms)
        if end_ms is None and rules.needs_period_end(parts):
            return waiting(hand, invoice.fact, "the length of its billing period is not known yet")
    period = _period(hand, invoice, line, plan, parts, kind=kind, anchor_ms=start_ms, end_ms=end_ms)
    return Billed(line=line, plan=plan, period=replace(period, quantity=quantity))


def free_line(hand: InHand, invoice: Invoice, line: PlanLine, plan: Plan, product: Product) -> Billed | Outcome:
    """A line over nothing: a trial's, or one of a price that is 0."""
    start_ms = invoice.fact.occurred_at_ms if line.period_start_ms is None else line.period_start_ms
    is_known = line.is_trial or (bool(invoice.sights) and _is_seen_then(invoice, start_ms))
    if not is_known and (hand.event.attempts <= MAX_RECHECKS or not invoice.sights):
        return waiting(hand, invoice.fact, "its subscription, which says whether it is a trial, is not known yet")
    ends_ms = [sight.trial_end_ms for sight in invoice.sights if sight.trial_end_ms is not None]
    if line.is_trial or any(end_ms > start_ms for end_ms in ends_ms):
        if line.product_id is None:
            return done("the invoice of a trial; its credits come with the subscription's own event")
        if not rules.trial_parts_of(plan, product.quantity):
            return done(f"the invoice of a trial; plan {plan.key} has no trial credits")
        return whole_period(hand, invoice, line, plan, product, kind=PeriodKind.TRIAL)
    if plan.zero_invoice.free == "skip":
        return ignored('its price is 0; zero_invoice.free = "skip"')
    return whole_period(hand, invoice, line, plan, product)


def _is_seen_then(invoice: Invoice, start_ms: int) -> bool:
    """Whether the subscription was seen in the period that begins then: a trial may show only while it lasts."""
    return any(
        sight.is_first or sight.period_start_ms == start_ms or sight.stamp_ms <= start_ms + sights.JUST_AFTER_MS
        for sight in invoice.sights
    )


def proration(hand: InHand, invoice: Invoice, line: PlanLine, plan: Plan) -> Billed | Outcome:
    """A line that charges the rest of a period, or gives it back."""
    fact, start_ms, end_ms = invoice.fact, line.period_start_ms, line.period_end_ms
    if start_ms is None or end_ms is None or end_ms <= start_ms:
        return ignored(f"{line.key} prorates no period")
    anchor_ms = _anchor_ms(hand, invoice, end_ms)
    if anchor_ms is None:
        return waiting(hand, fact, "the billing period that it splits is not known yet")
    since_ms = max(start_ms, anchor_ms)
    period = _period(
        hand,
        invoice,
        line,
        plan,
        rules.parts_of(plan, line.quantity),
        kind=PeriodKind.CHANGE,
        anchor_ms=anchor_ms,
        end_ms=end_ms,
    )
    ends_ms = [one.period_end_ms for one in fact.lines if one.period_end_ms is not None]
    period = replace(
        period,
        since_ms=since_ms,
        # Billed with the next renewal, the period is over: then all of it is granted at once.
        cut_ms=min(max(fact.occurred_at_ms, since_ms), end_ms),
        usable_until_ms=max(ends_ms) if end_ms <= fact.occurred_at_ms else None,
        quantity=line.quantity,
    )
    return Billed(line=line, plan=plan, period=period)


def waiting(hand: InHand, fact: PlanPaid, reason: str) -> Outcome:
    """Kept until the subscription's own event says more."""
    return Outcome(
        state=EventState.WAITING,
        code=SUBSCRIPTION_UNKNOWN,
        detail=reason,
        due_at_ms=recheck_at_ms(hand.event.attempts, hand.now_ms),
        waits_for=subjects_of(hand, fact.payer),
    )


def _anchor_ms(hand: InHand, invoice: Invoice, end_ms: int) -> int | None:
    """When the billing period begins that ends at `end_ms`."""
    starts = [sight.period_start_ms for sight in invoice.sights if sight.period_end_ms == end_ms]
    known = [start_ms for start_ms in starts if start_ms is not None and start_ms < end_ms]
    if known:
        return min(known)
    subscription_id = invoice.fact.payer.subscription_id
    if subscription_id is None:
        return None
    rows = periods_store.periods_of(hand.connection, hand.tenant, hand.provider, subscription_id)
    return min((row["anchor_ms"] for row in rows if row["end_ms"] == end_ms), default=None)


def _period_end_ms(subscription: Subscription | None, start_ms: int) -> int | None:
    """
    When the period that was paid at `start_ms` ends, for providers whose invoices do not say; None if unknown yet.

    A subscription first seen in a later period has shown no first period; its next renewal tells instead.
    """
    if subscription is None:
        return None
    interval = subscription.interval or interval_by_renewal(
        start_ms, subscription.period_end_ms, seen_at_ms=subscription.stamp_ms
    )
    return None if interval is None else period_end_ms(start_ms, interval)


def _period(
    hand: InHand,
    invoice: Invoice,
    line: PlanLine,
    plan: Plan,
    parts: tuple[Part, ...],
    *,
    kind: PeriodKind,
    anchor_ms: int,
    end_ms: int | None,
) -> Period:
    fact = invoice.fact
    return Period(
        # Whose it is, is not known yet.
        account="",
        provider=hand.provider,
        subscription_id=fact.payer.subscription_id or "",
        key=line.key,
        source_ref=fact.key,
        plan=plan.key,
        kind=kind,
        anchor_ms=anchor_ms,
        since_ms=anchor_ms,
        cut_ms=anchor_ms,
        end_ms=end_ms,
        usable_until_ms=None,
        parts=parts,
        zone=hand.catalogue.timezone,
        paid=line.amount if fact.total.amount_minor > 0 else replace(line.amount, amount_minor=0),
        full_price_minor=line.amount.amount_minor if kind is PeriodKind.PERIOD else None,
        actor=f"provider:{hand.provider}",
        event_id=hand.event.id,
        also_known_as=fact.also_known_as,
    )
