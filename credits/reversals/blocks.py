"""
Blocks: an account whose clawback found too little reserves nothing, where the policy is `block`.

A block counts while its debt lasts, so nothing has to lift it once that is repaid; an operator may lift it before.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, and_, select, update

from credits import audit_log
from credits.audit_log import Act
from credits.config.settings import Tenant
from credits.errors import EventActionError
from credits.ledger.orders import commands
from credits.ledger.store import find_account
from credits.ledger.tables import accounts, balances

_OWES: Final = and_(
    balances.c.account_id == accounts.c.id,
    balances.c.credit_type == accounts.c.blocked_for,
    balances.c.debt > 0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Why an account may reserve nothing."""

    account: str
    credit_type: str
    debt: int
    reason: str
    at_ms: int


def block(connection: Connection, account_id: int, credit_type: str, *, reason: str, now_ms: int) -> None:
    """Block an account until it owes nothing of this type, or an operator lifts it. Lock the account first."""
    connection.execute(
        update(accounts)
        .where(accounts.c.id == account_id)
        .values(blocked_for=credit_type, blocked_reason=reason[:500], blocked_at_ms=now_ms)
    )


def blocked(connection: Connection, tenant: Tenant) -> dict[int, Block]:
    """Every account of a tenant that is blocked, by its number."""
    rows = connection.execute(
        select(accounts, balances.c.debt)
        .join(balances, _OWES)
        .where(accounts.c.tenant == tenant, accounts.c.blocked_for.is_not(None))
    )
    return {
        row.id: Block(
            account=row.external_id,
            credit_type=row.blocked_for,
            debt=row.debt,
            reason=row.blocked_reason,
            at_ms=row.blocked_at_ms,
        )
        for row in rows
    }


def unblock(connection: Connection, tenant: Tenant, account: str, act: Act, *, now_ms: int) -> Block:
    """
    Let an account reserve again, though it owes; the debt stays. The audit log says who and why.

    Raises EventActionError if it is not blocked.
    """
    account_id = find_account(connection, tenant, account)
    found = None if account_id is None else blocked(connection, tenant).get(account_id)
    if account_id is None or found is None:
        raise EventActionError(f"account {account} is not blocked")
    _lift(connection, account_id)
    audit_log.record(
        connection,
        tenant,
        act,
        action="account.unblock",
        subject=f"account:{account}",
        detail={"credit_type": found.credit_type, "debt": found.debt, "blocked_for": found.reason},
        now_ms=now_ms,
    )
    return found


def forget_repaid(connection: Connection) -> int:
    """Forget blocks whose debt is repaid, so that a later debt of another kind is none of theirs; answers how many."""
    is_ordered = (
        select(commands.c.id)
        .where(commands.c.account_id == accounts.c.id, commands.c.state == "open", commands.c.kind == "clawback")
        .exists()
    )
    owes = select(balances.c.account_id).where(_OWES).correlate(accounts).exists()
    repaid = select(accounts.c.id).where(accounts.c.blocked_for.is_not(None), ~owes, ~is_ordered)
    found = list(connection.execute(repaid).scalars())
    for account_id in found:
        _lift(connection, account_id)
    return len(found)


def _lift(connection: Connection, account_id: int) -> None:
    connection.execute(
        update(accounts)
        .where(accounts.c.id == account_id)
        .values(blocked_for=None, blocked_reason=None, blocked_at_ms=None)
    )
