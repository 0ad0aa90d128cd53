"""SQL of the gate: epochs, snapshots, the outbox, commands. Every function runs in the caller's transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, RowMapping, String, bindparam, cast, delete, func, literal, select, update

from credits.config.settings import Tenant
from credits.db import insert_new
from credits.ledger.model import PAID_SOURCES, DebitKind, GrantSource
from credits.ledger.orders import commands
from credits.ledger.tables import accounts, balances, entries, grants, outbox
from credits.reservations.model import GateLot, sort_key
from credits.reservations.tables import shards

# What every call may run is built once, with parameters: SQLAlchemy takes longer to put a statement together than the
# server to run it.
_READ_EPOCH: Final = select(shards.c.epoch).where(shards.c.id == bindparam("shard"))
_READ_EPOCHS: Final = select(shards.c.id, shards.c.epoch).where(shards.c.id.in_(bindparam("shard_ids", expanding=True)))
_READ_SHARD: Final = select(shards.c.epoch, shards.c.owner).where(shards.c.id == bindparam("shard"))
_RAISE_EPOCH: Final = (
    update(shards)
    .where(shards.c.id == bindparam("shard"), shards.c.epoch == bindparam("current"))
    .values(epoch=shards.c.epoch + 1)
)
_NAME_OWNER: Final = (
    update(shards).where(shards.c.id == bindparam("shard"), shards.c.owner.is_(None)).values(owner=bindparam("name"))
)
_SV: Final = select(accounts.c.sv).where(accounts.c.id == bindparam("account"))
_DEBTS: Final = select(balances.c.credit_type, balances.c.debt).where(balances.c.account_id == bindparam("account"))
_LOTS: Final = select(
    grants.c.id,
    grants.c.credit_type,
    (grants.c.remaining - grants.c.frozen).label("free"),
    grants.c.priority,
    grants.c.expires_at_ms,
    grants.c.source,
).where(grants.c.account_id == bindparam("account"), grants.c.remaining > grants.c.frozen)
_PENDING_CREDITS: Final = (
    select(outbox, grants.c.priority, grants.c.expires_at_ms, grants.c.source)
    .join(grants, grants.c.id == outbox.c.grant_id)
    .where(outbox.c.account_id.in_(bindparam("account_ids", expanding=True)))
    .order_by(outbox.c.account_id, outbox.c.sv)
    .limit(bindparam("at_most"))
)
_FORGET_CREDITS: Final = delete(outbox).where(
    outbox.c.account_id == bindparam("account"), outbox.c.sv <= bindparam("up_to")
)
_IS_BOOKED: Final = (
    select(entries.c.id)
    .where(entries.c.tenant == bindparam("tenant"), entries.c.key.in_(bindparam("keys", expanding=True)))
    .limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """An account at one instant, as the gate loads it."""

    epoch: int
    sv: int
    debts: tuple[tuple[str, int], ...]
    lots: tuple[GateLot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """A credit that the gate has not applied yet."""

    account_id: int
    sv: int
    credit_type: str
    kept: int
    repaid: int
    sort_key: str


def read_epoch(connection: Connection, shard: int) -> int:
    """The epoch of a shard; 0 if nobody has used it yet."""
    found = connection.execute(_READ_EPOCH, {"shard": shard}).scalar_one_or_none()
    return 0 if found is None else found


def read_epochs(connection: Connection, shard_ids: Iterable[int]) -> dict[int, int]:
    """The epochs of those of the shards that somebody has used."""
    return {row.id: row.epoch for row in connection.execute(_READ_EPOCHS, {"shard_ids": sorted(shard_ids)})}


def read_shard(connection: Connection, shard: int) -> tuple[int, str | None]:
    """(epoch, owner) of a shard; (0, None) if nobody has used it yet."""
    found = connection.execute(_READ_SHARD, {"shard": shard}).one_or_none()
    return (0, None) if found is None else (found.epoch, found.owner)


def name_owner(connection: Connection, shard: int, name: str) -> str:
    """Give a shard an owner, unless it has one; answers which. The shard must have been used."""
    connection.execute(_NAME_OWNER, {"shard": shard, "name": name})
    owner: str = connection.execute(_READ_SHARD, {"shard": shard}).one().owner
    return owner


def raise_epoch(connection: Connection, shard: int, current: int, *, owner: str | None = None) -> bool:
    """Begin the epoch after `current`, the first one with its `owner`; True for the one caller who may arm it."""
    if current == 0:
        insert_new(
            connection,
            shards,
            {"id": shard, "tenant": "all", "epoch": 0, "owner": owner},
            unique=("id",),
            returning=("id",),
        )
    result = connection.execute(_RAISE_EPOCH, {"shard": shard, "current": current})
    return result.rowcount == 1


def read_snapshot(connection: Connection, shard: int, account_id: int) -> Snapshot | None:
    """An account with its open lots; run it in a snapshot. None if there is no such account."""
    account = {"account": account_id}
    sv = connection.execute(_SV, account).scalar_one_or_none()
    if sv is None:
        return None
    owed, lots = connection.execute(_DEBTS, account), connection.execute(_LOTS, account)
    return Snapshot(
        epoch=read_epoch(connection, shard),
        sv=sv,
        debts=tuple((row.credit_type, row.debt) for row in owed),
        lots=tuple(
            GateLot(
                credit_type=row.credit_type,
                available=row.free,
                sort_key=_sort_key(row.priority, row.expires_at_ms, row.source, row.id),
            )
            for row in lots
        ),
    )


def pending_credits(connection: Connection, account_ids: Sequence[int], *, limit: int = 1_000) -> list[Credit]:
    """The credits of these accounts that wait for the gate, account by account in the order of their numbers."""
    rows = connection.execute(_PENDING_CREDITS, {"account_ids": list(account_ids), "at_most": limit})
    return [
        Credit(
            account_id=row.account_id,
            sv=row.sv,
            credit_type=row.credit_type,
            kept=row.amount,
            repaid=row.debt_repaid,
            sort_key=_sort_key(row.priority, row.expires_at_ms, row.source, row.grant_id),
        )
        for row in rows
    ]


def accounts_with_pending_credits(connection: Connection, *, limit: int) -> list[int]:
    """Accounts that have credits which wait for the gate."""
    return list(connection.execute(select(outbox.c.account_id).distinct().limit(limit)).scalars())


def forget_credits(connection: Connection, applied: Iterable[Credit]) -> None:
    """The gate has these credits and those before them, or will see them when it loads the account."""
    last: dict[int, int] = {}
    for credit in applied:
        last[credit.account_id] = max(credit.sv, last.get(credit.account_id, 0))
    if last:
        connection.execute(
            _FORGET_CREDITS, [{"account": account_id, "up_to": sv} for account_id, sv in sorted(last.items())]
        )


def is_booked(connection: Connection, tenant: Tenant, op: str, credit_types: Iterable[str]) -> bool:
    """Whether an op has an entry of any of these credit types."""
    keys = [f"{op}:{credit_type}" for credit_type in credit_types]
    return connection.execute(_IS_BOOKED, {"tenant": tenant, "keys": keys}).first() is not None


def open_commands(connection: Connection, *, limit: int) -> list[RowMapping]:
    """Orders that the gate has not carried out, the oldest first."""
    return list(
        connection.execute(
            select(commands).where(commands.c.state == "open").order_by(commands.c.id).limit(limit)
        ).mappings()
    )


def close_command(connection: Connection, command_id: int, *, taken: int, now_ms: int) -> None:
    """The gate has carried an order out."""
    connection.execute(
        update(commands)
        .where(commands.c.id == command_id, commands.c.state == "open")
        .values(state="done", taken=taken, done_at_ms=now_ms)
    )


def lapsed_lots(connection: Connection, *, now_ms: int, limit: int, pause_ms: int = 0) -> list[RowMapping]:
    """
    Lots past their expiry that still have credits on the books and no open order.

    One of which an order found nothing free (all of it is held) is left alone for `pause_ms`: a hold may take hours,
    and each order is a row.
    """
    ordered = select(commands.c.id).where(
        commands.c.account_id == grants.c.account_id,
        commands.c.kind == DebitKind.EXPIRE,
        commands.c.state == "open",
    )
    in_vain = select(commands.c.id).where(
        commands.c.account_id == grants.c.account_id,
        commands.c.op.like(literal("expire:") + cast(grants.c.id, String) + ":%"),
        commands.c.taken == 0,
        commands.c.done_at_ms > now_ms - pause_ms,
    )
    return list(
        connection.execute(
            select(grants)
            .where(
                grants.c.expires_at_ms <= now_ms,
                # Said for the index, which has no lot that is used up.
                grants.c.remaining > 0,
                grants.c.remaining > grants.c.frozen,
                ~ordered.exists(),
                ~in_vain.exists(),
            )
            .order_by(grants.c.expires_at_ms)
            .limit(limit)
        ).mappings()
    )


def count_expiries(connection: Connection, account_id: int, grant_id: int) -> int:
    """How often an expiry of this lot was ordered: held credits lapse later, by an order of their own."""
    return connection.execute(
        select(func.count())
        .select_from(commands)
        .where(commands.c.account_id == account_id, commands.c.op.startswith(f"expire:{grant_id}:"))
    ).scalar_one()


def _sort_key(priority: int, expires_at_ms: int | None, source: str, grant_id: int) -> str:
    return sort_key(
        priority=priority,
        expires_at_ms=expires_at_ms,
        is_paid=GrantSource(source) in PAID_SOURCES,
        grant_id=grant_id,
    )
