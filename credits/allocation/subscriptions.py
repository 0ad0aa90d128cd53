"""Allocation of subscriptions: what a paid invoice line earns, and what is remembered of a subscription."""

from credits.allocation.model import InHand
from credits.allocation.outcomes import combined, done, ignored
from credits.allocation.payer import account_of, remember, subjects_of, unattributed
from credits.allocation.purchases import note_subscribed
from credits.allocation.reversals import know_payment, payment_granted
from credits.config.catalogue import Plan
from credits.errors import UnknownPriceError
from credits.facts import CustomerLinked, Feature, Payer, PlanLine, PlanPaid, SubscriptionSeen
from credits.inbox import store as inbox
from credits.inbox.model import SUBSCRIPTION_UNKNOWN, EventState, Outcome, subscription_subject
from credits.inbox.rules import recheck_at_ms
from credits.ledger import service as ledger
from credits.ledger import store as ledger_store
from credits.plans import rules
from credits.plans import store as plans
from credits.plans.store import Subscription


def plan_paid(hand: InHand, fact: PlanPaid) -> Outcome:
    """Grant each line's plan credits for its period: once per invoice, item, period and credit type."""
    payment = know_payment(hand, (fact.key, *fact.also_known_as), fact.total)
    outcome = combined([_line_paid(hand, fact, line) for line in fact.lines])
    payment_granted(hand, payment)
    return outcome


def subscription_seen(hand: InHand, fact: SubscriptionSeen) -> Outcome:
    """Store the newest sight of a subscription, link its customer, and wake the payments that waited for it."""
    before = plans.find_subscription(hand.connection, hand.tenant, hand.provider, fact.subscription_id)
    account = account_of(hand, fact.payer)
    account_id = None
    if account is not None:
        account_id = ledger_store.ensure_account(hand.connection, hand.tenant, account, hand.now_ms)
        remember(hand, fact.payer, account)
    interval = None if fact.first_period_ms is None else rules.interval_of(fact.first_period_ms)
    is_newest = plans.see_subscription(
        hand.connection,
        hand.tenant,
        hand.provider,
        fact,
        account_id=account_id,
        interval=interval,
        now_ms=hand.now_ms,
    )
    _wake_waiting(hand, fact.subscription_id)
    seen = done(f"subscription {fact.subscription_id} is {fact.status or 'known'}")
    if not is_newest:
        return done(f"a later state of subscription {fact.subscription_id} is known")
    # Once the new state is stored a further attempt no longer sees the change, but still waits because of it.
    if _was_change(hand) or (before is not None and _plan_changed(hand, before, fact)):
        return combined(
            [seen, waiting_for(Feature.PLAN_CHANGE, f"subscription {fact.subscription_id} changed its plan")]
        )
    return seen


def customer_linked(hand: InHand, fact: CustomerLinked) -> Outcome:
    """Remember whose customer, and whose subscription, it is."""
    account = account_of(hand, fact.payer)
    if account is None:
        return ignored("nothing on it says whose customer this is")
    if fact.quote_id is not None:
        note_subscribed(hand, fact.key, fact.quote_id)
    remember(hand, fact.payer, account)
    if fact.payer.subscription_id is not None:
        account_id = ledger_store.ensure_account(hand.connection, hand.tenant, account, hand.now_ms)
        # Older than any real sight, so that it only adds the account.
        link = SubscriptionSeen(subscription_id=fact.payer.subscription_id, payer=fact.payer, stamp_ms=0, rank=-1)
        plans.see_subscription(
            hand.connection,
            hand.tenant,
            hand.provider,
            link,
            account_id=account_id,
            interval=None,
            now_ms=hand.now_ms,
        )
        _wake_waiting(hand, fact.payer.subscription_id)
    return done(f"linked to account {account}", account=account)


def waiting_for(feature: Feature, reason: str) -> Outcome:
    """Kept until `feature` is handled; operators see why."""
    return Outcome(state=EventState.WAITING, code=feature.value, detail=reason)


def _line_paid(hand: InHand, fact: PlanPaid, line: PlanLine) -> Outcome:
    subscription = _subscription_of(hand, fact.payer)
    product_id = line.product_id or (subscription.product_ids[0] if subscription and subscription.product_ids else None)
    if product_id is None:
        return _waiting_for_subscription(hand, fact.payer, "its subscription, which names the plan, is not known yet")
    if hand.catalogue.earns_nothing(product_id):
        return ignored(f"product {product_id} is listed in other_prices")
    plan = hand.catalogue.plan_of(hand.provider, product_id)
    if plan is None:
        raise UnknownPriceError(product_id)
    start_ms = fact.occurred_at_ms if line.period_start_ms is None else line.period_start_ms
    end_ms = line.period_end_ms
    if end_ms is None and rules.needs_period_end(plan):
        end_ms = _period_end_ms(subscription, start_ms)
        if end_ms is None:
            return _waiting_for_subscription(hand, fact.payer, "the length of its billing period is not known yet")
    account = account_of(hand, fact.payer)
    if account is None:
        return unattributed(hand, fact.payer, "nobody_to_credit", "nothing says whose subscription this is")
    remember(hand, fact.payer, account)
    return _grant_line(hand, fact, line, plan, account, start_ms, end_ms)


def _period_end_ms(subscription: Subscription | None, start_ms: int) -> int | None:
    """
    When the period that was paid at `start_ms` ends, for providers whose invoices do not say; None if unknown yet.

    A subscription first seen in a later period has shown no first period; its next renewal tells instead.
    """
    if subscription is None:
        return None
    interval = subscription.interval or rules.interval_by_renewal(
        start_ms, subscription.period_end_ms, seen_at_ms=subscription.stamp_ms
    )
    return None if interval is None else rules.period_end_ms(start_ms, interval)


def _grant_line(
    hand: InHand, fact: PlanPaid, line: PlanLine, plan: Plan, account: str, start_ms: int, end_ms: int | None
) -> Outcome:
    orders = rules.orders_of_plan(
        plan,
        account=account,
        key=line.key,
        source_ref=fact.key,
        period_start_ms=start_ms,
        period_end_ms=end_ms,
        paid=line.amount,
        actor=f"provider:{hand.provider}",
        event_id=hand.event.id,
        meta={"also_known_as": list(fact.also_known_as)},
    )
    posted = [ledger.grant(hand.connection, hand.tenant, order, now_ms=hand.now_ms) for order in orders]
    if all(one.replayed for one in posted):
        return done(
            f"plan {plan.key} was granted before for this period ({line.key})", account=account, payment=fact.key
        )
    amounts = ", ".join(f"{one.amount} {one.credit_type}" for one in posted)
    return done(f"plan {plan.key}: {amounts} granted to {account} ({line.key})", account=account, payment=fact.key)


def _subscription_of(hand: InHand, payer: Payer) -> Subscription | None:
    if payer.subscription_id is None:
        return None
    return plans.find_subscription(hand.connection, hand.tenant, hand.provider, payer.subscription_id)


def _waiting_for_subscription(hand: InHand, payer: Payer, reason: str) -> Outcome:
    return Outcome(
        state=EventState.WAITING,
        code=SUBSCRIPTION_UNKNOWN,
        detail=reason,
        due_at_ms=recheck_at_ms(hand.event.attempts, hand.now_ms),
        waits_for=subjects_of(hand, payer),
    )


def _wake_waiting(hand: InHand, subscription_id: str) -> None:
    inbox.wake(hand.connection, hand.tenant, subscription_subject(hand.provider, subscription_id), now_ms=hand.now_ms)


def _was_change(hand: InHand) -> bool:
    return hand.event.code == Feature.PLAN_CHANGE.value


def _plan_changed(hand: InHand, before: Subscription, fact: SubscriptionSeen) -> bool:
    """Whether a subscription moved between two plans that the catalogue knows."""
    old, new = (
        {plan.key for name in product_ids if (plan := hand.catalogue.plan_of(hand.provider, name)) is not None}
        for product_ids in (before.product_ids, fact.product_ids)
    )
    return bool(old) and bool(new) and old != new
