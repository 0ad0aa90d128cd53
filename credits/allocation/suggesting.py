"""Whose payment an event may be that names nobody: quotes of the same price that were open then. A hint, no proof."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from credits.clock import iso
from credits.config.settings import Tenant
from credits.errors import CreditsError
from credits.facts import PurchasePaid
from credits.inbox.model import EventState
from credits.inbox.provider import Provider
from credits.payload import parse
from credits.pricing.likely import quotes_like
from credits.pricing.store import FINAL

_MOST: Final = 5
_NAMELESS: Final = frozenset({EventState.UNATTRIBUTED, EventState.WAITING})


def candidates(
    connection: Connection, tenant: Tenant, event: RowMapping, providers: Mapping[str, Provider]
) -> list[dict[str, Any]]:
    """The unpaid quotes that the event's payment may be for, the newest first; none where somebody is named."""
    if event["state"] not in _NAMELESS or event["provider"] not in providers:
        return []
    try:
        facts = providers[event["provider"]].interpret(parse(bytes(event["body"])))
    except CreditsError:
        return []
    found: list[dict[str, Any]] = []
    for fact in facts:
        if isinstance(fact, PurchasePaid) and fact.quote_id is None and fact.asked is not None:
            rows = quotes_like(
                connection,
                tenant,
                event["provider"],
                asked=fact.asked,
                plan_product=None,
                paid_from_ms=fact.occurred_at_ms,
                # An object may be dated by the day alone; its event is not.
                paid_until_ms=max(fact.occurred_at_ms, event["occurred_at_ms"] or 0),
            )
            found += [_shown(row) for row in rows if row["state"] not in FINAL]
    return found[:_MOST]


def _shown(row: RowMapping) -> dict[str, Any]:
    return {
        "account": row["account"],
        "credit_type": row["credit_type"],
        "amount": row["amount"],
        "purchase_id": row["quote_id"],
        "quoted_at": iso(row["created_at_ms"]),
    }
