"""
What a booking locks, reads and writes: however many debits it books, PostgreSQL is asked three times.

SQLite, at no distance, is asked for one thing after the other where that is as quick.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from credits.config.settings import Tenant
from credits.db_ready import Ready
from credits.db_rows import each_set, packed, packed_ids, packed_row, set_rows
from credits.reservations.booking_statements import statements_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """What nobody changes until the transaction ends."""

    epochs: Mapping[int, int]
    """Of those of the shards that somebody has used."""
    tenants: Mapping[int, Tenant]
    """Of those of the accounts that exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What a batch asks for."""

    account_ids: Iterable[int]
    grant_ids: Iterable[int]
    ops: Iterable[tuple[Tenant, int, str]]
    """(tenant, account, op): of these, the entry of any type that the account has."""
    keys: Iterable[tuple[Tenant, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """The part of the ledger that a batch rests on."""

    balances: dict[tuple[int, str], list[int]]
    """[balance, debt, number of the last entry] by account and type."""
    grants: dict[int, tuple[int, int, int, str]]
    """(remaining, frozen, account, type) by grant."""
    known: dict[tuple[Tenant, str], tuple[str, str]]
    """(journal id, fingerprint) by tenant and key, of what was sought and is booked."""


def lock(
    connection: Connection, shard_ids: Iterable[int], account_ids: Iterable[int], *, wait_ms: int | None = None
) -> Locked:
    """
    Hold the epochs of these shards still, and lock these accounts as every writer does: each in the order of its ids.

    Whoever stops in the middle of it stops everybody else's settlement of these shards, so PostgreSQL ends it
    after 1.5 s. `wait_ms` is how long this transaction waits for a row that is locked, if not as long as any other.
    """
    lock_wait = None if wait_ms is None else f"{wait_ms}ms"
    sought = {"wanted": packed_ids(shard_ids), "ids": packed_ids(account_ids), "lock_wait": lock_wait}
    epochs, tenants = dict[int, int](), dict[int, Tenant]()
    for one, epoch, text in statements_for(connection.dialect).lock.rows(connection, sought):
        if epoch is None:
            tenants[one] = Tenant(text)
        else:
            epochs[one] = epoch
    return Locked(epochs=epochs, tenants=tenants)


def read_pages(connection: Connection, sought: Sought) -> Pages:
    """Every balance of the accounts, what is left of the grants, and what of the rest is booked."""
    rows = statements_for(connection.dialect).pages.rows(
        connection,
        {
            "ids": packed_ids(sought.account_ids),
            "lots": packed_ids(sought.grant_ids),
            "ops": packed({"tenant": tenant, "id": one, "op": op} for tenant, one, op in sought.ops),
            "keys": packed({"tenant": tenant, "key": key} for tenant, key in sought.keys),
        },
    )
    pages = Pages(balances={}, grants={}, known={})
    for one, name, first, second, third, text, journal_id, fingerprint in rows:
        if one is None:
            pages.known[Tenant(text), name] = (journal_id or "", fingerprint)
        elif name is None:
            pages.grants[one] = (first, second, third, text)
        else:
            pages.balances[one, name] = [first, second, third]
    return pages


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a booking changes in the ledger."""

    entries: Sequence[Mapping[str, Any]]
    lots: Sequence[Sequence[tuple[int, int]]]
    """Per entry, what it took of which grant."""
    remaining: Mapping[int, int]
    """By grant, of those that anything was taken from: what is left, with what is frozen."""
    frozen: Mapping[int, int]
    """By grant, of those that were frozen."""
    balances: Mapping[tuple[int, str], Sequence[int]]
    """[balance, debt, number of the last entry] by account and type, of those that have a new entry."""


def write(connection: Connection, written: Written) -> None:
    """Write entries, what they took from lots, and what is left. The balances' rows must be there."""
    statements = statements_for(connection.dialect)
    moves = [
        {"key": entry["key"], "grant_id": grant_id, "tenant": entry["tenant"], "amount": -part}
        for entry, lots in zip(written.entries, written.lots, strict=True)
        for grant_id, part in lots
    ]
    left = [{"id": grant_id, "left": left} for grant_id, left in sorted(written.remaining.items())]
    aside = [{"id": grant_id, "aside": aside} for grant_id, aside in sorted(written.frozen.items())]
    sums = [
        {"account_id": account_id, "credit_type": name, "sum": balance, "owed": debt, "last": seq}
        for (account_id, name), (balance, debt, seq) in sorted(written.balances.items())
    ]
    # By itself: one statement must not change a row twice.
    set_rows(connection, statements.set_frozen, aside)
    if not written.entries:
        return
    if isinstance(statements.write, Ready):
        sent = {"rows": written.entries, "moves": moves, "remains": left, "sums": sums}
        statements.write.run(connection, {name: packed(rows) for name, rows in sent.items()})
        return
    added = ({**entry, "meta": packed_row(entry["meta"])} for entry in written.entries)
    statements.write.add_entry.run_each(connection, each_set(added))
    statements.write.add_move.run_each(connection, each_set(moves))
    statements.write.set_remaining.run_each(connection, each_set(left))
    statements.write.set_balance.run_each(connection, each_set(sums))
