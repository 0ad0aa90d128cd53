"""
Watches balances and lots: tells when credits run low, when they do not any more, and when they are about to lapse.

Both follow the ledger with a cursor, so that a pass reads what is new and not everything. A pass may be killed, run
twice or run late: what was told is kept with what it was told of.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, select, tuple_, update

from credits.clock import Clock, iso
from credits.config.catalogue import Catalogue
from credits.config.settings import Tenant
from credits.db import insert_new, transaction
from credits.ledger import service as ledger
from credits.ledger.tables import accounts, entries, grants
from credits.notifications.model import Kind
from credits.notifications.service import notify
from credits.notifications.tables import balance_watches, watch_cursors

DAY_MS: Final = 86_400_000

# Ids are given before they are committed: a transaction that takes long commits a number below the last one read.
_OVERLAP: Final = 1_000
_ENTRIES_AT_ONCE: Final = 5_000
_LOTS_AT_ONCE: Final = 500
_BALANCES: Final = "balances"
_LOTS: Final = "lots"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRuntime:
    """Everything that watching needs from outside."""

    engine: Engine
    catalogue: Catalogue
    clock: Clock


def crossing(*, was_low: bool, available: int, low_balance: int) -> Kind | None:
    """What to tell of credits of which so many are available: None as long as they stay on their side."""
    is_low = available < low_balance
    if is_low == was_low:
        return None
    return Kind.BALANCE_LOW if is_low else Kind.BALANCE_RECOVERED


def watch(runtime: WatchRuntime) -> int:
    """One pass over what is new in the ledger, and over what lapses within the notice; answers how much was told."""
    return watch_balances(runtime) + watch_lots(runtime)


def watch_balances(runtime: WatchRuntime) -> int:
    """Tell of balances that crossed their `low_balance` since the last pass; answers how many did."""
    levels = runtime.catalogue.notifications.low_balance
    if not levels:
        return 0
    with transaction(runtime.engine) as connection:
        _, last_id = _cursor(connection, _BALANCES)
        found = connection.execute(
            select(entries.c.id, entries.c.tenant, entries.c.account_id, entries.c.credit_type, entries.c.seq)
            .where(entries.c.id > max(0, last_id - _OVERLAP))
            .order_by(entries.c.id)
            .limit(_ENTRIES_AT_ONCE)
        ).all()
        newest = {(row.tenant, row.account_id, row.credit_type): row.seq for row in found if row.credit_type in levels}
        told = _tell_crossings(connection, newest, levels, now_ms=runtime.clock())
        if found:
            _move_cursor(connection, _BALANCES, at=0, row_id=max(last_id, found[-1].id))
    return told


def watch_lots(runtime: WatchRuntime) -> int:
    """Tell, once each, of lots that lapse within `notifications.lapse_notice_days`; answers how many were told."""
    days = runtime.catalogue.notifications.lapse_notice_days
    if days is None:
        return 0
    now_ms = runtime.clock()
    with transaction(runtime.engine) as connection:
        at, last_id = _cursor(connection, _LOTS)
        found = connection.execute(
            select(grants, accounts.c.external_id)
            .join(accounts, accounts.c.id == grants.c.account_id)
            .where(
                tuple_(grants.c.expires_at_ms, grants.c.id) > tuple_(max(at, now_ms), last_id if at >= now_ms else 0),
                grants.c.expires_at_ms <= now_ms + days * DAY_MS,
                grants.c.remaining > 0,
            )
            .order_by(grants.c.expires_at_ms, grants.c.id)
            .limit(_LOTS_AT_ONCE)
        ).mappings()
        rows = [dict(row) for row in found]
        told = sum(_tell_of_lot(connection, row, now_ms=now_ms) for row in rows)
        if rows:
            _move_cursor(connection, _LOTS, at=rows[-1]["expires_at_ms"], row_id=rows[-1]["id"])
    return told


def _tell_crossings(
    connection: Connection,
    newest: Mapping[tuple[str, int, str], int],
    levels: Mapping[str, int],
    *,
    now_ms: int,
) -> int:
    known = _known(connection, {account_id for _, account_id, _ in newest})
    changed = {key: seq for key, seq in newest.items() if known.get(key[1:], (False, 0))[1] < seq}
    names = _names(connection, {account_id for _, account_id, _ in changed})
    told = 0
    for (tenant_name, account_id, credit_type), seq in changed.items():
        tenant, account = Tenant(tenant_name), names[account_id]
        # As of now: entries that came after the last one read are counted in, and met again at the next pass.
        balance = ledger.balances(connection, tenant, account, now_ms=now_ms)[credit_type]
        was_low, _ = known.get((account_id, credit_type), (False, 0))
        kind = crossing(was_low=was_low, available=balance.available, low_balance=levels[credit_type])
        is_low = was_low if kind is None else kind is Kind.BALANCE_LOW
        _remember(connection, tenant, account_id, credit_type, is_low=is_low, seq=seq, now_ms=now_ms)
        if kind is not None:
            data = {
                "credit_type": credit_type,
                "available": balance.available,
                "low_balance": levels[credit_type],
            }
            key = f"{account_id}:{credit_type}:{seq}"
            told += notify(connection, tenant, kind, key=key, account=account, data=data, now_ms=now_ms)
    return told


def _tell_of_lot(connection: Connection, row: Mapping[str, Any], *, now_ms: int) -> bool:
    data = {
        "credit_type": row["credit_type"],
        "amount": row["remaining"],
        "expires_at": iso(row["expires_at_ms"]),
        "source": row["source"],
    }
    return notify(
        connection,
        Tenant(row["tenant"]),
        Kind.CREDITS_LAPSE_SOON,
        key=f"{row['id']}:{row['expires_at_ms']}",
        account=row["external_id"],
        data=data,
        now_ms=now_ms,
    )


def _known(connection: Connection, account_ids: Iterable[int]) -> dict[tuple[int, str], tuple[bool, int]]:
    rows = connection.execute(select(balance_watches).where(balance_watches.c.account_id.in_(sorted(account_ids))))
    return {(row.account_id, row.credit_type): (bool(row.is_low), row.seq) for row in rows}


def _names(connection: Connection, account_ids: Iterable[int]) -> dict[int, str]:
    rows = connection.execute(
        select(accounts.c.id, accounts.c.external_id).where(accounts.c.id.in_(sorted(account_ids)))
    )
    return {row.id: row.external_id for row in rows}


def _remember(
    connection: Connection,
    tenant: Tenant,
    account_id: int,
    credit_type: str,
    *,
    is_low: bool,
    seq: int,
    now_ms: int,
) -> None:
    values = {"is_low": int(is_low), "seq": seq, "at_ms": now_ms}
    fresh = insert_new(
        connection,
        balance_watches,
        {"account_id": account_id, "credit_type": credit_type, "tenant": tenant, **values},
        unique=("account_id", "credit_type"),
        returning=("seq",),
    )
    if fresh is None:
        connection.execute(
            update(balance_watches)
            .where(balance_watches.c.account_id == account_id, balance_watches.c.credit_type == credit_type)
            .values(**values)
        )


def _cursor(connection: Connection, name: str) -> tuple[int, int]:
    row = connection.execute(select(watch_cursors).where(watch_cursors.c.name == name)).one_or_none()
    return (0, 0) if row is None else (row.at, row.row_id)


def _move_cursor(connection: Connection, name: str, *, at: int, row_id: int) -> None:
    values = {"at": at, "row_id": row_id}
    fresh = insert_new(
        connection, watch_cursors, {"tenant": "all", "name": name, **values}, unique=("name",), returning=("name",)
    )
    if fresh is None:
        connection.execute(update(watch_cursors).where(watch_cursors.c.name == name).values(**values))
