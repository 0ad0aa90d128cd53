"""SQL of paid periods, their lots and changes of plan. Every function runs in the caller's transaction."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, bindparam, case, func, or_, select, update

from credits.config.settings import Tenant
from credits.db import insert_new
from credits.ledger.model import GrantSource
from credits.ledger.tables import accounts, grants
from credits.plans.changes import Stay
from credits.plans.model import Part, Period, PeriodKind, part_of
from credits.plans.rules import OWN
from credits.plans.tables import plan_lots, plan_periods
from credits.units import Money

_BY_KEY: Final = select(plan_periods.c.id).where(
    plan_periods.c.tenant == bindparam("tenant"), plan_periods.c.key == bindparam("key")
)
_GRANT_IDS: Final = select(grants.c.id, grants.c.key).where(
    grants.c.tenant == bindparam("tenant"), grants.c.key.in_(bindparam("keys", expanding=True))
)
_OF_SUBSCRIPTION: Final = (
    (plan_periods.c.tenant == bindparam("tenant"))
    & (plan_periods.c.provider == bindparam("provider"))
    & (plan_periods.c.subscription_id == bindparam("subscription"))
)

_PLAN_LOTS: Final = (
    select(
        plan_lots,
        plan_periods.c.provider,
        plan_periods.c.plan,
        plan_periods.c.account_id,
        plan_periods.c.kind,
        plan_periods.c.since_ms,
        plan_periods.c.cut_ms,
        plan_periods.c.source_ref,
        grants.c.source,
        grants.c.amount,
        grants.c.remaining,
    )
    .join(plan_periods, plan_periods.c.id == plan_lots.c.period_id)
    .join(grants, grants.c.id == plan_lots.c.grant_id)
)


def insert_period(
    connection: Connection, tenant: Tenant, account_id: int, period: Period, *, due_at_ms: int | None, now_ms: int
) -> tuple[int, bool]:
    """(id, whether this call wrote it): one row per paid line, for ever."""
    values = {
        "tenant": tenant,
        "account_id": account_id,
        "provider": period.provider,
        "subscription_id": period.subscription_id,
        "key": period.key,
        "source_ref": period.source_ref,
        "plan": period.plan,
        "kind": period.kind,
        "anchor_ms": period.anchor_ms,
        "since_ms": period.since_ms,
        "cut_ms": period.cut_ms,
        "end_ms": period.end_ms,
        "parts": [part.as_json() for part in period.parts],
        "zone": period.zone,
        "quantity": period.quantity,
        "paid_minor": None if period.paid is None else period.paid.amount_minor,
        "currency": None if period.paid is None else period.paid.currency,
        "full_price_minor": period.full_price_minor,
        "event_id": period.event_id,
        "dripped_to_ms": period.cut_ms,
        "due_at_ms": due_at_ms,
        "created_at_ms": now_ms,
    }
    row = insert_new(connection, plan_periods, values, unique=("tenant", "key"), returning=("id",))
    if row is not None:
        return int(row["id"]), True
    found: int = connection.execute(_BY_KEY, {"tenant": tenant, "key": period.key}).scalar_one()
    return found, False


def quantity_of(connection: Connection, tenant: Tenant, key: str) -> int | None:
    """The seats that a paid line was opened with; None if it was not, or nothing says how many."""
    query = select(plan_periods.c.quantity).where(plan_periods.c.tenant == tenant, plan_periods.c.key == key)
    quantity: int | None = connection.execute(query).scalar_one_or_none()
    return quantity


def lock_due(connection: Connection, period_id: int, now_ms: int) -> RowMapping | None:
    """A period whose drips are due, locked until the transaction ends; None if somebody else has it, or had it."""
    query = (
        select(plan_periods, accounts.c.external_id)
        .join(accounts, accounts.c.id == plan_periods.c.account_id)
        .where(plan_periods.c.id == period_id, plan_periods.c.due_at_ms <= now_ms)
        .with_for_update(skip_locked=True, of=plan_periods)
    )
    return connection.execute(query).mappings().one_or_none()


def due_ids(connection: Connection, *, now_ms: int, limit: int) -> list[int]:
    """Periods that have something to hand out, the longest due first."""
    query = (
        select(plan_periods.c.id)
        .where(plan_periods.c.due_at_ms <= now_ms)
        .order_by(plan_periods.c.due_at_ms, plan_periods.c.id)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def due_ids_of(
    connection: Connection, tenant: Tenant, provider: str, subscription_id: str, *, now_ms: int
) -> list[int]:
    """Those of one subscription, in the order in which they began."""
    query = select(plan_periods.c.id).where(_OF_SUBSCRIPTION, plan_periods.c.due_at_ms <= now_ms)
    named = {"tenant": tenant, "provider": provider, "subscription": subscription_id}
    return list(connection.execute(query.order_by(plan_periods.c.since_ms, plan_periods.c.id), named).scalars())


def note_dripped(connection: Connection, period_id: int, *, dripped_to_ms: int, due_at_ms: int | None) -> None:
    """Drips up to `dripped_to_ms` are decided; look again at `due_at_ms`."""
    connection.execute(
        update(plan_periods)
        .where(plan_periods.c.id == period_id)
        .values(dripped_to_ms=dripped_to_ms, due_at_ms=due_at_ms)
    )


def look_again(
    connection: Connection, tenant: Tenant, provider: str, subscription_id: str, *, since_ms: int, now_ms: int
) -> None:
    """
    More is known of a subscription as it was from `since_ms` on: its drips after that are decided anew, those that were
    held back are due. One that was handed out already is not again.
    """
    of_subscription = (
        (plan_periods.c.tenant == tenant)
        & (plan_periods.c.provider == provider)
        & (plan_periods.c.subscription_id == subscription_id)
    )
    # Of a period that hands out nothing but at its payment, nothing is decided later.
    drips = plan_periods.c.due_at_ms.is_not(None) | (plan_periods.c.dripped_to_ms > plan_periods.c.cut_ms)
    told_late = (plan_periods.c.dripped_to_ms >= since_ms) & drips
    connection.execute(
        update(plan_periods)
        .where(of_subscription, told_late, or_(plan_periods.c.end_ms.is_(None), plan_periods.c.end_ms > since_ms))
        .values(
            due_at_ms=now_ms,
            dripped_to_ms=case((plan_periods.c.cut_ms >= since_ms, plan_periods.c.cut_ms), else_=since_ms - 1),
        )
    )
    connection.execute(
        update(plan_periods).where(of_subscription, plan_periods.c.due_at_ms > now_ms).values(due_at_ms=now_ms)
    )


def periods_of(connection: Connection, tenant: Tenant, provider: str, subscription_id: str) -> list[RowMapping]:
    """Every period of a subscription, with its account's external id, in the order in which they begin."""
    query = (
        select(plan_periods, accounts.c.external_id)
        .join(accounts, accounts.c.id == plan_periods.c.account_id)
        .where(_OF_SUBSCRIPTION)
        .order_by(plan_periods.c.since_ms, plan_periods.c.key)
    )
    named = {"tenant": tenant, "provider": provider, "subscription": subscription_id}
    return list(connection.execute(query, named).mappings())


def stays_of(rows: Sequence[RowMapping]) -> tuple[Stay, ...]:
    """The times on plans that these periods stand for."""
    return tuple(
        Stay(
            plan=row["plan"],
            since_ms=row["since_ms"],
            end_ms=row["end_ms"],
            has_credits=bool(row["parts"]),
            quantity=row["quantity"],
        )
        for row in rows
    )


def insert_lots(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Remember which segments the grants are for. Rows that are there stay."""
    for row in rows:
        insert_new(connection, plan_lots, row, unique=("grant_id",), returning=("grant_id",))


def grant_ids(connection: Connection, tenant: Tenant, keys: Iterable[str]) -> dict[str, int]:
    """The lots by the keys of their grants."""
    rows = connection.execute(_GRANT_IDS, {"tenant": tenant, "keys": list(keys)})
    return {row.key: row.id for row in rows}


def open_lots_of(connection: Connection, tenant: Tenant, provider: str, subscription_id: str) -> list[RowMapping]:
    """Lots of a subscription's plan credits that have something left, with their segments and plans."""
    query = _PLAN_LOTS.where(_OF_SUBSCRIPTION, grants.c.remaining > 0).order_by(plan_lots.c.grant_id)
    named = {"tenant": tenant, "provider": provider, "subscription": subscription_id}
    return list(connection.execute(query, named).mappings())


def accounts_of(connection: Connection, tenant: Tenant, provider: str, subscription_id: str) -> list[int]:
    """Whose periods a subscription paid for; one account's, as a rule."""
    query = select(plan_periods.c.account_id).where(_OF_SUBSCRIPTION).distinct()
    named = {"tenant": tenant, "provider": provider, "subscription": subscription_id}
    return list(connection.execute(query, named).scalars())


def lots_of(connection: Connection, grant_ids: Iterable[int]) -> list[RowMapping]:
    """These lots of plan credits, as `open_lots_of` has them."""
    query = _PLAN_LOTS.where(plan_lots.c.grant_id.in_(sorted(grant_ids))).order_by(plan_lots.c.grant_id)
    return list(connection.execute(query).mappings())


def amend_period(connection: Connection, period_id: int, period: Period, *, now_ms: int) -> None:
    """Keep what a period hands out by what is known now, and look at its drips."""
    connection.execute(
        update(plan_periods)
        .where(plan_periods.c.id == period_id)
        .values(parts=[part.as_json() for part in period.parts], due_at_ms=now_ms)
    )


def granted_at_once(connection: Connection, period_id: int) -> dict[str, tuple[int, int]]:
    """By credit type: (how many lots, how many credits) of a period came with its payment."""
    query = (
        select(plan_lots.c.credit_type, func.count(), func.sum(grants.c.amount))
        .join(grants, grants.c.id == plan_lots.c.grant_id)
        .join(plan_periods, plan_periods.c.id == plan_lots.c.period_id)
        .where(
            plan_lots.c.period_id == period_id,
            plan_lots.c.start_ms == plan_periods.c.since_ms,
            grants.c.source != GrantSource.ROLLOVER,
        )
        .group_by(plan_lots.c.credit_type)
    )
    return {credit_type: (lots, int(amount)) for credit_type, lots, amount in connection.execute(query)}


def insert_new_lots(
    connection: Connection, tenant: Tenant, period_id: int, granted: Sequence[tuple[str, Part, int, int | None]]
) -> None:
    """For each (grant key, part, start, end) of a period: remember the segment, and what is carried on of it."""
    ids = grant_ids(connection, tenant, [key for key, *_ in granted])
    insert_lots(
        connection,
        [
            {
                "grant_id": ids[key],
                "tenant": tenant,
                "period_id": period_id,
                "credit_type": part.credit_type,
                "start_ms": start_ms,
                "end_ms": end_ms,
                "rolls": int(part.rolls and end_ms is not None),
                "carries_left": part.carries,
                "cap": part.cap,
            }
            for key, part, start_ms, end_ms in granted
        ],
    )


def period_of(row: RowMapping) -> Period:
    """A period as it was stored."""
    paid = None if row["currency"] is None else Money(amount_minor=row["paid_minor"], currency=row["currency"])
    return Period(
        account=row["external_id"],
        provider=row["provider"],
        subscription_id=row["subscription_id"],
        key=row["key"],
        source_ref=row["source_ref"],
        plan=row["plan"],
        kind=PeriodKind(row["kind"]),
        anchor_ms=row["anchor_ms"],
        since_ms=row["since_ms"],
        cut_ms=row["cut_ms"],
        end_ms=row["end_ms"],
        usable_until_ms=None,
        parts=tuple(part_of(part) for part in row["parts"]),
        zone=row["zone"],
        quantity=row["quantity"],
        paid=paid,
        full_price_minor=row["full_price_minor"],
        actor="app" if row["provider"] == OWN else f"provider:{row['provider']}",
        event_id=row["event_id"],
    )


def row_of(connection: Connection, period_id: int) -> RowMapping:
    """A period by its id, with its account's external id."""
    query = (
        select(plan_periods, accounts.c.external_id)
        .join(accounts, accounts.c.id == plan_periods.c.account_id)
        .where(plan_periods.c.id == period_id)
    )
    return connection.execute(query).mappings().one()
