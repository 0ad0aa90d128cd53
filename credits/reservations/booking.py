"""Booking: debits of the journal into the ledger, in one transaction, a handful of statements for the whole batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select, update

from credits.config.settings import Tenant
from credits.ledger.model import ORDERED_KINDS, DebitKind
from credits.ledger.store import lock_accounts
from credits.ledger.tables import balances, entries, entry_lots, grants
from credits.members import store as members
from credits.reservations import store
from credits.reservations.aftermath import note_lapsed, open_balances
from credits.reservations.journal import Debit
from credits.reservations.ordered import Ordered, close_orders, is_done_elsewhere, read_orders

SUSPENSE: Final = "suspense"

# Every settlement runs these: built once, with parameters.
_BALANCES: Final = select(
    balances.c.account_id, balances.c.credit_type, balances.c.balance, balances.c.debt, balances.c.seq
).where(balances.c.account_id.in_(bindparam("account_ids", expanding=True)))
_REMAINING: Final = select(grants.c.id, grants.c.remaining, grants.c.frozen).where(
    grants.c.id.in_(bindparam("grant_ids", expanding=True))
)
_KNOWN: Final = select(entries.c.tenant, entries.c.key, entries.c.journal_id, entries.c.fingerprint).where(
    entries.c.tenant.in_(bindparam("tenants", expanding=True)), entries.c.key.in_(bindparam("keys", expanding=True))
)
_INSERT_ENTRIES: Final = insert(entries).returning(entries.c.id, sort_by_parameter_order=True)
_INSERT_MOVES: Final = insert(entry_lots)
_UPDATE_REMAINING: Final = update(grants).where(grants.c.id == bindparam("grant")).values(remaining=bindparam("left"))
_FREEZE: Final = update(grants).where(grants.c.id == bindparam("grant")).values(frozen=bindparam("aside"))
_UPDATE_BALANCES: Final = (
    update(balances)
    .where(balances.c.account_id == bindparam("account"), balances.c.credit_type == bindparam("type"))
    .values(balance=bindparam("sum"), debt=bindparam("owed"), seq=bindparam("last"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """What became of one line."""

    stream_id: str
    account_id: int
    is_refunded: bool
    """Its op was booked before from another line with the same content: the gate gives the second charge back."""


@dataclass(slots=True, kw_only=True)
class _Books:
    """The part of the ledger that a batch touches, read once and written once."""

    tenants: dict[int, Tenant]
    balances: dict[tuple[int, str], list[int]]
    """[balance, debt, number of the last entry] by account and type."""
    remaining: dict[int, int]
    """By grant, without what is frozen."""
    frozen: dict[int, int]
    """By grant."""
    known_balances: frozenset[tuple[int, str]]
    """Those that have a row."""
    entries: list[dict[str, Any]] = field(default_factory=list)
    lots: list[list[tuple[int, int]]] = field(default_factory=list)
    """Per entry, what it took of which grant."""
    orders: list[dict[str, Any]] = field(default_factory=list)
    """Orders of which this batch books the debit."""
    known_orders: dict[tuple[Tenant, str], Ordered] = field(default_factory=dict)
    """Orders of clawbacks and freezes in this batch."""
    freezes: set[int] = field(default_factory=set)
    """Grants of which this batch freezes something."""


def book(
    connection: Connection, shard: int, epoch: int, debits: Sequence[Debit], *, now_ms: int
) -> list[Booked] | None:
    """
    Book `debits`; answers what became of each line, or None if the shard is in another epoch by now.

    A line whose op is booked under its own journal id was settled before and is only to be forgotten. Under another
    journal id with the same fingerprint it is a second charge for one spend: it is not booked, and given back. With
    another fingerprint it is neither: it is booked as suspense, so that the credits stay taken and somebody looks.
    """
    if store.lock_epoch(connection, shard) != epoch:
        return None
    account_ids = {debit.account_id for debit in debits}
    lock_accounts(connection, account_ids)
    books = _open_books(connection, debits, account_ids)
    known = _known_entries(connection, books, debits)
    refunded: dict[str, bool] = {}
    for line in _lines(debits):
        tenant = books.tenants.get(line[0].account_id)
        if tenant is None:
            continue
        mark = (line[0].journal_id, line[0].fingerprint)
        # One decision for the whole line, for its charges come back together. A commit of everything may have found
        # other types the first time, in a Redis that has gone back since.
        first = next((known[tenant, key] for key in _keys(books, line[0]) if (tenant, key) in known), None)
        if first is None and is_done_elsewhere(books.known_orders, tenant, line[0]):
            refunded[line[0].stream_id] = True
            continue
        if line[0].kind is DebitKind.FREEZE:
            refunded[line[0].stream_id] = False
            _freeze(books, line[0], tenant)
            continue
        refunded[line[0].stream_id] = first is not None and first != mark and first[1] == mark[1]
        for debit in line:
            if first is None:
                known[tenant, debit.key] = mark
                _post(books, debit, tenant, now_ms)
            elif first[1] != mark[1]:
                _post_conflict(books, known, debit, tenant, now_ms)
    _write(connection, books, now_ms)
    return [
        Booked(stream_id=debit.stream_id, account_id=debit.account_id, is_refunded=refunded[debit.stream_id])
        for debit in {debit.stream_id: debit for debit in debits}.values()
        # A line of an account that this database does not have stays in the journal, where somebody can find it.
        if debit.account_id in books.tenants
    ]


def _open_books(connection: Connection, debits: Sequence[Debit], account_ids: set[int]) -> _Books:
    grant_ids = sorted({grant_id for debit in debits for grant_id, _ in debit.lots})
    owned = connection.execute(_BALANCES, {"account_ids": sorted(account_ids)}).all()
    left = connection.execute(_REMAINING, {"grant_ids": grant_ids}).all()
    tenants = store.tenants_of(connection, account_ids)
    return _Books(
        tenants=tenants,
        known_balances=frozenset((row.account_id, row.credit_type) for row in owned),
        balances={(row.account_id, row.credit_type): [row.balance, row.debt, row.seq] for row in owned},
        remaining={row.id: row.remaining - row.frozen for row in left},
        frozen={row.id: row.frozen for row in left},
        known_orders=read_orders(connection, tenants, debits),
    )


def _known_entries(
    connection: Connection, books: _Books, debits: Sequence[Debit]
) -> dict[tuple[Tenant, str], tuple[str, str]]:
    """(journal id, fingerprint) by tenant and key, for the ops that are booked."""
    keys = sorted({key for debit in debits for key in (*_keys(books, debit), _suspense_key(debit))})
    tenants = sorted(set(books.tenants.values()))
    rows = connection.execute(_KNOWN, {"tenants": tenants, "keys": keys})
    return {(Tenant(row.tenant), row.key): (row.journal_id or "", row.fingerprint) for row in rows}


def _lines(debits: Sequence[Debit]) -> list[list[Debit]]:
    lines: dict[str, list[Debit]] = {}
    for debit in debits:
        lines.setdefault(debit.stream_id, []).append(debit)
    return list(lines.values())


def _keys(books: _Books, debit: Debit) -> list[str]:
    """Under which an entry of the debit's op would be found, whatever its type."""
    types = {credit_type for account_id, credit_type in books.balances if account_id == debit.account_id}
    return [debit.key, *(f"{debit.op}:{credit_type}" for credit_type in sorted(types))]


def _post(books: _Books, debit: Debit, tenant: Tenant, now_ms: int) -> None:
    """Add the entry of a debit; what its lots turn out not to have becomes debt, as a suspense entry."""
    taken = [(grant_id, min(part, books.remaining.get(grant_id, 0))) for grant_id, part in debit.lots]
    is_short = sum(part for _, part in taken) + debit.debt != debit.amount
    _add_entry(books, debit, tenant, now_ms, key=debit.key, kind=SUSPENSE if is_short else debit.kind, taken=taken)


def _freeze(books: _Books, debit: Debit, tenant: Tenant) -> None:
    """Set aside what a freeze took. There is no entry: the credits are in the balance still."""
    order = books.known_orders.get((tenant, debit.op))
    if order is None or order.journal_id == debit.journal_id:
        return
    taken = [(grant_id, min(part, books.remaining.get(grant_id, 0))) for grant_id, part in debit.lots]
    for grant_id, part in taken:
        books.remaining[grant_id] -= part
        books.frozen[grant_id] += part
        books.freezes.add(grant_id)
    _close(books, debit, tenant, took=sum(part for _, part in taken))


def _close(books: _Books, debit: Debit, tenant: Tenant, *, took: int) -> None:
    """Note that the order of a debit is done by its line."""
    books.known_orders[tenant, debit.op] = Ordered(is_done=True, journal_id=debit.journal_id)
    books.orders.append({"of_tenant": tenant, "done_op": debit.op, "took": took, "line": debit.journal_id})


def _post_conflict(
    books: _Books,
    known: dict[tuple[Tenant, str], tuple[str, str]],
    debit: Debit,
    tenant: Tenant,
    now_ms: int,
) -> None:
    key = _suspense_key(debit)
    if (tenant, key) in known:
        return
    known[tenant, key] = (debit.journal_id, debit.fingerprint)
    taken = [(grant_id, min(part, books.remaining.get(grant_id, 0))) for grant_id, part in debit.lots]
    _add_entry(books, debit, tenant, now_ms, key=key, kind=SUSPENSE, taken=taken)


def _suspense_key(debit: Debit) -> str:
    # With the account: two shards may number their lines alike.
    return f"suspense:{debit.account_id}:{debit.journal_id}:{debit.credit_type}"


def _add_entry(
    books: _Books,
    debit: Debit,
    tenant: Tenant,
    now_ms: int,
    *,
    key: str,
    kind: str,
    taken: list[tuple[int, int]],
) -> None:
    balance = books.balances.setdefault((debit.account_id, debit.credit_type), [0, 0, 0])
    for grant_id, part in taken:
        books.remaining[grant_id] = books.remaining.get(grant_id, 0) - part
    balance[0] -= debit.amount
    balance[1] += debit.amount - sum(part for _, part in taken)
    balance[2] += 1
    if debit.kind in ORDERED_KINDS:
        _close(books, debit, tenant, took=debit.amount)
    books.lots.append([(grant_id, part) for grant_id, part in taken if part > 0])
    books.entries.append(
        {
            "tenant": tenant,
            "account_id": debit.account_id,
            "credit_type": debit.credit_type,
            "seq": balance[2],
            "kind": kind,
            "amount": -debit.amount,
            "balance_after": balance[0],
            "debt_after": balance[1],
            "key": key,
            "fingerprint": debit.fingerprint,
            "reservation_id": debit.reservation_id,
            "member": debit.member,
            "spent_at_ms": debit.spent_at_ms,
            "actor": debit.actor,
            "reason": debit.reason,
            "journal_id": debit.journal_id,
            "meta": {},
            "at_ms": now_ms,
        }
    )


def _write(connection: Connection, books: _Books, now_ms: int) -> None:
    if books.freezes:
        connection.execute(
            _FREEZE, [{"grant": grant_id, "aside": books.frozen[grant_id]} for grant_id in sorted(books.freezes)]
        )
    close_orders(connection, books.orders, now_ms)
    if not books.entries:
        return
    ids = connection.execute(_INSERT_ENTRIES, books.entries).scalars()
    moves = [
        {"entry_id": entry_id, "grant_id": grant_id, "tenant": entry["tenant"], "amount": -part}
        for entry_id, entry, lots in zip(ids, books.entries, books.lots, strict=True)
        for grant_id, part in lots
    ]
    if moves:
        connection.execute(_INSERT_MOVES, moves)
        used = sorted({move["grant_id"] for move in moves})
        connection.execute(
            _UPDATE_REMAINING,
            [
                {"grant": grant_id, "left": books.remaining[grant_id] + books.frozen.get(grant_id, 0)}
                for grant_id in used
            ],
        )
    new = sorted(name for name in books.balances if name not in books.known_balances)
    open_balances(connection, [(books.tenants[account_id], account_id, name) for account_id, name in new])
    touched = sorted({(entry["account_id"], entry["credit_type"]) for entry in books.entries})
    connection.execute(
        _UPDATE_BALANCES,
        [
            dict(zip(("account", "type", "sum", "owed", "last"), (*name, *books.balances[name]), strict=True))
            for name in touched
        ],
    )
    _add_usage(connection, books)
    note_lapsed(connection, books.entries, books.lots, now_ms=now_ms)


def _add_usage(connection: Connection, books: _Books) -> None:
    """What members spent counts towards what they have used for ever."""
    used: dict[tuple[int, str, str], dict[str, Any]] = {}
    for entry in books.entries:
        if entry["member"] is not None:
            name = {column: entry[column] for column in ("account_id", "member", "credit_type", "tenant")}
            key = (entry["account_id"], entry["member"], entry["credit_type"])
            row = used.setdefault(key, {**name, "used": 0})
            row["used"] -= entry["amount"]
    members.add_usage(connection, used.values())
