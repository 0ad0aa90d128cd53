"""What a booking reads and writes: one statement each, however many debits it books."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    CompoundSelect,
    Connection,
    Select,
    Text,
    cast,
    insert,
    null,
    select,
    union_all,
)
from sqlalchemy.sql.dml import Insert, Update
from sqlalchemy.types import TypeEngine

from credits.config.settings import Tenant
from credits.db import unread
from credits.db_rows import packed, rows_of, set_rows, setting
from credits.ledger.tables import balances, entries, entry_lots, grants

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


@dataclass(frozen=True, slots=True)
class _Statements:
    pages: CompoundSelect[Any]
    known: Select[Any]
    add_entries: Insert
    add_moves: Insert
    set_remaining: Update
    set_frozen: Update
    set_balances: Update


@dataclass(frozen=True, slots=True)
class Pages:
    """The part of the ledger that a batch rests on."""

    balances: dict[tuple[int, str], list[int]]
    """[balance, debt, number of the last entry] by account and type."""
    grants: dict[int, tuple[int, int]]
    """(remaining, frozen) by grant."""


def read_pages(connection: Connection, account_ids: Iterable[int], grant_ids: Iterable[int]) -> Pages:
    """Every balance of these accounts, and what is left of these grants."""
    sought = {"ids": packed({"id": one} for one in account_ids), "lots": packed({"id": one} for one in grant_ids)}
    pages = Pages(balances={}, grants={})
    for one, name, first, second, third in connection.execute(_statements(connection).pages, sought):
        if name is None:
            pages.grants[one] = (first, second)
        else:
            pages.balances[one, name] = [first, second, third]
    return pages


def read_known(
    connection: Connection, names: Iterable[tuple[Tenant, str]]
) -> dict[tuple[Tenant, str], tuple[str, str]]:
    """(journal id, fingerprint) by tenant and key, of those names that have an entry."""
    sought = packed({"tenant": tenant, "key": key} for tenant, key in names)
    rows = connection.execute(_statements(connection).known, {"sought": sought})
    return {(Tenant(row.tenant), row.key): (row.journal_id or "", row.fingerprint) for row in rows}


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
    # Sent together: nothing is read of what they answer.
    with unread(connection):
        set_rows(connection, statements.set_frozen, aside)
        for statement, rows in ((statements.add_entries, written.entries), (statements.add_moves, moves)):
            if rows:
                connection.execute(statement, {"rows": packed(rows)})
        set_rows(connection, statements.set_remaining, left)
    # Not among those: PostgreSQL does not notice that a transaction stands still behind statements sent together.
    set_rows(connection, statements.set_balances, sums)


def _statements(connection: Connection) -> _Statements:
    return _statements_of(connection.dialect.name)


@cache
def _statements_of(dialect: str) -> _Statements:
    # Built once: SQLAlchemy takes longer to put a statement together than the server to run it.
    ids, lots = (rows_of(dialect, name, {"id": _WHOLE}) for name in ("ids", "lots"))
    sought = rows_of(dialect, "sought", {"tenant": _TEXT, "key": _TEXT})
    added = rows_of(dialect, "rows", _ENTRY)
    moves = rows_of(dialect, "rows", {"key": _TEXT, "grant_id": _WHOLE, "tenant": _TEXT, "amount": _WHOLE})
    of_move = (entries.c.tenant == moves.c.tenant) & (entries.c.key == moves.c.key)
    in_lot, of_balance = (
        {"id": grants.c.id},
        {"account_id": balances.c.account_id, "credit_type": balances.c.credit_type},
    )
    figures = {"sum": balances.c.balance, "owed": balances.c.debt, "last": balances.c.seq}
    return _Statements(
        # Two questions in one, for the way to the server costs more than either.
        pages=union_all(
            select(
                balances.c.account_id, balances.c.credit_type, balances.c.balance, balances.c.debt, balances.c.seq
            ).join(ids, balances.c.account_id == ids.c.id),
            select(grants.c.id, cast(null(), _TEXT), grants.c.remaining, grants.c.frozen, cast(null(), _WHOLE)).join(
                lots, grants.c.id == lots.c.id
            ),
        ),
        known=select(entries.c.tenant, entries.c.key, entries.c.journal_id, entries.c.fingerprint).join(
            sought, (entries.c.tenant == sought.c.tenant) & (entries.c.key == sought.c.key)
        ),
        add_entries=insert(entries).from_select(list(_ENTRY), select(*added.c), include_defaults=False),
        add_moves=insert(entry_lots).from_select(
            ["entry_id", "grant_id", "tenant", "amount"],
            select(entries.c.id, moves.c.grant_id, moves.c.tenant, moves.c.amount).join_from(moves, entries, of_move),
            include_defaults=False,
        ),
        set_remaining=setting(dialect, grants, where=in_lot, to={"left": grants.c.remaining}),
        set_frozen=setting(dialect, grants, where=in_lot, to={"aside": grants.c.frozen}),
        set_balances=setting(dialect, balances, where=of_balance, to=figures),
    )
