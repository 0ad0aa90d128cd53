"""
Moves of credits that are in the ledger's own hands: frozen ones, which the gate does not have, and those given back.

All run in the caller's transaction, with the account's row locked.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from credits.config.settings import Tenant
from credits.errors import IdempotencyConflictError
from credits.ledger import store
from credits.ledger.model import DebitKind, EntryKind, Take
from credits.ledger.tables import accounts, grants, outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Credits of one lot, and what is written about them."""

    tenant: Tenant
    account_id: int
    grant_id: int
    credit_type: str
    amount: int
    key: str
    """Unique for ever, as every entry's."""
    fingerprint: str
    actor: str
    reason: str
    event_id: int | None = None


def give_back(connection: Connection, move: Move, *, now_ms: int) -> None:
    """
    Undo a clawback: an entry, a debt repaid first, and the rest in its lot again; it lapses when that does.

    Raises BalanceLimitError if the balance would pass its bound.
    """
    balance, debt, seq = store.read_balance(connection, move.account_id, move.credit_type)
    repaid = min(debt, move.amount)
    kept = move.amount - repaid
    _post(connection, move, EntryKind.RESTORE, move.amount, kept, balance, debt - repaid, seq, now_ms)
    connection.execute(update(grants).where(grants.c.id == move.grant_id).values(remaining=grants.c.remaining + kept))
    _tell_gate(connection, move, kept, repaid, now_ms)


def unfreeze(connection: Connection, move: Move, *, now_ms: int) -> None:
    """Set frozen credits free. No entry: they were in the balance all the time."""
    connection.execute(update(grants).where(grants.c.id == move.grant_id).values(frozen=grants.c.frozen - move.amount))
    _tell_gate(connection, move, move.amount, 0, now_ms)


def claw_frozen(connection: Connection, move: Move, *, now_ms: int) -> None:
    """Take frozen credits back for good. The gate has nothing to say about it: it does not have them."""
    balance, debt, seq = store.read_balance(connection, move.account_id, move.credit_type)
    _post(connection, move, DebitKind.CLAWBACK, -move.amount, -move.amount, balance, debt, seq, now_ms)
    connection.execute(
        update(grants)
        .where(grants.c.id == move.grant_id)
        .values(remaining=grants.c.remaining - move.amount, frozen=grants.c.frozen - move.amount)
    )


def _post(
    connection: Connection,
    move: Move,
    kind: EntryKind | DebitKind,
    amount: int,
    in_lot: int,
    balance: int,
    debt_after: int,
    seq: int,
    now_ms: int,
) -> None:
    entry_id = store.insert_entry(
        connection,
        {
            "tenant": move.tenant,
            "account_id": move.account_id,
            "credit_type": move.credit_type,
            "seq": seq + 1,
            "kind": kind,
            "amount": amount,
            "balance_after": balance + amount,
            "debt_after": debt_after,
            "key": move.key,
            "fingerprint": move.fingerprint,
            "actor": move.actor,
            "reason": move.reason,
            "event_id": move.event_id,
            "meta": {},
            "at_ms": now_ms,
        },
    )
    if entry_id is None:
        # Each step has a key of its own. With this one taken, nothing of the step may stand.
        raise IdempotencyConflictError(move.key, first="another entry", now=f"{kind} of {move.credit_type}")
    store.write_balance(
        connection,
        move.tenant,
        move.account_id,
        move.credit_type,
        balance=balance + amount,
        debt=debt_after,
        seq=seq + 1,
    )
    if in_lot:
        store.link_lots(connection, move.tenant, entry_id, [Take(grant_id=move.grant_id, amount=in_lot)])


def _tell_gate(connection: Connection, move: Move, amount: int, repaid: int, now_ms: int) -> None:
    """Give the credit the account's next number, and leave a row for the gate to apply it by."""
    of_account = accounts.c.id == move.account_id
    sv = connection.execute(select(accounts.c.sv).where(of_account)).scalar_one() + 1
    connection.execute(update(accounts).where(of_account).values(sv=sv))
    connection.execute(
        insert(outbox),
        {
            "account_id": move.account_id,
            "sv": sv,
            "tenant": move.tenant,
            "grant_id": move.grant_id,
            "credit_type": move.credit_type,
            "amount": amount,
            "debt_repaid": repaid,
            "created_at_ms": now_ms,
        },
    )
