"""Booking: debits of the journal into the ledger, in one transaction, a handful of statements for the whole batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection

from credits.config.settings import Tenant
from credits.ledger.model import ORDERED_KINDS, DebitKind
from credits.members import store as members
from credits.reservations.aftermath import note_lapsed, open_balances
from credits.reservations.booking_sql import Sought, Written, lock, read_pages, write
from credits.reservations.journal import Debit
from credits.reservations.keys import shard_of
from credits.reservations.ordered import Ordered, close_orders, is_done_elsewhere, read_orders

SUSPENSE: Final = "suspense"


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """What became of one line."""

    stream_id: str
    account_id: int
    is_refunded: bool
    """Its op was booked before from another line with the same content: the gate gives the second charge back."""
    op: str
    fingerprint: str
    """Of the op's entry in the ledger; empty where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookings:
    """What one transaction booked."""

    lines: Sequence[Booked]
    over: frozenset[int]
    """Shards that are in another epoch by now: of their lines, nothing was booked."""

    def lines_of(self, shard: int) -> list[Booked]:
        """Those of one shard's journal."""
        return [line for line in self.lines if shard_of(line.account_id) == shard]


@dataclass(slots=True, kw_only=True)
class _Books:
    """The part of the ledger that a batch touches, read once and written once."""

    tenants: Mapping[int, Tenant]
    known: dict[tuple[Tenant, str], tuple[str, str]]
    """(journal id, fingerprint) of what is booked, by tenant and key."""
    balances: dict[tuple[int, str], list[int]]
    """[balance, debt, number of the last entry] by account and type."""
    remaining: dict[int, int]
    """By grant, without what is frozen."""
    frozen: dict[int, int]
    """By grant."""
    owners: Mapping[int, tuple[int, str]]
    """(account, type) by grant."""
    types: dict[int, tuple[str, ...]]
    """Of which an account has a balance, in order."""
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
    connection: Connection,
    epochs: Mapping[int, int],
    debits: Sequence[Debit],
    *,
    now_ms: int,
    lock_wait_ms: int | None = None,
) -> Bookings:
    """
    Book `debits` of the journals of the shards in `epochs`, as long as each is in that epoch.

    A line whose op is booked under its own journal id was settled before and is only to be forgotten. Under another
    journal id with the same fingerprint it is a second charge for one spend: it is not booked, and given back. With
    another fingerprint it is neither: it is booked as suspense, so that the credits stay taken and somebody looks.
    """
    locked = lock(connection, epochs, {debit.account_id for debit in debits}, wait_ms=lock_wait_ms)
    over = frozenset(shard for shard, epoch in epochs.items() if locked.epochs.get(shard, 0) != epoch)
    # A line of an account that this database does not have stays in the journal, where somebody can find it.
    debits = [one for one in debits if shard_of(one.account_id) not in over and one.account_id in locked.tenants]
    if not debits:
        return Bookings(lines=[], over=over)
    books = _open_books(connection, debits, locked.tenants)
    lines = [_book_line(books, line, now_ms) for line in _lines(debits)]
    _write(connection, books, now_ms)
    return Bookings(lines=lines, over=over)


def _book_line(books: _Books, line: list[Debit], now_ms: int) -> Booked:
    one, known = line[0], books.known
    tenant, mark = books.tenants[one.account_id], (one.journal_id, one.fingerprint)
    # One decision for the whole line, for its charges come back together. A commit of everything may have found
    # other types the first time, in a Redis that has gone back since.
    first = next((known[tenant, key] for key in _keys(books, one) if (tenant, key) in known), None)
    if first is None and is_done_elsewhere(books.known_orders, tenant, one):
        return _booked(one, is_refunded=True, fingerprint="")
    if one.kind is DebitKind.FREEZE:
        _freeze(books, one, tenant)
        return _booked(one, is_refunded=False, fingerprint="")
    for debit in line:
        if first is None:
            known[tenant, debit.key] = mark
            _post(books, debit, tenant, now_ms)
        elif first[1] != mark[1]:
            _post_conflict(books, debit, tenant, now_ms)
    is_refunded = first is not None and first != mark and first[1] == mark[1]
    return _booked(one, is_refunded=is_refunded, fingerprint=mark[1] if first is None else first[1])


def _booked(debit: Debit, *, is_refunded: bool, fingerprint: str) -> Booked:
    return Booked(
        stream_id=debit.stream_id,
        account_id=debit.account_id,
        is_refunded=is_refunded,
        op=debit.op,
        fingerprint=fingerprint,
    )


def _open_books(connection: Connection, debits: Sequence[Debit], tenants: Mapping[int, Tenant]) -> _Books:
    pages = read_pages(
        connection,
        Sought(
            account_ids={debit.account_id for debit in debits},
            grant_ids={grant_id for debit in debits for grant_id, _ in debit.lots},
            ops={(tenants[debit.account_id], debit.account_id, debit.op) for debit in debits},
            keys={(tenants[debit.account_id], key) for debit in debits for key in (debit.key, _suspense_key(debit))},
        ),
    )
    types: dict[int, list[str]] = {}
    for account_id, credit_type in pages.balances:
        types.setdefault(account_id, []).append(credit_type)
    return _Books(
        tenants=tenants,
        known=pages.known,
        types={account_id: tuple(sorted(names)) for account_id, names in types.items()},
        balances=pages.balances,
        remaining={one: remaining - frozen for one, (remaining, frozen, *_) in pages.grants.items()},
        frozen={one: frozen for one, (_, frozen, *_) in pages.grants.items()},
        owners={one: (account_id, kind) for one, (_, _, account_id, kind) in pages.grants.items()},
        known_orders=read_orders(connection, tenants, debits),
    )


def _lines(debits: Sequence[Debit]) -> list[list[Debit]]:
    # Two shards may number their lines alike.
    lines: dict[tuple[int, str], list[Debit]] = {}
    for debit in debits:
        lines.setdefault((shard_of(debit.account_id), debit.stream_id), []).append(debit)
    return list(lines.values())


def _keys(books: _Books, debit: Debit) -> list[str]:
    """Under which an entry of the debit's op would be found, whatever its type."""
    return [debit.key, *(f"{debit.op}:{credit_type}" for credit_type in books.types.get(debit.account_id, ()))]


def _post(books: _Books, debit: Debit, tenant: Tenant, now_ms: int) -> None:
    """Add the entry of a debit; what its lots turn out not to have becomes debt, as a suspense entry."""
    taken = _found(books, debit)
    is_short = sum(part for _, part in taken) + debit.debt != debit.amount
    _add_entry(books, debit, tenant, now_ms, key=debit.key, kind=SUSPENSE if is_short else debit.kind, taken=taken)


def _found(books: _Books, debit: Debit) -> list[tuple[int, int]]:
    """
    What a debit's lots have of what it took of them: (grant, credits), without those that have nothing.

    A lot of another account or type has nothing for it, whoever says so: a balance is its own lots less its debt.
    """
    owner = (debit.account_id, debit.credit_type)
    taken = [
        (grant_id, min(part, books.remaining[grant_id]))
        for grant_id, part in debit.lots
        if books.owners.get(grant_id) == owner
    ]
    return [(grant_id, part) for grant_id, part in taken if part > 0]


def _freeze(books: _Books, debit: Debit, tenant: Tenant) -> None:
    """Set aside what a freeze took. There is no entry: the credits are in the balance still."""
    order = books.known_orders.get((tenant, debit.op))
    if order is None or order.journal_id == debit.journal_id:
        return
    taken = _found(books, debit)
    for grant_id, part in taken:
        books.remaining[grant_id] -= part
        books.frozen[grant_id] += part
        books.freezes.add(grant_id)
    _close(books, debit, tenant, took=sum(part for _, part in taken))


def _close(books: _Books, debit: Debit, tenant: Tenant, *, took: int) -> None:
    """Note that the order of a debit is done by its line."""
    books.known_orders[tenant, debit.op] = Ordered(is_done=True, journal_id=debit.journal_id)
    books.orders.append({"of_tenant": tenant, "done_op": debit.op, "took": took, "line": debit.journal_id})


def _post_conflict(books: _Books, debit: Debit, tenant: Tenant, now_ms: int) -> None:
    key = _suspense_key(debit)
    if (tenant, key) in books.known:
        return
    books.known[tenant, key] = (debit.journal_id, debit.fingerprint)
    taken = _found(books, debit)
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
        books.remaining[grant_id] -= part
    balance[0] -= debit.amount
    balance[1] += debit.amount - sum(part for _, part in taken)
    balance[2] += 1
    if debit.kind in ORDERED_KINDS:
        _close(books, debit, tenant, took=debit.amount)
    books.lots.append(taken)
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
    close_orders(connection, books.orders, now_ms)
    touched = {(entry["account_id"], entry["credit_type"]) for entry in books.entries}
    new = sorted((account_id, name) for account_id, name in touched if name not in books.types.get(account_id, ()))
    open_balances(connection, [(books.tenants[account_id], account_id, name) for account_id, name in new])
    used = {grant_id for lots in books.lots for grant_id, _ in lots}
    write(
        connection,
        Written(
            entries=books.entries,
            lots=books.lots,
            remaining={one: books.remaining[one] + books.frozen.get(one, 0) for one in used},
            frozen={one: books.frozen[one] for one in books.freezes},
            balances={name: books.balances[name] for name in touched},
        ),
    )
    if books.entries:
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
