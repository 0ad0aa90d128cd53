"""Use cases of paid periods: hand out what a payment earns, and take back what a change or an end says."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from sqlalchemy import Connection, RowMapping

from credits.config.catalogue import Catalogue, Plan
from credits.config.policies import OnCancel, OnChange, OnPause, OnTrialEnd
from credits.config.settings import Tenant
from credits.ids import digest
from credits.ledger import service as ledger
from credits.ledger import store as ledger_store
from credits.ledger.locks import lock_accounts
from credits.ledger.model import DebitKind, GrantSource, Posted
from credits.ledger.moves import Move, give_back
from credits.ledger.orders import order_command, resets_done, states_of
from credits.plans import asks, asks_store, carries, rules, splits
from credits.plans import periods_store as store
from credits.plans import store as subscriptions
from credits.plans.model import Change, Period, PeriodKind, Sight
from credits.plans.verdicts import Verdict, verdict

_UNDUE: Final = "handed out before it was known that it was not due"


def open_period(
    connection: Connection,
    tenant: Tenant,
    period: Period,
    *,
    now_ms: int,
    on_trial_end: OnTrialEnd = OnTrialEnd.END,
) -> tuple[Posted, ...]:
    """
    Remember a paid line, and grant what it earns at once. Its drips follow by the calendar (credits.plans.drips).

    Once per key and credit type, for ever.
    """
    account_id = ledger_store.ensure_account(connection, tenant, period.account, now_ms)
    due_at_ms = rules.next_drip_ms(period, after_ms=period.cut_ms)
    period_id, _ = store.insert_period(connection, tenant, account_id, period, due_at_ms=due_at_ms, now_ms=now_ms)
    handouts = rules.first_handouts(period, on_trial_end=on_trial_end)
    posted = tuple(ledger.grant(connection, tenant, one.order, now_ms=now_ms) for one in handouts)
    if handouts:
        granted = [(one.order.key, one.part, one.start_ms, one.end_ms) for one in handouts]
        store.insert_new_lots(connection, tenant, period_id, granted)
    if any(part.rolls for part in period.parts):
        carries.look_again(connection, tenant, period.provider, period.subscription_id, account_id, now_ms=now_ms)
    return posted


def open_rest(connection: Connection, tenant: Tenant, period: Period, plan: Plan, *, now_ms: int) -> tuple[Posted, ...]:
    """
    Grant the seats of a paid line that were not told when it was opened, its invoice having been cut off.

    Once per line, for ever; nothing where all were told.
    """
    known = store.quantity_of(connection, tenant, period.key)
    rest = None if known is None else rules.rest_of(period, plan, known=known)
    return () if rest is None else open_period(connection, tenant, rest, now_ms=now_ms)


def settle(
    connection: Connection,
    tenant: Tenant,
    provider: str,
    subscription_id: str,
    sights: Sequence[Sight],
    catalogue: Catalogue,
    *,
    now_ms: int,
) -> None:
    """
    Order what changes ask for together, and what its history says of a subscription's unspent credits: that they go
    with a plan, a pause or the end.

    Run it whenever a period or a sight was added, in any order: each order is one row, by its op.
    """
    asks.weigh_all(connection, tenant, provider, subscription_id, now_ms=now_ms)
    changes = splits.changes_of(connection, tenant, provider, subscription_id)
    ends = [sight for sight in sights if sight.ended]
    pauses = [sight for sight in sights if sight.is_paused]
    if not (changes or ends or pauses):
        return
    lots = store.open_lots_of(connection, tenant, provider, subscription_id)
    for lot in lots:
        reasons = _reasons_to_go(lot, changes, ends, pauses, catalogue)
        for why in reasons or _reasons_undue(lot, changes, sights, catalogue):
            _order_rest(connection, tenant, lot, why, now_ms=now_ms)
    _give_back_due(connection, tenant, provider, subscription_id, changes, sights, catalogue, now_ms=now_ms)


def settle_lots(
    connection: Connection, tenant: Tenant, grant_ids: Sequence[int], catalogue: Catalogue, *, now_ms: int
) -> None:
    """What goes back of these lots' money is another sum now: weigh what changes of plan ask of them, and settle."""
    for provider, subscription_id in asks_store.subscriptions_of(connection, grant_ids):
        named = (connection, tenant, provider, subscription_id)
        # What was frozen while a change came may be free again: first it is given back, then ordered once more.
        asks.weigh_all(*named, now_ms=now_ms, anew=True)
        settle(*named, subscriptions.sights_of(*named), catalogue, now_ms=now_ms)


def note_resets(
    connection: Connection, tenant: Tenant, provider: str, subscription_id: str, catalogue: Catalogue, *, now_ms: int
) -> None:
    """Where a renewal was of another plan than the period before it, the plan that was left may be reset."""
    if not any(OnChange.RESET in (plan.on_change.up, plan.on_change.down) for plan in catalogue.plans.values()):
        return
    rows = store.periods_of(connection, tenant, provider, subscription_id)
    for before, row in pairwise(row for row in rows if row["kind"] == PeriodKind.PERIOD):
        plan = catalogue.plans.get(before["plan"])
        if plan is None or before["plan"] == row["plan"]:
            continue
        is_up = (row["paid_minor"] or 0) >= (before["paid_minor"] or 0)
        if (plan.on_change.up if is_up else plan.on_change.down) is OnChange.RESET:
            change = Change(
                provider=provider,
                subscription_id=subscription_id,
                key=f"{row['key']}:left:{before['plan']}",
                plan=before["plan"],
                source_ref=row["source_ref"],
                since_ms=row["since_ms"],
                cut_ms=row["since_ms"],
                takes_rest=True,
            )
            splits.put_change(connection, tenant, change, now_ms=now_ms)


def _reasons_to_go(
    lot: RowMapping,
    changes: Sequence[RowMapping],
    ends: Sequence[Sight],
    pauses: Sequence[Sight],
    catalogue: Catalogue,
) -> list[str]:
    plan = catalogue.plans.get(lot["plan"])
    reasons = [
        f"left, {change['key']}"
        for change in changes
        if change["takes_rest"] and change["plan"] == lot["plan"] and lot["start_ms"] < change["cut_ms"]
    ]
    if ends and plan is not None and plan.on_cancel is OnCancel.END:
        reasons.append("the subscription has ended")
    if plan is not None and plan.on_pause is OnPause.END:
        reasons += [
            f"the subscription was paused, {sight.stamp_ms}"
            for sight in pauses
            if lot["start_ms"] <= sight.stamp_ms and (lot["end_ms"] is None or sight.stamp_ms < lot["end_ms"])
        ]
    return reasons


def _reasons_undue(
    lot: RowMapping, changes: Sequence[RowMapping], sights: Sequence[Sight], catalogue: Catalogue
) -> list[str]:
    """Why a drip that went out would not have, had all been known then."""
    is_drip = lot["start_ms"] > lot["cut_ms"] and lot["source"] != GrantSource.ROLLOVER
    if is_drip and verdict(lot["start_ms"], lot, changes, sights, catalogue) in {Verdict.SKIP, Verdict.STOP}:
        return [_UNDUE]
    return []


def _give_back_due(
    connection: Connection,
    tenant: Tenant,
    provider: str,
    subscription_id: str,
    changes: Sequence[RowMapping],
    sights: Sequence[Sight],
    catalogue: Catalogue,
    *,
    now_ms: int,
) -> None:
    """Give back drips that were taken as not due and that are, by what is known now. Each order is undone once."""
    accounts = store.accounts_of(connection, tenant, provider, subscription_id)
    orders = {order["grant_ids"][0]: order for order in resets_done(connection, accounts, ending=_op_end(_UNDUE))}
    for lot in store.lots_of(connection, orders):
        order = orders[lot["grant_id"]]
        key = f"{order['op']}:back:{lot['credit_type']}"
        if (
            _reasons_undue(lot, changes, sights, catalogue)
            or ledger_store.find_entry(connection, tenant, key) is not None
        ):
            continue
        lock_accounts(connection, [lot["account_id"]])
        move = Move(
            tenant=tenant,
            account_id=lot["account_id"],
            grant_id=lot["grant_id"],
            credit_type=lot["credit_type"],
            amount=order["taken"],
            key=key,
            fingerprint=digest(key)[:32],
            actor=f"provider:{provider}",
            reason=f"plan {lot['plan']}: taken before it was known that it was due"[:500],
        )
        give_back(connection, move, now_ms=now_ms)


def _op_end(why: str) -> str:
    """What the ops of orders for a reason end with, but for their numbers."""
    return digest(why)[:16]


def _order_rest(connection: Connection, tenant: Tenant, lot: RowMapping, why: str, *, now_ms: int) -> None:
    """Order what is left of a lot: once, and again if more is there since, as when a job has released what it held."""
    op = f"reset:{lot['grant_id']}:{_op_end(why)}"
    before = states_of(connection, lot["account_id"], op)
    if "open" in before:
        return
    op = op if not before else f"{op}:{len(before) + 1}"
    order_command(
        connection,
        tenant,
        lot["account_id"],
        kind=DebitKind.RESET,
        credit_type=lot["credit_type"],
        amount=lot["amount"],
        grant_ids=[lot["grant_id"]],
        allow_debt=False,
        op=op,
        fingerprint=digest(op)[:32],
        actor=f"provider:{lot['provider']}",
        reason=f"plan {lot['plan']}: {why}"[:500],
        now_ms=now_ms,
    )
