"""Allocation of subscriptions: what is remembered of them, and what a state of theirs does to credits."""

from credits.allocation.model import InHand
from credits.allocation.outcomes import combined, done, ignored
from credits.allocation.payer import account_of, remember, unattributed
from credits.allocation.purchases import note_subscribed
from credits.facts import CustomerLinked, SubscriptionSeen
from credits.inbox.model import Outcome, subscription_subject
from credits.ledger import store as ledger_store
from credits.plans import periods, periods_store, rules
from credits.plans import store as plans
from credits.plans.calendar import interval_of
from credits.plans.model import Period, PeriodKind


def subscription_seen(hand: InHand, fact: SubscriptionSeen) -> Outcome:
    """
    Add a sight to a subscription's history, link its customer, and do what the history says of its credits.

    Payments that waited for it are woken. A trial earns its credits here where the provider's invoices tell of none.
    """
    account = account_of(hand, fact.payer)
    account_id = None
    if account is not None:
        account_id = ledger_store.ensure_account(hand.connection, hand.tenant, account, hand.now_ms)
        remember(hand, fact.payer, account)
    named = (hand.connection, hand.tenant, hand.provider)
    plans.add_sight(*named, fact)
    interval = None if fact.first_period_ms is None else interval_of(fact.first_period_ms)
    is_newest = plans.see_subscription(*named, fact, account_id=account_id, interval=interval, now_ms=hand.now_ms)
    seen = done(f"subscription {fact.subscription_id} is {fact.status or 'known'}")
    if not is_newest:
        seen = done(f"a later state of subscription {fact.subscription_id} is known")
    outcome = seen if fact.trial_key is None else combined([seen, _trial(hand, fact, fact.trial_key, account)])
    periods_store.look_again(*named, fact.subscription_id, since_ms=fact.stamp_ms, now_ms=hand.now_ms)
    sights = plans.sights_of(*named, fact.subscription_id)
    periods.settle(*named, fact.subscription_id, sights, hand.catalogue, now_ms=hand.now_ms)
    _wake_waiting(hand, fact.subscription_id)
    return outcome


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


def _trial(hand: InHand, fact: SubscriptionSeen, key: str, account: str | None) -> Outcome:
    """What the plan hands out for a trial, once per subscription."""
    plan = hand.catalogue.plan_of(hand.provider, fact.product_ids[0]) if fact.product_ids else None
    parts = () if plan is None else rules.trial_parts_of(plan, fact.quantity)
    if plan is None or not parts or fact.trial_end_ms is None:
        return done("its trial earns no credits")
    if account is None:
        return unattributed(hand, fact.payer, "nobody_to_credit", "nothing says whose trial this is")
    start_ms = fact.stamp_ms if fact.period_start_ms is None else fact.period_start_ms
    period = Period(
        account=account,
        provider=hand.provider,
        subscription_id=fact.subscription_id,
        key=key,
        source_ref=key,
        plan=plan.key,
        kind=PeriodKind.TRIAL,
        anchor_ms=start_ms,
        since_ms=start_ms,
        cut_ms=start_ms,
        end_ms=fact.trial_end_ms,
        usable_until_ms=None,
        parts=parts,
        zone=hand.catalogue.timezone,
        quantity=fact.quantity,
        actor=f"provider:{hand.provider}",
        event_id=hand.event.id,
    )
    posted = periods.open_period(
        hand.connection, hand.tenant, period, now_ms=hand.now_ms, on_trial_end=plan.on_trial_end
    )
    amounts = ", ".join(f"{one.amount} {one.credit_type}" for one in posted)
    return done(f"trial of plan {plan.key}: {amounts} granted to {account} ({key})", account=account, payment=key)


def _wake_waiting(hand: InHand, subscription_id: str) -> None:
    hand.learn(subscription_subject(hand.provider, subscription_id))
