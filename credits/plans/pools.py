"""SQL of the lots that changes of plan split. Every function runs in the caller's transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, or_, select

from credits.ledger.model import DebitKind, EntryKind
from credits.ledger.orders import commands
from credits.ledger.tables import entries, entry_lots, grants
from credits.plans.asks_store import Row, op_of
from credits.plans.tables import carries, plan_lots, plan_periods
from credits.plans.weighing import Pool, PoolLot
from credits.reversals.model import CHANGE_OP
from credits.reversals.tables import reversed_lots

_GONE: Final = (DebitKind.EXPIRE, DebitKind.RESET, EntryKind.RESTORE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The lots that the changes of one billing period split, as the ledger has them."""

    asks: Sequence[Row]
    rows: Sequence[RowMapping]
    """Those that they split, then those that were carried on of these."""
    pool: Pool
    taken: dict[int, int]
    """By lot, in the pool or not: what was taken of it for these changes."""

    @property
    def ids(self) -> frozenset[int]:
        return frozenset(row["id"] for row in self.rows)


def read_split(connection: Connection, asks: Sequence[Row]) -> Split:
    """The pool of these asks, which are of one subscription, credit type and billing period."""
    split = _split_lots(connection, asks)
    carried_on = _carried_on(connection, split)
    rows = [*split, *carried_on]
    ids = [row["id"] for row in rows]
    ops = [op_of(ask, step) for ask in asks for step in range(1, ask["steps"] + 1)]
    keys = {f"{op}:{asks[0]['credit_type']}" for op in ops}
    gone, kept = _gone(connection, ids, keys), _kept(connection, ids)
    lots = [_pool_lot(row, gone[row["id"]], kept[row["id"]]) for row in rows]
    pool = Pool(
        asked=sum(ask["asked"] for ask in asks),
        ordered=sum(ask["ordered"] for ask in asks),
        is_carried_out=not _is_under_way(connection, asks[0]["tenant"], ops),
        lots=lots,
    )
    return Split(asks=asks, rows=rows, pool=pool, taken=_taken(connection, asks[0]["tenant"], keys))


def lots_that_repaid(connection: Connection, ask: Row, *, now_ms: int) -> dict[int, int]:
    """By lot of the account that has not lapsed, the newest first: what of it was never there, as it repaid a debt."""
    query = (
        select(grants.c.id, grants.c.amount, grants.c.remaining, func.coalesce(entry_lots.c.amount, 0).label("kept"))
        .join(entries, (entries.c.tenant == grants.c.tenant) & (entries.c.key == grants.c.key))
        .outerjoin(entry_lots, (entry_lots.c.entry_id == entries.c.id) & (entry_lots.c.grant_id == grants.c.id))
        .where(
            grants.c.account_id == ask["account_id"],
            grants.c.credit_type == ask["credit_type"],
            or_(grants.c.expires_at_ms.is_(None), grants.c.expires_at_ms > now_ms),
            func.coalesce(entry_lots.c.amount, 0) < grants.c.amount,
        )
        .order_by(grants.c.id.desc())
    )
    return {row.id: min(row.amount - row.kept, row.amount - row.remaining) for row in connection.execute(query)}


_LOTS: Final = (
    select(
        grants.c.id,
        grants.c.amount,
        grants.c.remaining,
        grants.c.frozen,
        grants.c.expires_at_ms,
        grants.c.source,
        plan_lots.c.start_ms,
        plan_lots.c.end_ms,
        plan_lots.c.rolls,
        plan_periods.c.plan,
        func.coalesce(reversed_lots.c.wanted_clawed, 0).label("wanted"),
        func.coalesce(reversed_lots.c.adopted, 0).label("adopted"),
        func.coalesce(reversed_lots.c.clawed + reversed_lots.c.forgiven, 0).label("clawed"),
    )
    .join(plan_lots, plan_lots.c.grant_id == grants.c.id)
    .join(plan_periods, plan_periods.c.id == plan_lots.c.period_id)
    .outerjoin(reversed_lots, reversed_lots.c.grant_id == grants.c.id)
)


def _of(ask: Row) -> tuple[ColumnElement[bool], ...]:
    return (
        plan_periods.c.tenant == ask["tenant"],
        plan_periods.c.provider == ask["provider"],
        plan_periods.c.subscription_id == ask["subscription_id"],
        plan_lots.c.credit_type == ask["credit_type"],
    )


def _split_lots(connection: Connection, asks: Sequence[Row]) -> list[RowMapping]:
    """Lots of segments that had begun when a change came, and were not over when it began to count."""
    splits = [
        and_(
            plan_periods.c.source_ref != ask["source_ref"],
            plan_lots.c.start_ms <= ask["cut_ms"],
            plan_lots.c.start_ms < ask["end_ms"],
            plan_lots.c.end_ms > ask["since_ms"],
        )
        for ask in asks
    ]
    query = _LOTS.where(*_of(asks[0]), or_(*splits)).order_by(grants.c.id)
    return list(connection.execute(query).mappings())


def _carried_on(connection: Connection, split: Sequence[RowMapping]) -> list[RowMapping]:
    """What was carried on of these lots, and of that again."""
    found: list[RowMapping] = []
    known, last = {row["id"] for row in split}, [row["id"] for row in split if row["rolls"]]
    while last:
        query = (
            _LOTS.join(carries, (carries.c.key == grants.c.key) & (carries.c.tenant == grants.c.tenant))
            .where(carries.c.grant_id.in_(last))
            .order_by(grants.c.id)
        )
        rows = [row for row in connection.execute(query).mappings() if row["id"] not in known]
        found += rows
        known |= {row["id"] for row in rows}
        last = [row["id"] for row in rows if row["rolls"]]
    return found


def _pool_lot(row: RowMapping, gone: dict[str, int], kept: dict[str, int]) -> PoolLot:
    return PoolLot(
        grant_id=row["id"],
        granted=row["amount"] - kept["done"] - gone["others"],
        lapsed=max(0, gone["lapsed"] - kept["done"] - kept["open"]),
        wanted=row["wanted"],
        clawed=row["clawed"],
        to_carry=kept["open"],
        taken=max(0, gone["own"] - row["adopted"]),
        reachable=row["remaining"] - row["frozen"],
    )


def _gone(connection: Connection, ids: Sequence[int], keys: Collection[str]) -> dict[int, dict[str, int]]:
    """By lot: what ended unused (`lapsed`), was taken for these changes (`own`), or for those of other periods."""
    query = (
        select(entry_lots.c.grant_id, entries.c.kind, entries.c.key, entry_lots.c.amount)
        .join(entries, entries.c.id == entry_lots.c.entry_id)
        .where(entry_lots.c.grant_id.in_(ids), entries.c.kind.in_(_GONE))
    )
    gone = {grant_id: {"lapsed": 0, "own": 0, "others": 0} for grant_id in ids}
    for row in connection.execute(query):
        if row.key.startswith(CHANGE_OP):
            gone[row.grant_id]["own" if row.key in keys else "others"] -= row.amount
        elif row.kind != EntryKind.RESTORE:
            gone[row.grant_id]["lapsed"] -= row.amount
    return gone


def _kept(connection: Connection, ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """By lot: what of it was carried on (`done`), or may yet be (`open`)."""
    query = (
        select(carries.c.grant_id, carries.c.state, func.sum(carries.c.amount).label("amount"))
        .where(carries.c.grant_id.in_(ids), carries.c.state != "void")
        .group_by(carries.c.grant_id, carries.c.state)
    )
    kept = {grant_id: {"open": 0, "done": 0} for grant_id in ids}
    for row in connection.execute(query):
        kept[row.grant_id][row.state] = int(row.amount)
    return kept


def _is_under_way(connection: Connection, tenant: str, ops: Sequence[str]) -> bool:
    """Whether the gate has yet to carry out an order of these."""
    query = select(commands.c.id).where(
        commands.c.tenant == tenant,
        commands.c.state != "done",
        commands.c.op.in_(ops),
    )
    return connection.execute(query.limit(1)).first() is not None


def _taken(connection: Connection, tenant: str, keys: Collection[str]) -> dict[int, int]:
    query = (
        select(entry_lots.c.grant_id, func.sum(-entry_lots.c.amount).label("taken"))
        .join(entries, entries.c.id == entry_lots.c.entry_id)
        .where(entries.c.tenant == tenant, entries.c.key.in_(sorted(keys)))
        .group_by(entry_lots.c.grant_id)
    )
    return {row.grant_id: int(row.taken) for row in connection.execute(query) if row.taken}
