"""Allocation of subscriptions' invoices: what their settled lines earn, each line once for ever."""

from collections.abc import Sequence
from dataclasses import dataclass

from credits.allocation import cut_off, plan_lines
from credits.allocation.model import InHand
from credits.allocation.outcomes import combined, done, ignored
from credits.allocation.payer import account_of, remember, unattributed
from credits.allocation.plan_changes import lines_of_change
from credits.allocation.plan_lines import Invoice
from credits.allocation.reversals import know_payment, payment_granted
from credits.facts import PlanLine, PlanPaid
from credits.inbox.model import Outcome, subscription_subject
from credits.inbox.rules import MAX_RECHECKS
from credits.ledger import store as ledger_store
from credits.ledger.model import Posted
from credits.plans import changes, drips, periods, periods_store
from credits.plans import store as plans
from credits.plans.changes import Billed, Decided, Stay
from credits.plans.model import PeriodKind


@dataclass(slots=True, kw_only=True)
class _Read:
    """The lines of an invoice, sorted by what they lead to."""

    whole: list[Billed]
    trials: list[Billed]
    prorations: list[Billed]
    outcomes: list[Outcome]
    """Of lines that earn nothing, or wait."""


def plan_paid(hand: InHand, fact: PlanPaid) -> Outcome:
    """Grant each line's plan credits for its period: once per invoice, item, period and credit type."""
    payment = know_payment(hand, (fact.key, *fact.also_known_as), fact.total)
    outcome = _settled(hand, fact)
    payment_granted(hand, payment)
    return outcome


def _settled(hand: InHand, fact: PlanPaid) -> Outcome:
    invoice = _invoice(hand, fact)
    read = _read(hand, invoice)
    if fact.is_cut_off:
        read = _as_far_as_told(read, fact)
    billed = [*read.whole, *read.trials, *read.prorations]
    if not billed:
        return combined(read.outcomes)
    account = account_of(hand, fact.payer)
    if account is None:
        return unattributed(hand, fact.payer, "nobody_to_credit", "nothing says whose subscription this is")
    remember(hand, fact.payer, account)
    owned = plan_lines.owned_by(account)
    whole, prorations = [owned(one) for one in read.whole], [owned(one) for one in read.prorations]
    stays = _stays(hand, fact) if prorations else ()
    looks = hand.event.attempts
    # Out of the reach of swapped deliveries, who upgraded does not wait for a payment that may have earned nothing.
    is_soon = looks <= plan_lines.BRIEF_LOOKS and _began_here(invoice, stays)
    decided = changes.decide(whole, prorations, stays, may_wait=looks <= MAX_RECHECKS, may_wait_to_reset=is_soon)
    if decided.is_early:
        return plan_lines.waiting(hand, fact, "the payment for the time that it gives money back for is not known yet")
    trials = tuple(owned(one).period for one in read.trials)
    granted = _carry_out(hand, invoice, Decided(periods=decided.periods + trials, changes=decided.changes), account)
    return combined([*read.outcomes, granted])


def _as_far_as_told(read: _Read, fact: PlanPaid) -> _Read:
    """Of an invoice with more lines than its event carries: the whole periods among these, if they are paid for."""
    granted = cut_off.may_grant(fact, read.whole)
    outcomes = [*read.outcomes, cut_off.outcome_of(fact, granted=granted)]
    return _Read(
        whole=read.whole if granted else [],
        trials=read.trials if granted else [],
        # Half of a change would be another change.
        prorations=[],
        outcomes=outcomes,
    )


def _began_here(invoice: Invoice, stays: Sequence[Stay]) -> bool:
    """Whether its payments are told here: those of a subscription that is older than this database never will be."""
    return bool(stays) or any(sight.is_first for sight in invoice.sights)


def _invoice(hand: InHand, fact: PlanPaid) -> Invoice:
    subscription_id = fact.payer.subscription_id or ""
    named = (hand.connection, hand.tenant, hand.provider, subscription_id)
    return Invoice(
        fact=fact,
        subscription=plans.find_subscription(*named) if subscription_id else None,
        sights=tuple(plans.sights_of(*named)) if subscription_id else (),
    )


def _read(hand: InHand, invoice: Invoice) -> _Read:
    read = _Read(whole=[], trials=[], prorations=[], outcomes=[])
    if invoice.fact.is_change:
        found = lines_of_change(hand, invoice, invoice.fact.lines[0])
        if isinstance(found, Outcome):
            read.outcomes.append(found)
        else:
            read.prorations += found
        return read
    for line in invoice.fact.lines:
        one = _read_line(hand, invoice, line)
        if isinstance(one, Outcome):
            read.outcomes.append(one)
        elif line.is_proration:
            read.prorations.append(one)
        else:
            (read.trials if one.period.kind is PeriodKind.TRIAL else read.whole).append(one)
    waiting = [one for one in read.outcomes if one.state not in plan_lines.SETTLED]
    if waiting and read.prorations:
        # Prorations are decided together: half of a change would be another change.
        read.prorations = []
    return read


def _read_line(hand: InHand, invoice: Invoice, line: PlanLine) -> Billed | Outcome:
    product = plan_lines.product_of(hand, invoice, line)
    if isinstance(product, Outcome):
        return product
    if hand.catalogue.earns_nothing(product.product_id):
        return ignored(f"product {product.product_id} is listed in other_prices")
    if line.amount.amount_minor == 0 and hand.catalogue.plan_of(hand.provider, product.product_id) is None:
        return ignored(f"{product.product_id} costs nothing and is in no plan")
    plan = plan_lines.plan_of(hand, product.product_id)
    skipped = plan_lines.skipped(plan, invoice.fact, line)
    if skipped is not None:
        return skipped
    if line.is_proration:
        return plan_lines.proration(hand, invoice, line, plan)
    if line.amount.amount_minor == 0:
        return plan_lines.free_line(hand, invoice, line, plan, product)
    return plan_lines.whole_period(hand, invoice, line, plan, product)


def _stays(hand: InHand, fact: PlanPaid) -> tuple[Stay, ...]:
    rows = periods_store.periods_of(hand.connection, hand.tenant, hand.provider, fact.payer.subscription_id or "")
    return periods_store.stays_of(rows)


def _carry_out(hand: InHand, invoice: Invoice, decided: Decided, account: str) -> Outcome:
    connection, tenant, fact = hand.connection, hand.tenant, invoice.fact
    posted: list[Posted] = []
    if decided.changes:
        of = (hand.provider, fact.payer.subscription_id or "")
        drips.catch_up(connection, tenant, *of, hand.catalogue, now_ms=hand.now_ms)
    # Only what the invoice itself says of its seats is the same whenever it is read.
    told = {line.key for line in fact.lines if line.quantity is not None}
    for period in decided.periods:
        plan = hand.catalogue.plan(period.plan)
        opened = periods.open_period(connection, tenant, period, now_ms=hand.now_ms, on_trial_end=plan.on_trial_end)
        if period.key in told and all(one.replayed for one in opened):
            opened += periods.open_rest(connection, tenant, period, plan, now_ms=hand.now_ms)
        posted += opened
    if decided.changes:
        account_id = ledger_store.ensure_account(connection, tenant, account, hand.now_ms)
        for change in decided.changes:
            actor = f"provider:{hand.provider}"
            periods.apply_change(connection, tenant, account_id, change, actor=actor, now_ms=hand.now_ms)
    subscription_id = fact.payer.subscription_id
    if subscription_id is not None:
        named = (connection, tenant, hand.provider, subscription_id)
        periods.note_resets(*named, hand.catalogue, now_ms=hand.now_ms)
        periods.settle(*named, invoice.sights, hand.catalogue, now_ms=hand.now_ms)
        # A change may wait to learn how long the period is that it splits.
        hand.learn(subscription_subject(hand.provider, subscription_id))
    return done(_told(decided, posted, account), account=account, payment=fact.key)


def _told(decided: Decided, posted: Sequence[Posted], account: str) -> str:
    plan_keys = ", ".join(dict.fromkeys(period.plan for period in decided.periods)) or "the change"
    keys = ", ".join(period.key for period in decided.periods)
    back = "; ".join(
        f"{amount} {name} of plan {one.plan} go back" for one in decided.changes for name, amount in one.amounts
    )
    if posted and all(one.replayed for one in posted):
        return f"plan {plan_keys} was granted before for this period ({keys})"
    amounts = ", ".join(f"{one.amount} {one.credit_type}" for one in posted)
    granted = f"plan {plan_keys}: {amounts or 'nothing at once'} granted to {account} ({keys})"
    return f"{granted}; {back}" if back else granted
