"""Use case of changes of plan: decide all of a subscription's by what is known by now, and post what is different."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, RowMapping

from credits.config.settings import Tenant
from credits.ledger import service as ledger
from credits.ledger import store as ledger_store
from credits.ledger.model import Posted
from credits.plans import asks_store, changes, periods, rules, splits
from credits.plans import periods_store as store
from credits.plans.asks_store import Ask
from credits.plans.changes import Decided, Split
from credits.plans.model import Change, Period


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subscription:
    """Whose changes are decided."""

    connection: Connection
    tenant: Tenant
    provider: str
    subscription_id: str
    now_ms: int


def decide_changes(
    connection: Connection, tenant: Tenant, provider: str, subscription_id: str, *, now_ms: int
) -> tuple[dict[str, Decided], tuple[Posted, ...]]:
    """
    Open the periods that a subscription's changes lead to, and keep what they ask for; credits.plans.periods.settle
    orders it.

    Run it whenever a payment or a change of it was told, in any order: what was decided before by less is amended.
    Answers what each change leads to, by its key, and what was granted.
    """
    found = splits.splits_of(connection, tenant, provider, subscription_id)
    if not found:
        return {}, ()
    of = _Subscription(
        connection=connection, tenant=tenant, provider=provider, subscription_id=subscription_id, now_ms=now_ms
    )
    rows = store.periods_of(connection, tenant, provider, subscription_id)
    own = {side.key for split in found for side in split.charged}
    decided = changes.decide(found, store.stays_of([row for row in rows if row["key"] not in own]))
    known = {row["key"]: row for row in rows}
    posted: list[Posted] = []
    for period in (period for split in found for period in _periods_of(split, decided[split.key], known)):
        row = known.get(period.key)
        if row is None:
            posted += periods.open_period(connection, tenant, period, now_ms=now_ms)
        elif row["parts"] != [part.as_json() for part in period.parts]:
            posted += _amend(of, row, period)
    _keep_changes(of, found, decided)
    return decided, tuple(posted)


def _periods_of(split: Split, decided: Decided, known: Mapping[str, RowMapping]) -> list[Period]:
    """Those that a change leads to; and, without credits, what was opened and cannot be said any more."""
    keys = {period.key for period in decided.periods}
    opened = [side.period for side in split.charged if side.period.key in known.keys() - keys]
    return [*decided.periods, *(replace(period, parts=()) for period in opened)]


def _keep_changes(of: _Subscription, found: Sequence[Split], decided: Mapping[str, Decided]) -> None:
    """What each change says of the plan that it leaves, in place of what was known of it before."""
    named = (of.connection, of.tenant, of.provider, of.subscription_id)
    before = asks_store.asks_of(*named)
    asked = {(ask["key"], ask["credit_type"], ask["plan"], ask["asked"]) for ask in before}
    kept = {(row["key"], row["plan"], bool(row["takes_rest"])) for row in splits.changes_of(*named)}
    for split in found:
        account = (split.given or split.charged)[0].period.account
        account_id = ledger_store.ensure_account(of.connection, of.tenant, account, of.now_ms)
        found_now = {change.key: change for change in decided[split.key].changes}
        for change in found_now.values():
            # Of a change, nothing else depends on what is known of others.
            if (change.key, change.plan, change.takes_rest) not in kept:
                splits.put_change(of.connection, of.tenant, change, now_ms=of.now_ms)
            for name, amount in change.amounts:
                if (change.key, name, change.plan, amount) in asked:
                    continue
                _ask(of, account_id, change, name, amount)
        for side in split.given:
            if side.left_key not in found_now and splits.delete_change(of.connection, of.tenant, side.left_key):
                # Its plan's drips, which it had ended, are due again.
                store.look_again(*named, since_ms=side.period.cut_ms, now_ms=of.now_ms)
            amounts = dict(found_now[side.left_key].amounts) if side.left_key in found_now else {}
            for ask in before:
                if ask["key"] == side.left_key and ask["credit_type"] not in amounts and ask["asked"]:
                    asks_store.change_ask(of.connection, ask, asked=0)


def _amend(of: _Subscription, row: RowMapping, period: Period) -> list[Posted]:
    """A period that was opened when less was known: grant what is missing, and ask for what was not due."""
    store.amend_period(of.connection, row["id"], period, now_ms=of.now_ms)
    granted = store.granted_at_once(of.connection, row["id"])
    due = {handout.part.credit_type: handout for handout in rules.first_handouts(period)}
    posted = []
    for name in sorted(due.keys() | granted.keys()):
        lots, amount = granted.get(name, (0, 0))
        handout = due.get(name)
        wanted = 0 if handout is None else handout.order.amount
        if handout is not None and wanted > amount:
            order = handout.order
            more = replace(order, amount=wanted - amount, key=f"{order.key}:{lots + 1}" if lots else order.key)
            posted.append(ledger.grant(of.connection, of.tenant, more, now_ms=of.now_ms))
            segment = (more.key, handout.part, handout.start_ms, handout.end_ms)
            store.insert_new_lots(of.connection, of.tenant, row["id"], [segment])
        # Its own lots are what is asked of, whichever they are.
        change = Change(
            provider=of.provider,
            subscription_id=of.subscription_id,
            key=period.key,
            plan=period.plan,
            source_ref="",
            since_ms=period.since_ms,
            cut_ms=period.since_ms,
            end_ms=period.end_ms or 0,
        )
        _ask(of, row["account_id"], change, name, max(0, amount - wanted))
    return posted


def _ask(of: _Subscription, account_id: int, change: Change, credit_type: str, asked: int) -> None:
    ask = Ask(
        key=change.key,
        credit_type=credit_type,
        plan=change.plan,
        source_ref=change.source_ref,
        since_ms=change.since_ms,
        cut_ms=change.cut_ms,
        end_ms=change.end_ms,
        asked=asked,
    )
    asks_store.note_ask(of.connection, of.tenant, account_id, of.provider, of.subscription_id, ask)
