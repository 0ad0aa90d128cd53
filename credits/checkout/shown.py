"""Prices and purchases as JSON, in the one shape that every face shows."""

from typing import Any, Final

from sqlalchemy import RowMapping

from credits.checkout.answers import Purchase
from credits.checkout.money_back import WENT_BACK, MoneyBack
from credits.clock import iso
from credits.config.catalogue import EXACT
from credits.pricing.model import Price
from credits.pricing.money import plain, written
from credits.pricing.store import PurchaseState
from credits.units import Money

STATES: Final = (*(state.value for state in PurchaseState), "abandoned", *WENT_BACK)
"""Every state that a purchase is shown in; `abandoned` and those of money that went back are not stored."""

_UNIT_DIGITS = 12


def price_json(price: Price, *, account: str | None, locale: str) -> dict[str, Any]:
    """A price with why it is so much: decimals as text, for a JSON number would round them."""
    return {
        "account": account,
        "credit_type": price.credit_type,
        "amount": price.amount,
        "bonus": price.bonus,
        "credits": price.credits,
        "currency": price.currency,
        "total": plain(price.total),
        "total_minor": price.money.amount_minor,
        "formatted": written(price.money, locale),
        "per_unit": _per_unit(price),
        **price_kept(price),
    }


def price_kept(price: Price) -> dict[str, Any]:
    """How a price came about, as it is kept beside the quote."""
    return {
        "list_total": plain(price.list_total),
        "discount": plain(price.discount),
        "plan": price.plan,
        "rule": price.rule.value,
        "slab": None
        if price.slab is None
        else {
            "from": price.slab.first,
            "to": price.slab.last,
            "price_per_unit": plain(price.slab.price_per_unit),
        },
    }


def purchase_json(row: RowMapping, *, state: str, back: MoneyBack | None, locale: str) -> Purchase:
    """A purchase from its quote to its credits."""
    return {
        "purchase_id": row["quote_id"] or str(row["id"]),
        "account": row["account"],
        "state": state,
        "reason": row["reason"] or None,
        "provider": row["provider"],
        "credit_type": row["credit_type"],
        "amount": row["amount"],
        "bonus": row["bonus"],
        "plan": row["plan"],
        "price": row["product_id"],
        "currency": row["currency"],
        "total_minor": row["asked_minor"],
        "formatted": _formatted(row["asked_minor"], row["currency"], locale),
        "paid_minor": row["paid_minor"],
        "refunded_minor": 0 if back is None else back.refunded_minor,
        "disputed_minor": 0 if back is None else back.disputed_minor,
        "refunded_currency": None if back is None else back.currency,
        "priced_by": row["price"] or None,
        "checkout_url": row["checkout_url"],
        "payment": row["key"],
        "same_quote_as": row["same_quote_as"],
        "expires_at": iso(row["expires_at_ms"]),
        "created_at": str(iso(row["created_at_ms"])),
        "updated_at": str(iso(row["updated_at_ms"])),
    }


def _per_unit(price: Price) -> str:
    """What one credit costs in the end, the bonus counted, to twelve digits: to look at, not to reckon with."""
    exact = EXACT.copy()
    exact.prec, exact.traps = _UNIT_DIGITS, dict.fromkeys(exact.traps, False)
    each = exact.divide(price.total, exact.create_decimal(price.credits))
    return plain(each.normalize(exact)) if each else "0"


def _formatted(amount_minor: int | None, currency: str | None, locale: str) -> str | None:
    if amount_minor is None or currency is None:
        return None
    return written(Money(amount_minor=amount_minor, currency=currency), locale)
