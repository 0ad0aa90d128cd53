"""
Rollover: what lapses of a plan's credits with its segment, and is carried on into the next one.

The ledger books what really lapsed, and in the same transaction the part that is carried on becomes a row here. It is
granted as a lot of its own once the next segment is paid for. So whatever is killed, nothing is carried twice or lost.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sqlalchemy import Connection, RowMapping, func, select, update

from credits.config.catalogue import Catalogue
from credits.config.settings import Tenant
from credits.db import insert_new
from credits.ids import digest
from credits.ledger import service as ledger
from credits.ledger.model import GrantOrder, GrantSource
from credits.ledger.tables import grants
from credits.plans import periods_store as store
from credits.plans import rules, splits
from credits.plans.model import Part, Period, PeriodKind
from credits.plans.tables import carries, plan_lots, plan_periods
from credits.reversals import service as reversals

# Renewals may come weeks late, after a card was replaced; what was to be carried into them waits so long.
MAX_WAIT_MS = 60 * 86_400_000


def note_lapsed(connection: Connection, lapsed: Iterable[tuple[str, int, int]], *, now_ms: int) -> None:
    """
    For each (entry key, grant, credits that lapsed of it): keep what is carried on. Its account is locked.

    The cap is of what all lots of a segment carry into the next, however many expiries they lapse in.
    """
    by_grant = {grant_id: (key, amount) for key, grant_id, amount in lapsed if amount > 0}
    if not by_grant:
        return
    lots = connection.execute(
        select(plan_lots, plan_periods.c.provider, plan_periods.c.subscription_id, plan_periods.c.account_id)
        .join(plan_periods, plan_periods.c.id == plan_lots.c.period_id)
        .where(plan_lots.c.grant_id.in_(sorted(by_grant)), plan_lots.c.rolls == 1)
    ).mappings()
    for lot in list(lots):
        key, amount = by_grant[lot["grant_id"]]
        if lot["carries_left"] == 0:
            continue
        if lot["cap"] is not None:
            amount = min(amount, max(0, lot["cap"] - _carried(connection, lot)))
        if amount > 0:
            _keep(connection, lot, f"carry:{digest(key)}", amount, now_ms)


def due_ids(connection: Connection, *, now_ms: int, limit: int) -> list[int]:
    """What is to be carried on now."""
    query = select(carries.c.id).where(carries.c.due_at_ms <= now_ms).order_by(carries.c.id).limit(limit)
    return list(connection.execute(query).scalars())


def carry(connection: Connection, carry_id: int, catalogue: Catalogue, *, now_ms: int) -> int | None:
    """
    Grant what is carried on, if the next segment is paid for; answers the period it was granted in, None if in none.

    It stays bought by the payment that bought it first: what goes back of that money takes its share of it.
    """
    row = (
        connection.execute(
            select(carries).where(carries.c.id == carry_id, carries.c.state == "open").with_for_update(skip_locked=True)
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    tenant = Tenant(row["tenant"])
    origin = store.row_of(connection, row["period_id"])
    if _is_reset(connection, tenant, origin, row):
        _close(connection, carry_id, "void", due_at_ms=None)
        return None
    target = _next_segment(connection, tenant, origin, row, now_ms)
    if target is None:
        is_late = row["created_at_ms"] + MAX_WAIT_MS <= now_ms
        again_ms = None if is_late else row["created_at_ms"] + MAX_WAIT_MS
        _close(connection, carry_id, "void" if is_late else "open", due_at_ms=again_ms)
        return None
    period, period_id, part, end_ms = target
    source_ref = connection.execute(select(grants.c.source_ref).where(grants.c.id == row["grant_id"])).scalar_one()
    payment_id = reversals.lock_payment_of(connection, tenant, source_ref)
    order = _order(period, part, row, end_ms, source_ref)
    ledger.grant(connection, tenant, order, now_ms=now_ms)
    left = None if row["carries_left"] is None else row["carries_left"] - 1
    store.insert_new_lots(
        connection, tenant, period_id, [(order.key, replace(part, carries=left), row["from_ms"], end_ms)]
    )
    _close(connection, carry_id, "done", due_at_ms=None)
    if payment_id is not None:
        reversals.weigh_anew(connection, tenant, payment_id, catalogue, now_ms=now_ms)
    return period_id


def look_again(
    connection: Connection, tenant: Tenant, provider: str, subscription_id: str, account_id: int, *, now_ms: int
) -> None:
    """A period was paid: what waits to be carried into it is due."""
    of_subscription = select(plan_periods.c.id).where(
        plan_periods.c.tenant == tenant,
        plan_periods.c.provider == provider,
        plan_periods.c.subscription_id == subscription_id,
        plan_periods.c.account_id == account_id,
    )
    connection.execute(
        update(carries)
        .where(carries.c.period_id.in_(of_subscription), carries.c.state == "open")
        .values(due_at_ms=now_ms)
    )


def carry_less(connection: Connection, less: Mapping[int, int]) -> None:
    """By lot: so many credits of what waits to be carried on of it are not. Its account is locked."""
    for grant_id, left in less.items():
        amount = left
        waits = (carries.c.grant_id == grant_id) & (carries.c.state == "open")
        for row in connection.execute(select(carries.c.id, carries.c.amount).where(waits).order_by(carries.c.id)):
            part = min(amount, row.amount)
            amount -= part
            values = {"amount": row.amount - part} if part < row.amount else {"state": "void"}
            connection.execute(update(carries).where(carries.c.id == row.id).values(**values))


def _carried(connection: Connection, lot: RowMapping) -> int:
    """What was carried already of the same type, out of the segment that ends when this lot's does."""
    total = connection.execute(
        select(func.sum(carries.c.amount))
        .join(plan_periods, plan_periods.c.id == carries.c.period_id)
        .where(
            plan_periods.c.account_id == lot["account_id"],
            plan_periods.c.provider == lot["provider"],
            plan_periods.c.subscription_id == lot["subscription_id"],
            carries.c.credit_type == lot["credit_type"],
            carries.c.from_ms == lot["end_ms"],
        )
    ).scalar_one()
    return int(total or 0)


def _keep(connection: Connection, lot: RowMapping, key: str, amount: int, now_ms: int) -> None:
    insert_new(
        connection,
        carries,
        {
            "tenant": lot["tenant"],
            "grant_id": lot["grant_id"],
            "period_id": lot["period_id"],
            "credit_type": lot["credit_type"],
            "key": key,
            "amount": amount,
            "from_ms": lot["end_ms"],
            "carries_left": lot["carries_left"],
            "state": "open",
            "due_at_ms": now_ms,
            "created_at_ms": now_ms,
        },
        unique=("tenant", "key"),
        returning=("id",),
    )


def _is_reset(connection: Connection, tenant: Tenant, origin: RowMapping, row: RowMapping) -> bool:
    """Whether what lapsed was to go with its plan, by a change that was told after it had lapsed."""
    changes = splits.changes_of(connection, tenant, origin["provider"], origin["subscription_id"])
    return any(
        change["takes_rest"]
        and change["plan"] == origin["plan"]
        and origin["since_ms"] < change["since_ms"] <= row["from_ms"]
        for change in changes
    )


def _next_segment(
    connection: Connection, tenant: Tenant, origin: RowMapping, row: RowMapping, now_ms: int
) -> tuple[Period, int, Part, int] | None:
    """The paid segment that follows the one that ended, of the same subscription and type."""
    rows = store.periods_of(connection, tenant, origin["provider"], origin["subscription_id"])
    later = [
        one
        for one in rows
        if one["account_id"] == origin["account_id"]
        and one["kind"] != PeriodKind.TRIAL
        and one["since_ms"] <= now_ms
        and one["end_ms"] is not None
        and one["end_ms"] > row["from_ms"]
    ]
    for one in later:
        period = store.period_of(one)
        for part in period.parts:
            if part.credit_type != row["credit_type"] or not part.rolls:
                continue
            segment = rules.segment_at(period, part, max(row["from_ms"], period.anchor_ms))
            if segment is not None and segment.end_ms is not None:
                return period, one["id"], part, segment.end_ms
    return None


def _order(period: Period, part: Part, row: RowMapping, end_ms: int, source_ref: str) -> GrantOrder:
    return GrantOrder(
        account=period.account,
        credit_type=part.credit_type,
        amount=row["amount"],
        key=row["key"],
        fingerprint=digest("carry", row["key"]),
        source=GrantSource.ROLLOVER,
        source_ref=source_ref,
        plan=period.plan,
        priority=part.priority,
        effective_at_ms=0,
        expires_at_ms=part.expires.lapses_at_ms(granted_at_ms=row["from_ms"], period_end_ms=end_ms),
        actor="gate",
        reason=f"carried over from the period before, plan {period.plan}",
        meta={"from_grant": row["grant_id"]},
    )


def _close(connection: Connection, carry_id: int, state: str, *, due_at_ms: int | None) -> None:
    connection.execute(update(carries).where(carries.c.id == carry_id).values(state=state, due_at_ms=due_at_ms))
