"""SQL of the hosted page: what lapses when, what was spent on each day, and the history. All of it reads the ledger."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, Select, func, or_, select

from credits.config.settings import Tenant
from credits.ledger.tables import accounts, entries, grants
from credits.plans.tables import subscriptions

DAY_MS: Final = 86_400_000

_LAPSES_SHOWN: Final = 12
_COUNTED: Final = 20_000
"""The newest entries of a type that a chart counts: what a page reads has a bound, however busy the account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The account as SQL knows it."""

    id: int
    time_zone: str


def find_owner(connection: Connection, tenant: Tenant, account: str) -> Owner | None:
    """The account's row; None if it never had credits."""
    row = connection.execute(
        select(accounts.c.id, accounts.c.time_zone).where(
            accounts.c.tenant == tenant, accounts.c.external_id == account
        )
    ).one_or_none()
    return None if row is None else Owner(id=row.id, time_zone=row.time_zone)


def lapses(connection: Connection, account_id: int, *, now_ms: int) -> list[RowMapping]:
    """(credit_type, expires_at_ms, amount) of what lapses next, the soonest first."""
    total = func.sum(grants.c.remaining).label("amount")
    return list(
        connection.execute(
            select(grants.c.credit_type, grants.c.expires_at_ms, total)
            .where(grants.c.account_id == account_id, grants.c.remaining > 0, grants.c.expires_at_ms > now_ms)
            .group_by(grants.c.credit_type, grants.c.expires_at_ms)
            .order_by(grants.c.expires_at_ms)
            .limit(_LAPSES_SHOWN)
        ).mappings()
    )


def spent_by_day(
    connection: Connection, account_id: int, credit_type: str, *, since_ms: int, offset_ms: int
) -> dict[int, int]:
    """Credits spent on each day since `since_ms`: by the number of the day, in a zone `offset_ms` ahead of UTC."""
    newest = (
        select(entries.c.at_ms, entries.c.amount, ((entries.c.at_ms + offset_ms) // DAY_MS).label("day"))
        .where(
            entries.c.account_id == account_id,
            entries.c.credit_type == credit_type,
            entries.c.amount < 0,
            entries.c.kind.in_(("spend", "deduct")),
        )
        .order_by(entries.c.seq.desc())
        .limit(_COUNTED)
        .subquery()
    )
    rows = connection.execute(
        select(newest.c.day, func.sum(-newest.c.amount).label("spent"))
        .where(newest.c.at_ms >= since_ms)
        .group_by(newest.c.day)
    )
    return {int(row.day): int(row.spent) for row in rows}


def history(
    connection: Connection,
    account_id: int,
    *,
    credit_type: str | None,
    text: str | None,
    before_id: int | None,
    limit: int,
    kinds: Collection[str] = (),
) -> list[RowMapping]:
    """Entries, newest first; `text` is looked for in reason, reservation and member, or the kind is one of `kinds`."""
    query: Select[Any] = select(entries).where(entries.c.account_id == account_id)
    if credit_type is not None:
        query = query.where(entries.c.credit_type == credit_type)
    if text:
        fields = (entries.c.reason, entries.c.reservation_id, entries.c.member)
        query = query.where(
            or_(entries.c.kind.in_(kinds), *(field.icontains(text, autoescape=True) for field in fields))
        )
    if before_id is not None:
        query = query.where(entries.c.id < before_id)
    return list(connection.execute(query.order_by(entries.c.id.desc()).limit(limit)).mappings())


def subscriptions_of(connection: Connection, account_id: int) -> Sequence[RowMapping]:
    """The account's subscriptions as last seen, the newest first."""
    return list(
        connection.execute(
            select(subscriptions)
            .where(subscriptions.c.account_id == account_id)
            .order_by(subscriptions.c.stamp_ms.desc())
            .limit(20)
        ).mappings()
    )
