"""SQL of quotes that a payment without a quote's id may be for. Every function runs in the caller's transaction."""

from typing import Final

from sqlalchemy import Connection, RowMapping, select

from credits.config.settings import Tenant
from credits.pricing.tables import purchases
from credits.units import Money

LOOKED_BACK_MS: Final = 3 * 86_400_000
"""A checkout is paid within hours of its quote, and no provider keeps one open for longer."""

CLOCKS_MS: Final = 60_000
"""Providers date by the second, or by another clock than ours: a payment may seem older than its quote."""

_MOST: Final = 1_000

_WANTED: Final = [
    purchases.c[name]
    for name in (
        "quote_id",
        "account",
        "email_digest",
        "credit_type",
        "amount",
        "plan",
        "state",
        "created_at_ms",
        "expires_at_ms",
    )
]
"""There may be a thousand of them for each of a thousand orders: nothing that is not looked at."""


def quotes_like(
    connection: Connection,
    tenant: Tenant,
    provider: str,
    *,
    asked: Money | None,
    plan_product: str | None,
    paid_from_ms: int,
    paid_until_ms: int,
) -> list[RowMapping]:
    """
    Every quote, paid or not, that asked for the same before a payment of that time; the newest first.

    With `plan_product` those that subscribe by that product; otherwise those of credits for `asked`.
    """
    table = purchases.c
    query = select(*_WANTED).where(
        table.tenant == tenant,
        table.provider == provider,
        table.quote_id.is_not(None),
        table.created_at_ms.between(paid_from_ms - LOOKED_BACK_MS, paid_until_ms + CLOCKS_MS),
    )
    if plan_product is not None:
        query = query.where(table.plan.is_not(None), table.product_id == plan_product)
    elif asked is not None:
        is_same_price = (table.asked_minor == asked.amount_minor) & (table.currency == asked.currency)
        query = query.where(table.amount.is_not(None), is_same_price)
    else:
        return []
    return list(connection.execute(query.order_by(table.id.desc()).limit(_MOST)).mappings())
