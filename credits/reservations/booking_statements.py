"""The statements of a booking, put together once for each kind of database."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    CTE,
    JSON,
    BigInteger,
    CompoundSelect,
    Dialect,
    Select,
    Text,
    bindparam,
    cast,
    func,
    insert,
    literal,
    null,
    select,
    true,
    union_all,
)
from sqlalchemy.sql.dml import Insert, Update
from sqlalchemy.types import TypeEngine

from credits.db_ready import Ready, made_ready
from credits.db_rows import rows_of, setting
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
_MOVE: Final[dict[str, TypeEngine[Any]]] = {"key": _TEXT, "grant_id": _WHOLE, "tenant": _TEXT, "amount": _WHOLE}
"""What an entry took of a lot; the entry is named by tenant and key."""


@dataclass(frozen=True, slots=True)
class Statements:
    """What a booking sends."""

    lock: Ready
    pages: Ready
    set_frozen: Update
    write: "Ready | RowByRow"
    """All the rest: in one statement, where a database takes it so."""


@dataclass(frozen=True, slots=True)
class RowByRow:
    """Statements for one row each. SQLite runs one at no distance, and faster than it takes rows out of JSON."""

    add_entry: Ready
    add_move: Ready
    set_remaining: Ready
    set_balance: Ready


_MADE: Final[dict[str, Statements]] = {}
"""By dialect, made when first needed: a statement takes longer to put together than to run."""


def statements_for(dialect: Dialect) -> Statements:
    """The statements in the words of a database."""
    found = _MADE.get(dialect.name)
    if found is None:
        found = _MADE[dialect.name] = _made(dialect)
    return found


def _made(dialect: Dialect) -> Statements:
    name = dialect.name
    set_frozen = setting(name, grants, where={"id": grants.c.id}, to={"aside": grants.c.frozen})
    return Statements(
        lock=made_ready(_lock(name), dialect),
        pages=made_ready(_pages(name), dialect),
        set_frozen=set_frozen,
        write=made_ready(_write(), dialect) if name == "postgresql" else _row_by_row(dialect),
    )


def _write() -> Update:
    name = "postgresql"
    added, moves = rows_of(name, "rows", _ENTRY), rows_of(name, "moves", _MOVE)
    new = _add_entries(select(*added.c)).returning(entries.c.id, entries.c.tenant, entries.c.key).cte("added")
    moved = _into_moves(
        select(new.c.id, moves.c.grant_id, moves.c.tenant, moves.c.amount).where(
            new.c.tenant == moves.c.tenant, new.c.key == moves.c.key
        )
    )
    return _set_balances(name).add_cte(moved.cte("moved"), _set_remaining(name).cte("remaining"))


def _row_by_row(dialect: Dialect) -> RowByRow:
    # The names are those that `each_set` gives.
    added, move = (
        {key: bindparam(f"of_{key}", type_=_TEXT if isinstance(kind, JSON) else kind) for key, kind in columns.items()}
        for columns in (_ENTRY, _MOVE)
    )
    moved = select(entries.c.id, move["grant_id"], move["tenant"], move["amount"]).where(
        entries.c.tenant == move["tenant"], entries.c.key == move["key"]
    )
    return RowByRow(
        add_entry=made_ready(_add_entries(select(*added.values())), dialect),
        add_move=made_ready(_into_moves(moved), dialect),
        set_remaining=made_ready(_set_remaining(dialect.name), dialect),
        set_balance=made_ready(_set_balances(dialect.name), dialect),
    )


def _set_remaining(dialect: str) -> Update:
    return setting(dialect, grants, where={"id": grants.c.id}, to={"left": grants.c.remaining}, name="remains")


def _set_balances(dialect: str) -> Update:
    return setting(
        dialect,
        balances,
        where={"account_id": balances.c.account_id, "credit_type": balances.c.credit_type},
        to={"sum": balances.c.balance, "owed": balances.c.debt, "last": balances.c.seq},
        name="sums",
    )


def _add_entries(rows: Select[Any]) -> Insert:
    return insert(entries).from_select(list(_ENTRY), rows, include_defaults=False)


def _into_moves(rows: Select[Any]) -> Insert:
    return insert(entry_lots).from_select(["entry_id", "grant_id", "tenant", "amount"], rows, include_defaults=False)


def _lock(dialect: str) -> CompoundSelect[Any]:
    sought, ids = rows_of(dialect, "wanted", {"id": _WHOLE}), rows_of(dialect, "ids", {"id": _WHOLE})
    limits = _limits(dialect)
    epochs = (
        select(shards.c.id, shards.c.epoch, cast(limits.c.idle + limits.c.waiting, _TEXT).label("text"))
        .join(sought, shards.c.id == sought.c.id)
        .join(limits, true())
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


def _limits(dialect: str) -> CTE:
    """How long the transaction may stand still, and may wait for a row: told with what they guard, and before it."""
    wait = bindparam("lock_wait", type_=_TEXT)
    if dialect != "postgresql":
        return select(literal("", _TEXT).label("idle"), wait.label("waiting")).cte("limits")
    longest = func.coalesce(wait, func.current_setting("lock_timeout"))
    return select(
        func.set_config("idle_in_transaction_session_timeout", "1500", True, type_=_TEXT).label("idle"),
        func.set_config("lock_timeout", longest, True, type_=_TEXT).label("waiting"),
    ).cte("limits")


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
    found = (grants.c.id, no_text, *(grants.c[name] for name in ("remaining", "frozen", "account_id", "credit_type")))
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
        select(*found, no_text, no_text).join(lots, grants.c.id == lots.c.id),
        select(*booked).join(keys, (entries.c.tenant == keys.c.tenant) & (entries.c.key == keys.c.key)),
        select(*booked)
        .select_from(ops)
        .join(balances, balances.c.account_id == ops.c.id)
        .join(entries, (entries.c.tenant == ops.c.tenant) & (entries.c.key == of_type)),
    )
