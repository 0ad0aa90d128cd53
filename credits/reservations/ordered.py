"""
Orders as booking sees them: a clawback or freeze is carried out by one line of one journal, or by none.

A freeze has no entry whose key would tell a second line from the first; and a clawback that found nothing has none
either. So the order's row says which line it was: every other line of it is given back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update

from credits.config.settings import Tenant
from credits.ledger.model import DebitKind
from credits.ledger.orders import commands
from credits.reservations.journal import Debit

_ONCE: Final = frozenset({DebitKind.CLAWBACK, DebitKind.FREEZE})

_ORDERS: Final = select(commands.c.tenant, commands.c.op, commands.c.state, commands.c.journal_id).where(
    commands.c.tenant.in_(bindparam("tenants", expanding=True)), commands.c.op.in_(bindparam("ops", expanding=True))
)

_CLOSE: Final = (
    update(commands)
    .where(commands.c.tenant == bindparam("of_tenant"), commands.c.op == bindparam("done_op"))
    .values(state="done", taken=bindparam("took"), journal_id=bindparam("line"), done_at_ms=bindparam("done_ms"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """An order: whether it is done, and by which line."""

    is_done: bool
    journal_id: str | None


def read_orders(
    connection: Connection, tenants: Mapping[int, Tenant], debits: Iterable[Debit]
) -> dict[tuple[Tenant, str], Ordered]:
    """The orders of the clawbacks and freezes among `debits`."""
    ops = sorted({debit.op for debit in debits if debit.kind in _ONCE})
    if not ops:
        return {}
    rows = connection.execute(_ORDERS, {"tenants": sorted(set(tenants.values())), "ops": ops})
    return {
        (Tenant(row.tenant), row.op): Ordered(is_done=row.state == "done", journal_id=row.journal_id) for row in rows
    }


def is_done_elsewhere(orders: Mapping[tuple[Tenant, str], Ordered], tenant: Tenant, debit: Debit) -> bool:
    """Whether the order of `debit` was done by another line, or found nothing to take; so this line is given back."""
    order = orders.get((tenant, debit.op))
    if debit.kind not in _ONCE or order is None:
        return False
    return order.is_done and order.journal_id != debit.journal_id


def close_orders(connection: Connection, done: Iterable[Mapping[str, Any]], now_ms: int) -> None:
    """Mark the orders done whose debits a batch books: `of_tenant`, `done_op`, what it `took`, by which `line`."""
    rows = [{**order, "done_ms": now_ms} for order in done]
    if rows:
        connection.execute(_CLOSE, rows)
