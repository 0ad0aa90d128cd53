"""
What a booking locks, reads and writes: however many debits it books, PostgreSQL is asked three times.

SQLite, at no distance, is asked for one thing after the other where that is as quick.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Connection,
    Dialect,
    FromClause,
    Text,
    cast,
    func,
    insert,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.sql.dml import Insert, Update
from sqlalchemy.types import TypeEngine

from credits.config.settings import Tenant
from credits.db_ready import Ready, made_ready
from credits.db_rows import each_set, packed, rows_of, set_rows, setting
from credits.ledger.tables import accounts, balances, entries, entry_lots, grants
from credits.reservations.tables import shards

_WHOLE: Final = BigInteger()
_TEXT: Final = Text()
_ENTRY: Final[dict[str, TypeEngine[Any]]] = {
    "tenant": _TEXT,
    "account_id": _WHOLE,
    "credit_type": _TEXT,
    "seq": _WHOLE,
    "kind": _TEXT,
    "amount": _WHOLE,
    "balance_after": _WHOLE,
    "debt_after": _WHOLE,
    "key": _TEXT,
    "fingerprint": _TEXT,
    "reservation_id": _TEXT,
    "member": _TEXT,
    "spent_at_ms": _WHOLE,
    "actor": _TEXT,
    "reason": _TEXT,
    "journal_id": _TEXT,
    "meta": JSON(),
    "at_ms": _WHOLE,
}


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
    grants: dict[int, tuple[int, int]]
    """(remaining, frozen) by grant."""
    known: dict[tuple[Tenant, str], tuple[str, str]]
    """(journal id, fingerprint) by tenant and key, of what was sought and is booked."""


@dataclass(frozen=True, slots=True)
class _Statements:
    lock: Ready
    pages: Ready
    add_entries: Ready
    add_moves: Ready
    set_remaining: Ready
    set_frozen: Update
    set_balances: Ready
    write: Ready | None
    """All of them but `set_frozen`, for a database that takes them in one."""


_MADE: Final[dict[str, _Statements]] = {}
"""By dialect, made when first needed: a statement takes longer to put together than to run."""


def lock(connection: Connection, shard_ids: Iterable[int], account_ids: Iterable[int]) -> Locked:
    """
    Hold the epochs of these shards still, and lock these accounts as every writer does: each in the order of its ids.

    Whoever stops in the middle of it stops everybody else's settlement of these shards, so PostgreSQL ends it
    after 1.5 s.
    """
    sought = {"wanted": packed({"id": one} for one in shard_ids), "ids": packed({"id": one} for one in account_ids)}
    epochs, tenants = dict[int, int](), dict[int, Tenant]()
    for one, epoch, text in _statements(connection).lock.rows(connection, sought):
        if epoch is None:
            tenants[one] = Tenant(text)
        else:
            epochs[one] = epoch
    return Locked(epochs=epochs, tenants=tenants)


def read_pages(connection: Connection, sought: Sought) -> Pages:
    """Every balance of the accounts, what is left of the grants, and what of the rest is booked."""
    rows = _statements(connection).pages.rows(
        connection,
        {
            "ids": packed({"id": one} for one in sought.account_ids),
            "lots": packed({"id": one} for one in sought.grant_ids),
            "ops": packed({"tenant": tenant, "id": one, "op": op} for tenant, one, op in sought.ops),
            "keys": packed({"tenant": tenant, "key": key} for tenant, key in sought.keys),
        },
    )
    pages = Pages(balances={}, grants={}, known={})
    for one, name, first, second, third, tenant, journal_id, fingerprint in rows:
        if one is None:
            pages.known[Tenant(tenant), name] = (journal_id or "", fingerprint)
        elif name is None:
            pages.grants[one] = (first, second)
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
    statements = _statements(connection)
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
    if statements.write is not None:
        sent = {"rows": written.entries, "moves": moves, "remains": left, "sums": sums}
        statements.write.run(connection, {name: packed(rows) for name, rows in sent.items()})
        return
    statements.add_entries.run(connection, {"rows": packed(written.entries)})
    if moves:
        statements.add_moves.run(connection, {"moves": packed(moves)})
    statements.set_remaining.run_each(connection, each_set(left))
    statements.set_balances.run_each(connection, each_set(sums))


def _statements(connection: Connection) -> _Statements:
    dialect = connection.dialect
    found = _MADE.get(dialect.name)
    if found is None:
        found = _MADE[dialect.name] = _made(dialect)
    return found


def _made(dialect: Dialect) -> _Statements:
    name = dialect.name
    added = rows_of(name, "rows", _ENTRY)
    moves = rows_of(name, "moves", {"key": _TEXT, "grant_id": _WHOLE, "tenant": _TEXT, "amount": _WHOLE})
    add_entries = insert(entries).from_select(list(_ENTRY), select(*added.c), include_defaults=False)
    in_lot = {"id": grants.c.id}
    set_remaining = setting(name, grants, where=in_lot, to={"left": grants.c.remaining}, name="remains")
    set_balances = setting(
        name,
        balances,
        where={"account_id": balances.c.account_id, "credit_type": balances.c.credit_type},
        to={"sum": balances.c.balance, "owed": balances.c.debt, "last": balances.c.seq},
        name="sums",
    )
    write = None
    if name == "postgresql":
        new = add_entries.returning(entries.c.id, entries.c.tenant, entries.c.key).cte("added")
        moved = _moves_into(moves, new.c.id, new.c.tenant, new.c.key)
        write = set_balances.add_cte(moved.cte("moved"), set_remaining.cte("remaining"))
    add_moves = _moves_into(moves, entries.c.id, entries.c.tenant, entries.c.key)
    return _Statements(
        lock=made_ready(_lock(name), dialect),
        pages=made_ready(_pages(name), dialect),
        add_entries=made_ready(add_entries, dialect),
        add_moves=made_ready(add_moves, dialect),
        set_remaining=made_ready(set_remaining, dialect),
        set_frozen=setting(name, grants, where=in_lot, to={"aside": grants.c.frozen}),
        set_balances=made_ready(set_balances, dialect),
        write=None if write is None else made_ready(write, dialect),
    )


def _moves_into(
    moves: FromClause, id_: ColumnElement[Any], tenant: ColumnElement[Any], key: ColumnElement[Any]
) -> Insert:
    """What entries took of lots, where the entries are named by tenant and key."""
    found = select(id_, moves.c.grant_id, moves.c.tenant, moves.c.amount).where(
        tenant == moves.c.tenant, key == moves.c.key
    )
    return insert(entry_lots).from_select(["entry_id", "grant_id", "tenant", "amount"], found, include_defaults=False)


def _lock(dialect: str) -> CompoundSelect[Any]:
    sought, ids = rows_of(dialect, "wanted", {"id": _WHOLE}), rows_of(dialect, "ids", {"id": _WHOLE})
    # The limit is told with what it guards.
    limit = func.set_config("idle_in_transaction_session_timeout", "1500", True) if dialect == "postgresql" else null()
    epochs = (
        select(shards.c.id, shards.c.epoch, cast(limit, _TEXT).label("text"))
        .join(sought, shards.c.id == sought.c.id)
        .order_by(shards.c.id)
        .with_for_update(of=shards)
        .cte("epochs")
    )
    owners = (
        select(accounts.c.id, cast(null(), _WHOLE).label("epoch"), accounts.c.tenant)
        .join(ids, accounts.c.id == ids.c.id)
        .order_by(accounts.c.id)
        .with_for_update(of=accounts)
        .cte("owners")
    )
    # One after the other: every settler locks shards before accounts.
    return union_all(select(*epochs.c), select(*owners.c))


def _pages(dialect: str) -> CompoundSelect[Any]:
    # All questions in one, for the way to the server costs more than any.
    ids, lots = (rows_of(dialect, name, {"id": _WHOLE}) for name in ("ids", "lots"))
    ops = rows_of(dialect, "ops", {"tenant": _TEXT, "id": _WHOLE, "op": _TEXT})
    keys = rows_of(dialect, "keys", {"tenant": _TEXT, "key": _TEXT})
    no_text, no_number = cast(null(), _TEXT), cast(null(), _WHOLE)
    no_entry = (no_text, no_text, no_text)
    booked = (
        no_number,
        entries.c.key,
        no_number,
        no_number,
        no_number,
        entries.c.tenant,
        entries.c.journal_id,
        entries.c.fingerprint,
    )
    of_type = ops.c.op + literal(":", _TEXT) + balances.c.credit_type
    return union_all(
        select(
            balances.c.account_id,
            balances.c.credit_type,
            balances.c.balance,
            balances.c.debt,
            balances.c.seq,
            *no_entry,
        ).join(ids, balances.c.account_id == ids.c.id),
        select(grants.c.id, no_text, grants.c.remaining, grants.c.frozen, no_number, *no_entry).join(
            lots, grants.c.id == lots.c.id
        ),
        select(*booked).join(keys, (entries.c.tenant == keys.c.tenant) & (entries.c.key == keys.c.key)),
        select(*booked)
        .select_from(ops)
        .join(balances, balances.c.account_id == ops.c.id)
        .join(entries, (entries.c.tenant == ops.c.tenant) & (entries.c.key == of_type)),
    )
