"""
Drips: what paid periods hand out by the calendar, whether or not anybody looks in time.

Each is granted under a key of its own date. A sweep that was stopped for a week, runs twice or is killed in the middle
grants the same in the end: what is due is computed from the paid period and the subscription's history alone.
"""

from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import Connection, Engine, RowMapping

from credits.clock import Clock
from credits.config.catalogue import Catalogue
from credits.config.policies import OnPastDue, OnPause
from credits.config.settings import Tenant
from credits.db import snapshot, transaction
from credits.failpoints import failpoint
from credits.ledger import service as ledger
from credits.plans import carries, rules
from credits.plans import periods_store as store
from credits.plans import store as subscriptions
from credits.plans.model import Sight
from credits.plans.sights import sight_at
from credits.reversals import service as reversals

# An unpaid subscription's next word makes its drips due at once; this look is for a word that got lost.
_LOOK_AGAIN_MS = 3_600_000


class Verdict(StrEnum):
    """Whether a drip goes out."""

    GRANT = "grant"
    SKIP = "skip"
    """It is left out for good."""
    HOLD = "hold"
    """It goes out once the subscription is paid."""
    STOP = "stop"
    """Neither it nor any after it goes out."""


def sweep(engine: Engine, catalogue: Catalogue, clock: Clock, *, until_ms: int, limit: int = 200) -> int:
    """
    Grant every drip that is due and carry on what lapsed, until nothing is or the clock passes `until_ms`.

    Answers how many lots were granted. Any number of processes may run it: each period is one transaction.
    """
    granted = 0
    while clock() < until_ms:
        now_ms = clock()
        with snapshot(engine) as connection:
            due = store.due_ids(connection, now_ms=now_ms, limit=limit)
            to_carry = carries.due_ids(connection, now_ms=now_ms, limit=limit)
        for period_id in due:
            with transaction(engine) as connection:
                granted += drip(connection, period_id, catalogue, now_ms=now_ms)
                failpoint("drips.before_commit")
        for carry_id in to_carry:
            with transaction(engine) as connection:
                granted += carries.carry(connection, carry_id, catalogue, now_ms=now_ms)
                failpoint("carries.before_commit")
        if len(due) < limit and len(to_carry) < limit:
            break
    return granted


def drip(connection: Connection, period_id: int, catalogue: Catalogue, *, now_ms: int) -> int:
    """Grant what a period has to hand out by now; answers how many lots that were."""
    row = store.lock_due(connection, period_id, now_ms)
    if row is None:
        return 0
    tenant, period = Tenant(row["tenant"]), store.period_of(row)
    changes, sights = _history(connection, tenant, row)
    payment_id = reversals.lock_payment_of(connection, tenant, row["source_ref"])
    granted, dripped_to_ms = [], now_ms
    due_at_ms = rules.next_drip_ms(period, after_ms=now_ms)
    for handout in rules.drips(period, after_ms=row["dripped_to_ms"], up_to_ms=now_ms):
        match verdict(handout.start_ms, row, changes, sights, catalogue):
            case Verdict.GRANT:
                ledger.grant(connection, tenant, handout.order, now_ms=now_ms)
                granted.append((handout.order.key, handout.part, handout.start_ms, handout.end_ms))
            case Verdict.SKIP:
                continue
            case Verdict.HOLD:
                # Several types may drip at this instant: all of them are looked at again.
                dripped_to_ms, due_at_ms = handout.start_ms - 1, now_ms + _LOOK_AGAIN_MS
                break
            case Verdict.STOP:
                due_at_ms = None
                break
    if granted:
        store.insert_new_lots(connection, tenant, period_id, granted)
        if payment_id is not None:
            reversals.weigh_anew(connection, tenant, payment_id, catalogue, now_ms=now_ms)
    store.note_dripped(connection, period_id, dripped_to_ms=dripped_to_ms, due_at_ms=due_at_ms)
    return len(granted)


def verdict(
    at_ms: int, row: RowMapping, changes: Sequence[RowMapping], sights: Sequence[Sight], catalogue: Catalogue
) -> Verdict:
    """Whether what a period hands out at `at_ms` goes out, by what is known of its subscription. Pure."""
    for change in changes:
        if change["plan"] == row["plan"] and _is_before(row, change) and change["cut_ms"] < at_ms:
            return Verdict.STOP
    then, now = sight_at(sights, at_ms), sights[-1] if sights else None
    if then is None or now is None:
        return Verdict.GRANT
    plan = catalogue.plans.get(row["plan"])
    on_pause = OnPause.STOP_DRIPS if plan is None else plan.on_pause
    on_past_due = OnPastDue.STOP_DRIPS if plan is None else plan.on_past_due
    if then.ended:
        return Verdict.STOP
    if then.is_paused and on_pause is not OnPause.KEEP:
        return Verdict.SKIP
    if then.is_unpaid and on_past_due is OnPastDue.STOP_DRIPS:
        if now.ended:
            return Verdict.STOP
        return Verdict.HOLD if now.is_unpaid else Verdict.GRANT
    return Verdict.GRANT


def _is_before(row: RowMapping, change: RowMapping) -> bool:
    """Whether a period is one that the change left, and not the one that it began."""
    if row["since_ms"] == change["since_ms"]:
        return bool(row["source_ref"] != change["source_ref"])
    return bool(row["since_ms"] < change["since_ms"])


def _history(connection: Connection, tenant: Tenant, row: RowMapping) -> tuple[Sequence[RowMapping], Sequence[Sight]]:
    named = (tenant, row["provider"], row["subscription_id"])
    return store.changes_of(connection, *named), subscriptions.sights_of(connection, *named)
