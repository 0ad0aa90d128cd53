"""SQL of the ledger. Every function runs in the caller's transaction; none commits."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, and_, bindparam, func, insert, select, update

from credits.config.settings import Tenant
from credits.db import insert_new
from credits.errors import BalanceLimitError
from credits.ledger.model import GrantOrder, GrantSource, Lot, Take
from credits.ledger.tables import accounts, balances, entries, entry_lots, grants, outbox
from credits.units import MAX_AMOUNT

# What every payment runs is built once, with parameters: SQLAlchemy takes longer to put a statement together than the
# server to run it. (A parameter is never called like a column that is set: those names are taken.)
_BY_NAME: Final = (accounts.c.tenant == bindparam("tenant")) & (accounts.c.external_id == bindparam("external_id"))
_FIND_ACCOUNT: Final = select(accounts.c.id).where(_BY_NAME)
_FIND_ENTRY: Final = (
    select(entries, accounts.c.external_id)
    .join(accounts, accounts.c.id == entries.c.account_id)
    .where(entries.c.tenant == bindparam("tenant"), entries.c.key == bindparam("key"))
)
# NO KEY: rows that point at the account may still be inserted. With a full lock, two transactions that each linked a
# customer to it would wait for each other.
_LOCK_ACCOUNT: Final = select(accounts.c.id, accounts.c.sv).where(_BY_NAME).with_for_update(key_share=True)
_NUMBER_ACCOUNT: Final = update(accounts).where(accounts.c.id == bindparam("account"))
_OF_BALANCE: Final = (balances.c.account_id == bindparam("account")) & (balances.c.credit_type == bindparam("type"))
_READ_BALANCE: Final = select(balances.c.balance, balances.c.debt, balances.c.seq).where(_OF_BALANCE)
_UPDATE_BALANCE: Final = update(balances).where(_OF_BALANCE)
_LINK_LOT: Final = insert(entry_lots)
_LEAVE_FOR_GATE: Final = insert(outbox)
_INSERT_GRANT: Final = insert(grants).returning(grants.c.id)


def find_account(connection: Connection, tenant: Tenant, external_id: str) -> int | None:
    """The internal id of an account; None if nothing was ever granted to it."""
    return connection.execute(_FIND_ACCOUNT, {"tenant": tenant, "external_id": external_id}).scalar_one_or_none()


def lock_account(connection: Connection, tenant: Tenant, external_id: str, now_ms: int) -> tuple[int, int]:
    """
    Lock an account's row until the transaction ends, made if it is new; answers its internal id and its last credit's
    number.
    """
    name = {"tenant": tenant, "external_id": external_id}
    row = connection.execute(_LOCK_ACCOUNT, name).one_or_none()
    if row is None:
        ensure_account(connection, tenant, external_id, now_ms)
        row = connection.execute(_LOCK_ACCOUNT, name).one()
    return row.id, row.sv


def ensure_account(connection: Connection, tenant: Tenant, external_id: str, now_ms: int) -> int:
    """The internal id of an account, made if it is new."""
    found = find_account(connection, tenant, external_id)
    if found is not None:
        return found
    row = insert_new(
        connection,
        accounts,
        {"tenant": tenant, "external_id": external_id, "sv": 0, "created_at_ms": now_ms},
        unique=("tenant", "external_id"),
        returning=("id",),
    )
    if row is not None:
        return int(row["id"])
    # Somebody else made it a moment ago; it is committed by now, or the insert would still wait.
    return int(connection.execute(_FIND_ACCOUNT, {"tenant": tenant, "external_id": external_id}).scalar_one())


def read_balance(connection: Connection, account_id: int, credit_type: str) -> tuple[int, int, int]:
    """(balance, debt, number of the last entry); zeros if there is no entry yet. Lock the account first."""
    row = connection.execute(_READ_BALANCE, {"account": account_id, "type": credit_type}).one_or_none()
    return (0, 0, 0) if row is None else (row.balance, row.debt, row.seq)


def write_balance(
    connection: Connection, tenant: Tenant, account_id: int, credit_type: str, *, balance: int, debt: int, seq: int
) -> None:
    """Store what the entry `seq` led to. Lock the account first."""
    if balance > MAX_AMOUNT:
        raise BalanceLimitError(
            f"{credit_type}: the balance would be {balance}, above the bound of {MAX_AMOUNT} (2^53 − 1)"
        )
    values = {"balance": balance, "debt": debt, "seq": seq}
    if seq == 1:
        identity = {"account_id": account_id, "credit_type": credit_type, "tenant": tenant}
        connection.execute(insert(balances), {**identity, **values})
        return
    connection.execute(_UPDATE_BALANCE, {"account": account_id, "type": credit_type, **values})


def insert_entry(connection: Connection, values: dict[str, Any]) -> int | None:
    """The id of the new entry; None if an entry with the same key is there already."""
    row = insert_new(connection, entries, values, unique=("tenant", "key"), returning=("id",))
    return None if row is None else int(row["id"])


def find_entry(connection: Connection, tenant: Tenant, key: str) -> RowMapping | None:
    """The entry with `key`, with the external id of its account."""
    return connection.execute(_FIND_ENTRY, {"tenant": tenant, "key": key}).mappings().one_or_none()


def read_entry(connection: Connection, tenant: Tenant, key: str) -> RowMapping:
    """The entry that an insert has found to have `key`, with the external id of its account."""
    return connection.execute(_FIND_ENTRY, {"tenant": tenant, "key": key}).mappings().one()


def find_first_entry(connection: Connection, tenant: Tenant, keys: Sequence[str]) -> RowMapping | None:
    """The oldest entry that has one of `keys`, with the external id of its account."""
    return (
        connection.execute(
            select(entries, accounts.c.external_id)
            .join(accounts, accounts.c.id == entries.c.account_id)
            .where(entries.c.tenant == tenant, entries.c.key.in_(keys))
            .order_by(entries.c.id)
            .limit(1)
        )
        .mappings()
        .one_or_none()
    )


def insert_grant(
    connection: Connection, tenant: Tenant, account_id: int, order: GrantOrder, *, remaining: int, now_ms: int
) -> int:
    """Open a lot; answers its id."""
    grant_id: int = connection.execute(
        _INSERT_GRANT,
        {
            "tenant": tenant,
            "account_id": account_id,
            "credit_type": order.credit_type,
            "amount": order.amount,
            "remaining": remaining,
            "frozen": 0,
            "source": order.source,
            "source_ref": order.source_ref,
            "plan": order.plan,
            "priority": order.priority,
            "effective_at_ms": order.effective_at_ms,
            "expires_at_ms": order.expires_at_ms,
            "paid_minor": None if order.paid is None else order.paid.amount_minor,
            "currency": None if order.paid is None else order.paid.currency,
            "key": order.key,
            "created_at_ms": now_ms,
        },
    ).scalar_one()
    return grant_id


def link_lots(connection: Connection, tenant: Tenant, entry_id: int, moves: Sequence[Take]) -> None:
    """Remember what an entry put into its lots (positive) or took from them (negative)."""
    rows = [
        {"entry_id": entry_id, "grant_id": move.grant_id, "tenant": tenant, "amount": move.amount} for move in moves
    ]
    if rows:
        connection.execute(_LINK_LOT, rows if len(rows) > 1 else rows[0])


def number_credit(
    connection: Connection,
    tenant: Tenant,
    account_id: int,
    order: GrantOrder,
    *,
    grant_id: int,
    sv: int,
    repaid: int,
    now_ms: int,
) -> None:
    """Give the account's next credit its number, and leave a row for the gate to apply it by."""
    connection.execute(_NUMBER_ACCOUNT, {"account": account_id, "sv": sv})
    connection.execute(
        _LEAVE_FOR_GATE,
        {
            "account_id": account_id,
            "sv": sv,
            "tenant": tenant,
            "grant_id": grant_id,
            "credit_type": order.credit_type,
            "amount": order.amount - repaid,
            "debt_repaid": repaid,
            "created_at_ms": now_ms,
        },
    )


def open_lots(connection: Connection, account_id: int, credit_type: str | None = None) -> list[tuple[str, Lot]]:
    """(credit type, lot) of every lot with something left, lapsed ones included."""
    query = select(grants).where(grants.c.account_id == account_id, grants.c.remaining > 0).order_by(grants.c.id)
    if credit_type is not None:
        query = query.where(grants.c.credit_type == credit_type)
    return [(row.credit_type, lot_of(row._mapping, row.remaining)) for row in connection.execute(query)]


def lots_at(connection: Connection, account_id: int, at_ms: int) -> list[tuple[str, Lot]]:
    """(credit type, lot) as they were at an instant, re-added from the entries up to then."""
    left = func.sum(entry_lots.c.amount).label("left")
    query = (
        select(grants, left)
        .join(entry_lots, entry_lots.c.grant_id == grants.c.id)
        .join(entries, entries.c.id == entry_lots.c.entry_id)
        .where(grants.c.account_id == account_id, entries.c.at_ms <= at_ms)
        .group_by(*grants.c)
        .order_by(grants.c.id)
    )
    return [(row.credit_type, lot_of(row._mapping, int(row.left))) for row in connection.execute(query)]


def lot_of(row: RowMapping, remaining: int) -> Lot:
    return Lot(
        grant_id=row["id"],
        remaining=remaining,
        frozen=min(row["frozen"], remaining),
        priority=row["priority"],
        source=GrantSource(row["source"]),
        effective_at_ms=row["effective_at_ms"],
        expires_at_ms=row["expires_at_ms"],
    )


def all_balances(connection: Connection, account_id: int) -> list[tuple[str, int, int]]:
    """(credit type, balance, debt) for every type the account ever had."""
    rows = connection.execute(
        select(balances.c.credit_type, balances.c.balance, balances.c.debt)
        .where(balances.c.account_id == account_id)
        .order_by(balances.c.credit_type)
    )
    return [(row.credit_type, row.balance, row.debt) for row in rows]


def balances_at(connection: Connection, account_id: int, at_ms: int) -> list[tuple[str, int, int]]:
    """(credit type, balance, debt) after the last entry at or before an instant."""
    last = (
        select(entries.c.credit_type, func.max(entries.c.seq).label("seq"))
        .where(entries.c.account_id == account_id, entries.c.at_ms <= at_ms)
        .group_by(entries.c.credit_type)
        .subquery()
    )
    rows = connection.execute(
        select(entries.c.credit_type, entries.c.balance_after, entries.c.debt_after)
        .join(last, and_(last.c.credit_type == entries.c.credit_type, last.c.seq == entries.c.seq))
        .where(entries.c.account_id == account_id)
        .order_by(entries.c.credit_type)
    )
    return [(row.credit_type, row.balance_after, row.debt_after) for row in rows]


def list_entries(
    connection: Connection, account_id: int, *, credit_type: str | None, before_id: int | None, limit: int
) -> list[RowMapping]:
    """Entries, newest first."""
    query = select(entries).where(entries.c.account_id == account_id).order_by(entries.c.id.desc()).limit(limit)
    if credit_type is not None:
        query = query.where(entries.c.credit_type == credit_type)
    if before_id is not None:
        query = query.where(entries.c.id < before_id)
    return list(connection.execute(query).mappings())


def list_grants(
    connection: Connection, account_id: int, *, credit_type: str | None, before_id: int | None, limit: int
) -> list[RowMapping]:
    """Grants, newest first."""
    query = select(grants).where(grants.c.account_id == account_id).order_by(grants.c.id.desc()).limit(limit)
    if credit_type is not None:
        query = query.where(grants.c.credit_type == credit_type)
    if before_id is not None:
        query = query.where(grants.c.id < before_id)
    return list(connection.execute(query).mappings())
