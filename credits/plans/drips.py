"""
Drips: what paid periods hand out by the calendar, whether or not anybody looks in time.

Each is granted under a key of its own date. A sweep that was stopped for a week, runs twice or is killed in the middle
grants the same in the end: what is due is computed from the paid period and the subscription's history alone.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, RowMapping

from credits.clock import Clock
from credits.config.catalogue import Catalogue
from credits.config.settings import Tenant
from credits.db import snapshot, transaction
from credits.failpoints import failpoint
from credits.ledger import service as ledger
from credits.plans import asks_store, carries, periods, rules, splits
from credits.plans import periods_store as store
from credits.plans import store as subscriptions
from credits.plans.model import Sight
from credits.plans.verdicts import Verdict, verdict
from credits.reversals import service as reversals

# An unpaid subscription's next word makes its drips due at once; this look is for a word that got lost.
_LOOK_AGAIN_MS = 3_600_000


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
            asked = asks_store.due(connection, now_ms=now_ms, limit=limit)
        for period_id in due:
            with transaction(engine) as connection:
                granted += drip(connection, period_id, catalogue, now_ms=now_ms)
                failpoint("drips.before_commit")
            failpoint("drips.after_commit")
        for carry_id in to_carry:
            with transaction(engine) as connection:
                granted += _carry(connection, carry_id, catalogue, now_ms=now_ms)
                failpoint("carries.before_commit")
            failpoint("carries.after_commit")
        for tenant, provider, subscription_id in asked:
            with transaction(engine) as connection:
                named = (Tenant(tenant), provider, subscription_id)
                sights = subscriptions.sights_of(connection, *named)
                periods.settle(connection, *named, sights, catalogue, now_ms=now_ms)
        if max(len(due), len(to_carry), len(asked)) < limit:
            break
    return granted


def catch_up(
    connection: Connection, tenant: Tenant, provider: str, subscription_id: str, catalogue: Catalogue, *, now_ms: int
) -> None:
    """Grant what a subscription's periods have to hand out by now: whoever takes from its lots is to find them all."""
    for period_id in store.due_ids_of(connection, tenant, provider, subscription_id, now_ms=now_ms):
        drip(connection, period_id, catalogue, now_ms=now_ms)


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
        # It may have been due before an end, a pause or a change that is known by now.
        named = (tenant, row["provider"], row["subscription_id"])
        periods.settle(connection, *named, sights, catalogue, now_ms=now_ms)
        if payment_id is not None:
            reversals.weigh_anew(connection, tenant, payment_id, catalogue, now_ms=now_ms)
    store.note_dripped(connection, period_id, dripped_to_ms=dripped_to_ms, due_at_ms=due_at_ms)
    return len(granted)


def _carry(connection: Connection, carry_id: int, catalogue: Catalogue, *, now_ms: int) -> bool:
    """Carry on what lapsed, and do with it what is known of its subscription by now."""
    period_id = carries.carry(connection, carry_id, catalogue, now_ms=now_ms)
    if period_id is not None:
        row = store.row_of(connection, period_id)
        named = (Tenant(row["tenant"]), row["provider"], row["subscription_id"])
        periods.settle(connection, *named, subscriptions.sights_of(connection, *named), catalogue, now_ms=now_ms)
    return period_id is not None


def _history(connection: Connection, tenant: Tenant, row: RowMapping) -> tuple[Sequence[RowMapping], Sequence[Sight]]:
    named = (tenant, row["provider"], row["subscription_id"])
    return splits.changes_of(connection, *named), subscriptions.sights_of(connection, *named)
