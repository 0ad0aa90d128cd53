"""Whose payment an unattributed event may be: quotes of the same price that were open then. A hint, never a proof."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select

from credits.clock import iso
from credits.config.settings import Tenant
from credits.errors import CreditsError
from credits.facts import PurchasePaid
from credits.inbox.model import EventState
from credits.inbox.provider import Provider
from credits.payload import parse
from credits.pricing.store import FINAL
from credits.pricing.tables import purchases
from credits.units import Money

_MOST: Final = 5
_SINCE_MS: Final = 3 * 86_400_000
"""A checkout is paid within hours of its quote, and no provider keeps one open for longer."""

_CLOCKS_MS: Final = 60_000
"""Providers date by the second, or by another clock than ours: a payment may seem older than its quote."""


def candidates(
    connection: Connection, tenant: Tenant, event: RowMapping, providers: Mapping[str, Provider]
) -> list[dict[str, Any]]:
    """The quotes that the event's payment may be for, the newest first; none for an event that is not unattributed."""
    if event["state"] != EventState.UNATTRIBUTED or event["provider"] not in providers:
        return []
    try:
        facts = providers[event["provider"]].interpret(parse(bytes(event["body"])))
    except CreditsError:
        return []
    found: list[dict[str, Any]] = []
    for fact in facts:
        if isinstance(fact, PurchasePaid) and fact.quote_id is None and fact.asked is not None:
            # An object may be dated by the day alone; its event is not.
            until_ms = max(fact.occurred_at_ms, event["occurred_at_ms"] or 0) + _CLOCKS_MS
            found += _like(
                connection,
                tenant,
                event["provider"],
                fact.asked,
                since_ms=fact.occurred_at_ms - _SINCE_MS,
                until_ms=until_ms,
            )
    return found[:_MOST]


def _like(
    connection: Connection, tenant: Tenant, provider: str, asked: Money, *, since_ms: int, until_ms: int
) -> list[dict[str, Any]]:
    rows = connection.execute(
        select(purchases)
        .where(
            purchases.c.tenant == tenant,
            purchases.c.provider == provider,
            purchases.c.asked_minor == asked.amount_minor,
            purchases.c.currency == asked.currency,
            purchases.c.quote_id.is_not(None),
            purchases.c.amount.is_not(None),
            purchases.c.state.not_in(FINAL),
            purchases.c.created_at_ms.between(since_ms, until_ms),
        )
        .order_by(purchases.c.id.desc())
        .limit(_MOST)
    ).mappings()
    return [
        {
            "account": row["account"],
            "credit_type": row["credit_type"],
            "amount": row["amount"],
            "purchase_id": row["quote_id"],
            "quoted_at": iso(row["created_at_ms"]),
        }
        for row in rows
    ]
