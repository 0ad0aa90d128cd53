"""Sums of money: the smallest unit of each currency, the one rounding of a price, and how a price is written."""

from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Final

from babel.numbers import format_currency, list_currencies

from credits.errors import InvalidCurrencyError
from credits.units import MAX_AMOUNT, Money

# As providers count them (Stripe's list), which is ISO 4217 but for MGA; all others have two decimals.
_NO_DECIMALS: Final = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
_THREE_DECIMALS: Final = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
# Counted in hundredths by providers, and charged in whole units all the same.
_WHOLE_UNITS_ONLY: Final = frozenset({"ISK", "UGX"})

_ROUNDING: Final = Context(prec=80, rounding=ROUND_HALF_UP)


def checked_currency(value: object) -> str:
    """Return `value` if it is a currency of ISO 4217 in capitals. Raises InvalidCurrencyError."""
    if not isinstance(value, str) or value not in list_currencies():
        raise InvalidCurrencyError(value)
    return value


def decimals_of(currency: str) -> int:
    """How many decimals the minor unit stands for: 2 for USD, 0 for JPY, 3 for KWD."""
    if currency in _NO_DECIMALS:
        return 0
    return 3 if currency in _THREE_DECIMALS else 2


def smallest_price(currency: str) -> Decimal:
    """The smallest sum that can be charged, in major units; every price is a multiple of it."""
    return Decimal(1) if currency in _WHOLE_UNITS_ONLY else Decimal(1).scaleb(-decimals_of(currency))


def rounded(total: Decimal, currency: str) -> Decimal:
    """`total` to the currency's smallest unit, half a unit upwards: the one place where a price is rounded."""
    decimals = Decimal(1).scaleb(-decimals_of(currency))
    in_units = total.quantize(smallest_price(currency), context=_ROUNDING)
    return in_units.quantize(decimals, context=_ROUNDING)


def to_minor(total: Decimal, currency: str) -> int:
    """A rounded price in minor units."""
    return int(total.scaleb(decimals_of(currency), context=_ROUNDING))


def to_major(money: Money) -> Decimal:
    """Minor units as the price they stand for."""
    return Decimal(money.amount_minor).scaleb(-decimals_of(money.currency), context=_ROUNDING)


def is_countable(total: Decimal, currency: str) -> bool:
    """Whether every part of the system can count to so much money."""
    return total.scaleb(decimals_of(currency), context=_ROUNDING) <= MAX_AMOUNT


def written(money: Money, locale: str) -> str:
    """A price as people of `locale` write it: `$1,234.50`."""
    with localcontext(_ROUNDING):
        text: str = format_currency(to_major(money), money.currency, locale=locale)
    return text


def plain(value: Decimal) -> str:
    """A Decimal as text without an exponent."""
    return format(value, "f")
