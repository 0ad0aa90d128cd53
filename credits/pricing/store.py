"""SQL of purchases: a quote, then what became of it. Every function runs in the caller's transaction."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from credits.config.settings import Tenant
from credits.db import insert_new
from credits.pricing.tables import purchases
from credits.units import Money


class PurchaseState(StrEnum):
    """Where a purchase is on its way to credits."""

    QUOTED = "quoted"
    PENDING = "pending"
    VOID = "void"
    CREDITED = "credited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What we offered: so many credits to this account, for so much before discounts and taxes."""

    quote_id: str
    account: str
    credit_type: str
    amount: int
    price: Money


def insert_quote(connection: Connection, tenant: Tenant, quote: Quote, *, now_ms: int) -> None:
    """Store a new quote."""
    connection.execute(
        insert(purchases).values(
            tenant=tenant,
            quote_id=quote.quote_id,
            account=quote.account,
            credit_type=quote.credit_type,
            amount=quote.amount,
            asked_minor=quote.price.amount_minor,
            currency=quote.price.currency,
            state=PurchaseState.QUOTED,
            reason="",
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
    )


def find_quote(connection: Connection, tenant: Tenant, quote_id: str) -> Quote | None:
    """A stored quote, or None."""
    row = connection.execute(
        select(purchases).where(purchases.c.tenant == tenant, purchases.c.quote_id == quote_id)
    ).one_or_none()
    if row is None:
        return None
    return Quote(
        quote_id=quote_id,
        account=row.account,
        credit_type=row.credit_type,
        amount=row.amount,
        price=Money(amount_minor=row.asked_minor, currency=row.currency),
    )


def note_state(
    connection: Connection,
    tenant: Tenant,
    key: str,
    state: PurchaseState,
    *,
    reason: str,
    quote_id: str | None = None,
    now_ms: int,
    **bought: Any,
) -> None:
    """
    Note what became of the purchase `key`. A credited one stays credited, however late an older word arrives.

    `bought` may name account, credit_type, amount, paid_minor and currency.
    """
    values = {"key": key, "state": state, "reason": reason, "updated_at_ms": now_ms, **bought}
    open_states = purchases.c.state != PurchaseState.CREDITED
    if quote_id is not None:
        # Events that came before the money know the payment's key but no quote: their row becomes one with the quote's.
        by_key = (purchases.c.tenant == tenant) & (purchases.c.key == key) & purchases.c.quote_id.is_(None)
        connection.execute(delete(purchases).where(by_key))
        by_quote = (purchases.c.tenant == tenant) & (purchases.c.quote_id == quote_id)
        connection.execute(update(purchases).where(by_quote, open_states).values(**values))
        return
    fresh = insert_new(
        connection,
        purchases,
        {"tenant": tenant, "quote_id": None, "created_at_ms": now_ms, **values},
        unique=("tenant", "key"),
        returning=("id",),
    )
    if fresh is None:
        connection.execute(
            update(purchases).where(purchases.c.tenant == tenant, purchases.c.key == key, open_states).values(**values)
        )
