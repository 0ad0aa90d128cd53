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
from credits.ledger import store as ledger_store
from credits.ledger.model import Posted
from credits.plans import changes, deciding, drips, periods
from credits.plans import splits as splits_store
from credits.plans import store as plans
from credits.plans.changes import Billed, Split
from credits.plans.model import Change, Period, PeriodKind


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
    plain = [one.period for one in (*whole, *map(owned, read.trials))]
    granted = _carry_out(hand, invoice, plain, changes.splits_of(whole, prorations), account)
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


def _carry_out(
    hand: InHand, invoice: Invoice, plain: Sequence[Period], splits: Sequence[Split], account: str
) -> Outcome:
    connection, tenant, fact = hand.connection, hand.tenant, invoice.fact
    subscription_id = fact.payer.subscription_id
    named = (connection, tenant, hand.provider, subscription_id or "")
    if splits:
        # Whoever takes from a subscription's lots is to find them all.
        drips.catch_up(*named, hand.catalogue, now_ms=hand.now_ms)
    posted: list[Posted] = []
    # Only what the invoice itself says of its seats is the same whenever it is read.
    told = {line.key for line in fact.lines if line.quantity is not None}
    for period in plain:
        plan = hand.catalogue.plan(period.plan)
        opened = periods.open_period(connection, tenant, period, now_ms=hand.now_ms, on_trial_end=plan.on_trial_end)
        if period.key in told and all(one.replayed for one in opened):
            opened += periods.open_rest(connection, tenant, period, plan, now_ms=hand.now_ms)
        posted += opened
    account_id = ledger_store.ensure_account(connection, tenant, account, hand.now_ms)
    for split in splits:
        splits_store.insert_split(connection, tenant, account_id, *named[2:], split, now_ms=hand.now_ms)
    decided, granted = deciding.decide_changes(*named, now_ms=hand.now_ms)
    if subscription_id is not None:
        periods.note_resets(*named, hand.catalogue, now_ms=hand.now_ms)
        periods.settle(*named, invoice.sights, hand.catalogue, now_ms=hand.now_ms)
        # A change may wait to learn how long the period is that it splits.
        hand.learn(subscription_subject(hand.provider, subscription_id))
    own = [decided[split.key] for split in splits]
    billed = [*plain, *(period for one in own for period in one.periods)]
    detail = _told(billed, [change for one in own for change in one.changes], [*posted, *granted], account)
    return done(detail, account=account, payment=fact.key)


def _told(opened: Sequence[Period], changed: Sequence[Change], posted: Sequence[Posted], account: str) -> str:
    plan_keys = ", ".join(dict.fromkeys(period.plan for period in opened)) or "the change"
    keys = ", ".join(period.key for period in opened)
    back = "; ".join(f"{amount} {name} of plan {one.plan} go back" for one in changed for name, amount in one.amounts)
    if posted and all(one.replayed for one in posted):
        return f"plan {plan_keys} was granted before for this period ({keys})"
    amounts = ", ".join(f"{one.amount} {one.credit_type}" for one in posted)
    granted = f"plan {plan_keys}: {amounts or 'nothing at once'} granted to {account} ({keys})"
    return f"{granted}; {back}" if back else granted
