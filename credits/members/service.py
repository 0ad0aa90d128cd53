"""Changes of members' limits and of an account's time zone: each numbered, with a row for the gate and a log line."""

from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection

from credits import audit_log
from credits.audit_log import Act
from credits.clock import iso
from credits.config.settings import Tenant
from credits.errors import InvalidInputError
from credits.errors.tree import shown
from credits.ids import checked_id
from credits.ledger import store as ledger_store
from credits.ledger.locks import lock_accounts
from credits.members import store
from credits.members.model import MemberLimit, Per
from credits.members.rules import checked_zone
from credits.units import MAX_AMOUNT

MAX_RAISE_DAYS: Final = 366
"""For longer, set another limit."""

MAX_LIMITS: Final = 100
"""Limits of one member."""

_DAY_MS: Final = 86_400_000


def checked_limit(value: object, field: str = "amount") -> int:
    """`value` if it is a limit: a whole number from 0 (may spend nothing) to 2^53 − 1. Raises InvalidInputError."""
    if type(value) is not int or not 0 <= value <= MAX_AMOUNT:
        raise InvalidInputError(field, f"must be a whole number from 0 to {MAX_AMOUNT}, got {shown(value)}")
    return value


def checked_per(value: object) -> Per:
    """`value` as a window. Raises InvalidInputError that lists them."""
    if not isinstance(value, str) or value not in set(Per):
        raise InvalidInputError("per", f"must be one of {', '.join(Per)}, got {shown(value)}")
    return Per(value)


def set_limit(
    connection: Connection, tenant: Tenant, account: str, limit: MemberLimit, act: Act, *, now_ms: int
) -> None:
    """
    Set what a member may spend of a type per window, in the place of such a limit that was there, raised or not.

    An account that is new to us is made: limits may come before credits. Idempotent but for its line in the log.
    """
    account_id, _ = ledger_store.lock_account(connection, tenant, account, now_ms)
    known = store.limits_of(connection, account_id, [limit.member]).get(limit.member, [])
    if len(known) >= MAX_LIMITS and _same(known, limit.credit_type, limit.per) is None:
        raise InvalidInputError("member", f"must have at most {MAX_LIMITS} limits, has {len(known)}")
    store.write_limit(connection, tenant, account_id, limit, now_ms=now_ms)
    detail = {"credit_type": limit.credit_type, "per": limit.per.value, "amount": limit.amount}
    _changed(connection, tenant, account_id, limit.member, now_ms)
    _log(connection, tenant, account, act, "member.limit", {"member": limit.member, **detail}, now_ms)


def raise_limit(
    connection: Connection,
    tenant: Tenant,
    account: str,
    asked: MemberLimit,
    act: Act,
    *,
    until_ms: int,
    now_ms: int,
) -> MemberLimit:
    """
    Raise a limit to the amount of `asked` until an instant, in the place of a raise that was there; answers it.

    Raises InvalidInputError if there is no such limit, if it is above that amount already, or if the instant has
    passed or is more than a year away.
    """
    if not now_ms < until_ms <= now_ms + MAX_RAISE_DAYS * _DAY_MS:
        raise InvalidInputError("until", f"must be within the next {MAX_RAISE_DAYS} days, got {iso(until_ms)}")
    if not act.reason.strip():
        raise InvalidInputError("reason", "must say why the limit is raised")
    member, credit_type, per, amount = asked.member, asked.credit_type, asked.per, asked.amount
    account_id, known = _locked_limits(connection, tenant, account, member, now_ms)
    limit = _same(known, credit_type, per)
    if limit is None:
        raise InvalidInputError("member", f"{member!r} has no limit of {credit_type} per {per.value} to be raised")
    if amount <= limit.amount:
        raise InvalidInputError("amount", f"must be above the limit of {limit.amount}, got {amount}")
    raised = replace(limit, raised_to=amount, raised_until_ms=until_ms)
    store.write_limit(connection, tenant, account_id, raised, now_ms=now_ms)
    _changed(connection, tenant, account_id, member, now_ms)
    detail = {"member": member, "credit_type": credit_type, "per": per.value, "amount": limit.amount}
    _log(
        connection,
        tenant,
        account,
        act,
        "member.raise",
        {**detail, "raised_to": amount, "until": iso(until_ms)},
        now_ms,
    )
    return raised


def remove_limits(
    connection: Connection,
    tenant: Tenant,
    account: str,
    member: str,
    act: Act,
    *,
    credit_type: str | None = None,
    per: Per | None = None,
    now_ms: int,
) -> int:
    """Remove a member's limits, of one type and window or all; answers how many there were. 0 changes nothing."""
    account_id = ledger_store.find_account(connection, tenant, account)
    if account_id is None:
        return 0
    lock_accounts(connection, [account_id])
    removed = store.remove_limits(connection, account_id, member, credit_type, per)
    if removed:
        _changed(connection, tenant, account_id, member, now_ms)
        detail = {"member": member, "credit_type": credit_type, "per": per and per.value, "removed": removed}
        _log(connection, tenant, account, act, "member.remove", detail, now_ms)
    return removed


def set_time_zone(connection: Connection, tenant: Tenant, account: str, zone: str, act: Act, *, now_ms: int) -> bool:
    """Set whose midnight begins the days and months of an account's limits; False if it was that one already."""
    name = checked_zone(zone)
    account_id, _ = ledger_store.lock_account(connection, tenant, checked_id(account, "account"), now_ms)
    before = store.zone_of(connection, account_id)
    if before == name:
        return False
    store.write_zone(connection, account_id, name)
    _changed(connection, tenant, account_id, None, now_ms)
    _log(connection, tenant, account, act, "account.time_zone", {"before": before, "time_zone": name}, now_ms)
    return True


def _locked_limits(
    connection: Connection, tenant: Tenant, account: str, member: str, now_ms: int
) -> tuple[int, list[MemberLimit]]:
    account_id, _ = ledger_store.lock_account(connection, tenant, account, now_ms)
    return account_id, store.limits_of(connection, account_id, [member]).get(member, [])


def _same(known: list[MemberLimit], credit_type: str, per: Per) -> MemberLimit | None:
    return next((one for one in known if (one.credit_type, one.per) == (credit_type, per)), None)


def _changed(connection: Connection, tenant: Tenant, account_id: int, member: str | None, now_ms: int) -> None:
    version = store.next_version(connection, account_id)
    store.leave_change(connection, tenant, account_id, member, mv=version, now_ms=now_ms)


def _log(
    connection: Connection, tenant: Tenant, account: str, act: Act, action: str, detail: dict[str, Any], now_ms: int
) -> None:
    audit_log.record(connection, tenant, act, action=action, subject=f"account:{account}", detail=detail, now_ms=now_ms)
