"""SQL of what changes of plan are decided by, as they were told, and what they lead to. In the caller's transaction."""

from typing import Any, Final

from sqlalchemy import Connection, RowMapping, bindparam, delete, select, update

from credits.config.policies import OnChange
from credits.config.settings import Tenant
from credits.db import insert_new
from credits.ledger.tables import accounts
from credits.plans.changes import Side, Split
from credits.plans.model import Change, Period, PeriodKind, part_of
from credits.plans.tables import plan_changes, plan_splits
from credits.units import Money

_PLAIN: Final = ("key", "source_ref", "plan", "anchor_ms", "since_ms", "cut_ms", "end_ms", "usable_until_ms")
_MORE: Final = ("zone", "quantity", "full_price_minor", "actor", "event_id")

_CHANGES: Final = select(plan_changes).where(
    plan_changes.c.tenant == bindparam("tenant"),
    plan_changes.c.provider == bindparam("provider"),
    plan_changes.c.subscription_id == bindparam("subscription"),
)


def insert_split(
    connection: Connection,
    tenant: Tenant,
    account_id: int,
    provider: str,
    subscription_id: str,
    split: Split,
    *,
    now_ms: int,
) -> bool:
    """Keep a change for ever as it was told first; True if this call wrote it."""
    row = {
        "tenant": tenant,
        "account_id": account_id,
        "provider": provider,
        "subscription_id": subscription_id,
        "key": split.key,
        "since_ms": split.since_ms,
        "end_ms": split.end_ms,
        "body": {
            "policy": split.policy.value,
            "is_up": split.is_up,
            "begins_another": split.begins_another,
            "given": [_side_as_json(side) for side in split.given],
            "charged": [_side_as_json(side) for side in split.charged],
        },
        "created_at_ms": now_ms,
    }
    return insert_new(connection, plan_splits, row, unique=("tenant", "key"), returning=("id",)) is not None


def splits_of(connection: Connection, tenant: Tenant, provider: str, subscription_id: str) -> tuple[Split, ...]:
    """All changes of a subscription that were told."""
    query = (
        select(plan_splits, accounts.c.external_id)
        .join(accounts, accounts.c.id == plan_splits.c.account_id)
        .where(
            plan_splits.c.tenant == tenant,
            plan_splits.c.provider == provider,
            plan_splits.c.subscription_id == subscription_id,
        )
    )
    return tuple(
        Split(
            key=row["key"],
            since_ms=row["since_ms"],
            end_ms=row["end_ms"],
            policy=OnChange(row["body"]["policy"]),
            is_up=row["body"]["is_up"],
            given=tuple(_side_of(side, row) for side in row["body"]["given"]),
            charged=tuple(_side_of(side, row) for side in row["body"]["charged"]),
            begins_another=row["body"]["begins_another"],
        )
        for row in connection.execute(query).mappings()
    )


def put_change(connection: Connection, tenant: Tenant, change: Change, *, now_ms: int) -> None:
    """Keep what a change says of the plan that it leaves, in place of what was known of it before."""
    values = {
        "plan": change.plan,
        "source_ref": change.source_ref,
        "since_ms": change.since_ms,
        "cut_ms": change.cut_ms,
        "takes_rest": int(change.takes_rest),
    }
    owner = {"tenant": tenant, "provider": change.provider, "subscription_id": change.subscription_id}
    row = {**owner, "key": change.key, **values, "created_at_ms": now_ms}
    if insert_new(connection, plan_changes, row, unique=("tenant", "key"), returning=("id",)) is None:
        of_change = (plan_changes.c.tenant == tenant) & (plan_changes.c.key == change.key)
        connection.execute(update(plan_changes).where(of_change).values(**values))


def delete_change(connection: Connection, tenant: Tenant, key: str) -> bool:
    """Of a change that was kept it cannot be said any more what it leaves; True if it was."""
    of_change = (plan_changes.c.tenant == tenant) & (plan_changes.c.key == key)
    return connection.execute(delete(plan_changes).where(of_change)).rowcount > 0


def changes_of(connection: Connection, tenant: Tenant, provider: str, subscription_id: str) -> list[RowMapping]:
    """The changes by which a subscription left its plans."""
    named = {"tenant": tenant, "provider": provider, "subscription": subscription_id}
    return list(connection.execute(_CHANGES, named).mappings())


def _side_as_json(side: Side) -> dict[str, Any]:
    period = side.period
    return {
        "key": side.key,
        "plan": side.plan,
        "per_seat": sorted(side.per_seat),
        "period": {
            **{name: getattr(period, name) for name in (*_PLAIN, *_MORE)},
            "paid": None if period.paid is None else [period.paid.amount_minor, period.paid.currency],
            "parts": [part.as_json() for part in period.parts],
            "also_known_as": list(period.also_known_as),
        },
    }


def _side_of(stored: dict[str, Any], row: RowMapping) -> Side:
    said = dict(stored["period"])
    paid = said.pop("paid")
    period = Period(
        account=row["external_id"],
        provider=row["provider"],
        subscription_id=row["subscription_id"],
        kind=PeriodKind.CHANGE,
        paid=None if paid is None else Money(amount_minor=paid[0], currency=paid[1]),
        parts=tuple(part_of(part) for part in said.pop("parts")),
        also_known_as=tuple(said.pop("also_known_as")),
        **said,
    )
    return Side(key=stored["key"], plan=stored["plan"], period=period, per_seat=frozenset(stored["per_seat"]))
