"""SQL of members. Every function runs in the caller's transaction; none commits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Insert, RowMapping, bindparam, case, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from credits.config.settings import Tenant
from credits.ledger.tables import accounts, entries
from credits.members.model import MemberLimit, MemberSnapshot, Per, Used
from credits.members.rules import day_starts, month_starts
from credits.members.tables import member_changes, member_limits, member_usage
from credits.units import MAX_AMOUNT

DAYS_AHEAD: Final = 3
MONTHS_AHEAD: Final = 2
"""How far the gate knows the calendar of a member that it has loaded, before it has to ask again."""

# What every first touch of a member runs is built once, with parameters.
_ACCOUNT: Final = select(accounts.c.time_zone, accounts.c.mv).where(accounts.c.id == bindparam("account"))
_LIMITS: Final = select(member_limits).where(
    member_limits.c.account_id == bindparam("account"), member_limits.c.member == bindparam("member")
)
_OF_MEMBER: Final = (entries.c.account_id == bindparam("account")) & (entries.c.member == bindparam("member"))
_LAST_SPENT: Final = select(func.max(entries.c.spent_at_ms)).where(_OF_MEMBER)
_SINCE: Final = (
    select(
        entries.c.credit_type,
        func.sum(-entries.c.amount).label("of_month"),
        func.sum(case((entries.c.spent_at_ms >= bindparam("day"), -entries.c.amount), else_=0)).label("of_day"),
    )
    .where(_OF_MEMBER, entries.c.spent_at_ms >= bindparam("month"))
    .group_by(entries.c.credit_type)
)
_USED: Final = select(member_usage.c.credit_type, member_usage.c.used).where(
    member_usage.c.account_id == bindparam("account"), member_usage.c.member == bindparam("member")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change that the gate has yet to hear of."""

    mv: int
    member: str | None
    """None: the account's time zone."""


def read_member(connection: Connection, account_id: int, member: str, at_ms: int) -> MemberSnapshot | None:
    """
    A member as the gate loads it at `at_ms`; run it in a snapshot. None if there is no such account.

    If the ledger has seen a later instant (of a Redis whose clock was ahead), the windows are that one's: time does not
    go back, or what was spent in them would be forgotten.
    """
    whose = {"account": account_id, "member": member}
    account = connection.execute(_ACCOUNT, whose).one_or_none()
    if account is None:
        return None
    last_ms = connection.execute(_LAST_SPENT, whose).scalar_one()
    now_ms = max(at_ms, last_ms or 0)
    days = day_starts(account.time_zone, now_ms, ahead=DAYS_AHEAD)
    months = month_starts(account.time_zone, now_ms, ahead=MONTHS_AHEAD)
    since = {
        row.credit_type: (int(row.of_day), int(row.of_month))
        for row in connection.execute(_SINCE, {**whose, "day": days[0], "month": months[0]})
    }
    return MemberSnapshot(
        version=account.mv,
        days=days,
        months=months,
        limits=tuple(_limit(row) for row in connection.execute(_LIMITS, whose).mappings()),
        used={
            row.credit_type: Used(
                day=_bounded(since.get(row.credit_type, (0, 0))[0]),
                month=_bounded(since.get(row.credit_type, (0, 0))[1]),
                ever=_bounded(row.used),
            )
            for row in connection.execute(_USED, whose)
        },
    )


def next_version(connection: Connection, account_id: int) -> int:
    """Number a change of the account's limits or zone. Lock the account first."""
    connection.execute(update(accounts).where(accounts.c.id == account_id).values(mv=accounts.c.mv + 1))
    version: int = connection.execute(select(accounts.c.mv).where(accounts.c.id == account_id)).scalar_one()
    return version


def leave_change(
    connection: Connection, tenant: Tenant, account_id: int, member: str | None, *, mv: int, now_ms: int
) -> None:
    """Leave a row for the gate to hear of a change by."""
    connection.execute(
        insert(member_changes),
        {"account_id": account_id, "mv": mv, "tenant": tenant, "member": member, "created_at_ms": now_ms},
    )


def pending_changes(connection: Connection, account_id: int, *, limit: int = 1000) -> list[Change]:
    """Changes that the gate has yet to hear of, in the order of their numbers."""
    rows = connection.execute(
        select(member_changes.c.mv, member_changes.c.member)
        .where(member_changes.c.account_id == account_id)
        .order_by(member_changes.c.mv)
        .limit(limit)
    )
    return [Change(mv=row.mv, member=row.member) for row in rows]


def accounts_with_changes(connection: Connection, *, limit: int) -> list[int]:
    """Accounts with changes that the gate has yet to hear of."""
    return list(connection.execute(select(member_changes.c.account_id).distinct().limit(limit)).scalars())


def forget_changes(connection: Connection, account_id: int, numbers: Sequence[int]) -> None:
    """The gate has heard of these changes, or will see them when it loads what they are about."""
    connection.execute(
        delete(member_changes).where(member_changes.c.account_id == account_id, member_changes.c.mv.in_(numbers))
    )


def write_limit(connection: Connection, tenant: Tenant, account_id: int, limit: MemberLimit, *, now_ms: int) -> None:
    """Set a limit, in the place of the one of the same member, type and window."""
    _forget_limit(connection, account_id, limit.member, limit.credit_type, limit.per)
    connection.execute(
        insert(member_limits),
        {
            "account_id": account_id,
            "member": limit.member,
            "credit_type": limit.credit_type,
            "per": limit.per,
            "tenant": tenant,
            "amount": limit.amount,
            "raised_to": limit.raised_to,
            "raised_until_ms": limit.raised_until_ms,
            "changed_at_ms": now_ms,
        },
    )


def remove_limits(
    connection: Connection, account_id: int, member: str, credit_type: str | None, per: Per | None
) -> int:
    """Remove a member's limits, of one type and window or of all; answers how many there were."""
    return _forget_limit(connection, account_id, member, credit_type, per)


def limits_of(connection: Connection, account_id: int, members: Sequence[str]) -> dict[str, list[MemberLimit]]:
    """The limits of these members, by member."""
    rows = connection.execute(
        select(member_limits)
        .where(member_limits.c.account_id == account_id, member_limits.c.member.in_(members))
        .order_by(member_limits.c.credit_type, member_limits.c.per)
    ).mappings()
    found: dict[str, list[MemberLimit]] = {}
    for row in rows:
        found.setdefault(row["member"], []).append(_limit(row))
    return found


def members_of(connection: Connection, account_id: int, *, after: str = "", limit: int = 100) -> list[str]:
    """Members that have a limit or have spent, by name."""
    limited = select(member_limits.c.member).where(member_limits.c.account_id == account_id)
    known = limited.union(select(member_usage.c.member).where(member_usage.c.account_id == account_id)).subquery()
    query = select(known.c.member).where(known.c.member > after).order_by(known.c.member).limit(limit)
    return list(connection.execute(query).scalars())


def zone_of(connection: Connection, account_id: int) -> str:
    """The account's time zone."""
    zone: str = connection.execute(select(accounts.c.time_zone).where(accounts.c.id == account_id)).scalar_one()
    return zone


def write_zone(connection: Connection, account_id: int, zone: str) -> None:
    """Set the account's time zone."""
    connection.execute(update(accounts).where(accounts.c.id == account_id).values(time_zone=zone))


def add_usage(connection: Connection, used: Iterable[dict[str, Any]]) -> None:
    """Add what members spent (account_id, member, credit_type, tenant, used) to what they have used for ever."""
    rows = list(used)
    if rows:
        connection.execute(_add_usage(connection.dialect.name), rows)


@cache
def _add_usage(dialect: str) -> Insert:
    words: Any = postgresql if dialect == "postgresql" else sqlite
    statement = words.insert(member_usage)
    added: Insert = statement.on_conflict_do_update(
        index_elements=["account_id", "member", "credit_type"],
        set_={"used": member_usage.c.used + statement.excluded.used},
    )
    return added


def _forget_limit(
    connection: Connection, account_id: int, member: str, credit_type: str | None, per: Per | None
) -> int:
    query = delete(member_limits).where(member_limits.c.account_id == account_id, member_limits.c.member == member)
    if credit_type is not None:
        query = query.where(member_limits.c.credit_type == credit_type)
    if per is not None:
        query = query.where(member_limits.c.per == per)
    return connection.execute(query).rowcount


def _limit(row: RowMapping) -> MemberLimit:
    return MemberLimit(
        member=row["member"],
        credit_type=row["credit_type"],
        per=Per(row["per"]),
        amount=row["amount"],
        raised_to=row["raised_to"],
        raised_until_ms=row["raised_until_ms"],
    )


def _bounded(total: int) -> int:
    # The gate counts up to here; no limit is above it.
    return min(int(total), MAX_AMOUNT)
