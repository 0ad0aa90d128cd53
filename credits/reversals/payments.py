"""SQL of payments: one row under all of its names. Every function runs in the caller's transaction; none commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from credits.config.settings import Tenant
from credits.db import insert_each_new
from credits.reversals.tables import payment_names, payments, reversals
from credits.units import Money

_NAMED: Final = select(payment_names.c.name, payment_names.c.payment_id).where(
    payment_names.c.tenant == bindparam("tenant"), payment_names.c.name.in_(bindparam("names", expanding=True))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One payment under all of its names."""

    id: int
    is_new: bool
    """Whether this call made it, so that nothing can have been refunded of it yet."""
    new_names: tuple[str, ...]


def find_payment(connection: Connection, tenant: Tenant, names: Sequence[str]) -> int | None:
    """The payment with any of `names`; the oldest if they name several."""
    rows = connection.execute(_NAMED, {"tenant": tenant, "names": list(names)})
    return min((row.payment_id for row in rows), default=None)


def name_payment(
    connection: Connection, tenant: Tenant, names: Sequence[str], *, paid: Money | None, now_ms: int
) -> Payment:
    """
    The payment with any of `names`, made if nobody knows one; afterwards it has all of them.

    Names that two payments had until now make them one. What it cost is kept from whoever says it first.
    """
    wanted = sorted(set(names))
    known = {row.name: row.payment_id for row in connection.execute(_NAMED, {"tenant": tenant, "names": wanted})}
    is_new = not known
    payment_id = _insert_payment(connection, tenant, paid, now_ms) if is_new else min(known.values())
    rows = [{"tenant": tenant, "name": name, "payment_id": payment_id} for name in wanted if name not in known]
    added = insert_each_new(connection, payment_names, rows, unique=("tenant", "name"), returning=("name",))
    fresh = sorted(row["name"] for row in added)
    if len(fresh) + len(known) < len(wanted):
        # Another event of the payment named it a moment ago.
        found = connection.execute(_NAMED, {"tenant": tenant, "names": wanted}).all()
        known, is_new = {row.name: row.payment_id for row in found}, False
        payment_id = min(known.values())
    for other in sorted(set(known.values()) - {payment_id}):
        _merge(connection, other, into=payment_id)
    if paid is not None and not is_new:
        connection.execute(
            update(payments)
            .where(payments.c.id == payment_id, payments.c.paid_minor.is_(None))
            .values(paid_minor=paid.amount_minor, currency=paid.currency)
        )
    return Payment(id=payment_id, is_new=is_new, new_names=tuple(fresh))


def read_payment(connection: Connection, payment_id: int) -> RowMapping:
    """The payment's row."""
    return connection.execute(select(payments).where(payments.c.id == payment_id)).mappings().one()


def lock_payment(connection: Connection, payment_id: int) -> RowMapping:
    """The payment's row, which nobody else changes until the transaction ends. Lock it before any account."""
    query = select(payments).where(payments.c.id == payment_id).with_for_update()
    return connection.execute(query).mappings().one()


def _insert_payment(connection: Connection, tenant: Tenant, paid: Money | None, now_ms: int) -> int:
    payment_id: int = connection.execute(
        insert(payments).returning(payments.c.id),
        {
            "tenant": tenant,
            "paid_minor": None if paid is None else paid.amount_minor,
            "currency": None if paid is None else paid.currency,
            "counted_minor": 0,
            "created_at_ms": now_ms,
        },
    ).scalar_one()
    return payment_id


def _merge(connection: Connection, other_id: int, *, into: int) -> None:
    """Two payments turn out to be one."""
    other, kept = (lock_payment(connection, payment_id) for payment_id in sorted((other_id, into), reverse=True))
    for table in (payment_names, reversals):
        connection.execute(update(table).where(table.c.payment_id == other_id).values(payment_id=into))
    values: dict[str, Any] = {"counted_minor": max(kept["counted_minor"], other["counted_minor"])}
    if kept["paid_minor"] is None:
        values |= {"paid_minor": other["paid_minor"], "currency": other["currency"]}
    connection.execute(update(payments).where(payments.c.id == into).values(**values))
