"""Use cases of the ledger. They run in the caller's transaction, so that an event is done together with its credits."""

from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from credits.config.settings import Tenant
from credits.db import unread
from credits.errors import IdempotencyConflictError, InvalidInputError
from credits.errors.tree import shown
from credits.ledger import rules, store
from credits.ledger.model import OWN_KEY, Balance, EntryKind, GrantOrder, Lot, Posted, Take

MAX_ROWS: Final = 1001
"""The most that one listing reads: a page of a thousand, and the row that tells whether another page follows."""


def grant(connection: Connection, tenant: Tenant, order: GrantOrder, *, now_ms: int) -> Posted:
    """
    Put credits in: one entry, one lot, the next number for the gate. Debt is repaid first.

    Safe to repeat with the same key: the first answer comes again, and nothing moves.

    Raises:
        IdempotencyConflictError: the key was used before for other content.
        BalanceLimitError: the balance would pass 2^53 − 1.
    """
    account_id, last_sv = store.lock_account(connection, tenant, order.account, now_ms)
    balance, debt, seq = store.read_balance(connection, account_id, order.credit_type)
    repaid = min(debt, order.amount)
    after = balance + order.amount
    entry_id = store.insert_entry(
        connection,
        _entry_row(tenant, account_id, order, EntryKind.GRANT, order.amount, seq + 1, after, debt - repaid, now_ms),
    )
    if entry_id is None:
        return _replay(connection, tenant, order)
    kept = order.amount - repaid
    grant_id = store.insert_grant(connection, tenant, account_id, order, remaining=kept, now_ms=now_ms)
    with unread(connection):
        store.write_balance(
            connection, tenant, account_id, order.credit_type, balance=after, debt=debt - repaid, seq=seq + 1
        )
        store.link_lots(connection, tenant, entry_id, [Take(grant_id=grant_id, amount=kept)])
        store.number_credit(
            connection, tenant, account_id, order, grant_id=grant_id, sv=last_sv + 1, repaid=repaid, now_ms=now_ms
        )
    return _posted(order, seq + 1, order.amount, after)


def is_known(connection: Connection, tenant: Tenant, key: str) -> bool:
    """Whether an entry of that key was written."""
    return store.find_entry(connection, tenant, key) is not None


def balances(
    connection: Connection, tenant: Tenant, account: str, *, now_ms: int, at_ms: int | None = None
) -> dict[str, Balance]:
    """
    Balances per credit type, now or as they were at `at_ms`; empty for an account that never had credits.

    Run it in a snapshot, so that balances and lots are of one instant.
    """
    account_id = store.find_account(connection, tenant, account)
    if account_id is None:
        return {}
    if at_ms is None:
        sums = store.all_balances(connection, account_id)
        lots = store.open_lots(connection, account_id)
    else:
        sums = store.balances_at(connection, account_id, at_ms)
        lots = store.lots_at(connection, account_id, at_ms)
    by_type: dict[str, list[Lot]] = {}
    for credit_type, lot in lots:
        by_type.setdefault(credit_type, []).append(lot)
    moment_ms = now_ms if at_ms is None else at_ms
    return {
        credit_type: Balance(
            balance=balance,
            debt=debt,
            available=rules.available(by_type.get(credit_type, ()), debt, moment_ms),
        )
        for credit_type, balance, debt in sums
    }


def entries(
    connection: Connection,
    tenant: Tenant,
    account: str,
    *,
    credit_type: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[RowMapping]:
    """An account's entries, newest first; `before_id` continues a listing. Empty for an unknown account."""
    _check_limit(limit)
    account_id = store.find_account(connection, tenant, account)
    if account_id is None:
        return []
    return store.list_entries(connection, account_id, credit_type=credit_type, before_id=before_id, limit=limit)


def grants(
    connection: Connection,
    tenant: Tenant,
    account: str,
    *,
    credit_type: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[RowMapping]:
    """An account's grants, newest first; `before_id` continues a listing. Empty for an unknown account."""
    _check_limit(limit)
    account_id = store.find_account(connection, tenant, account)
    if account_id is None:
        return []
    return store.list_grants(connection, account_id, credit_type=credit_type, before_id=before_id, limit=limit)


def _check_limit(limit: int) -> None:
    if type(limit) is not int or not 1 <= limit <= MAX_ROWS:
        raise InvalidInputError("limit", f"must be a whole number from 1 to {MAX_ROWS}, got {shown(limit)}")


def _entry_row(
    tenant: Tenant,
    account_id: int,
    order: GrantOrder,
    kind: EntryKind,
    amount: int,
    seq: int,
    balance_after: int,
    debt_after: int,
    now_ms: int,
) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "account_id": account_id,
        "credit_type": order.credit_type,
        "seq": seq,
        "kind": kind,
        "amount": amount,
        "balance_after": balance_after,
        "debt_after": debt_after,
        "key": order.key,
        "fingerprint": order.fingerprint,
        "actor": order.actor,
        "reason": order.reason,
        "event_id": order.event_id,
        "meta": order.meta,
        "at_ms": now_ms,
    }


def _replay(connection: Connection, tenant: Tenant, order: GrantOrder) -> Posted:
    """The first answer to `order.key`, or the conflict."""
    first = store.read_entry(connection, tenant, order.key)
    if first["fingerprint"] != order.fingerprint:
        before = f"{first['kind']} of {abs(first['amount'])} {first['credit_type']} for {first['external_id']}"
        now = f"grant of {order.amount} {order.credit_type} for {order.account}"
        # The key as whoever asked for it knows it.
        raise IdempotencyConflictError(
            order.key.removeprefix(OWN_KEY), before, f"{now} with another expiry" if now == before else now
        )
    return Posted(
        account=first["external_id"],
        credit_type=first["credit_type"],
        key=order.key,
        seq=first["seq"],
        amount=first["amount"],
        balance_after=first["balance_after"],
        replayed=True,
    )


def _posted(order: GrantOrder, seq: int, amount: int, balance_after: int) -> Posted:
    return Posted(
        account=order.account,
        credit_type=order.credit_type,
        key=order.key,
        seq=seq,
        amount=amount,
        balance_after=balance_after,
        replayed=False,
    )
