"""Amounts of credits and money, and the bounds they keep."""

import re
from dataclasses import dataclass
from typing import Final

from credits.errors import InvalidAmountError, InvalidCurrencyError

# Lua numbers are doubles: above 2^53 - 1 the gate could not tell two neighbours apart.
MAX_AMOUNT: Final = 2**53 - 1

_AMOUNT_TEXT = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


def checked_amount(value: object, field: str = "amount", *, smallest: int = 1) -> int:
    """Return `value` if it is a whole number from `smallest` to 2^53 − 1; raise InvalidAmountError otherwise."""
    # `type is int`, because True is an int to isinstance.
    if type(value) is not int or not smallest <= value <= MAX_AMOUNT:
        raise InvalidAmountError(field, value, MAX_AMOUNT, minimum=smallest)
    return value


def parse_amount(text: object, field: str = "amount", *, smallest: int = 1) -> int:
    """Read an amount that travelled as text (metadata carries strings only): ASCII digits, no sign or zero in front."""
    if type(text) is int:
        return checked_amount(text, field, smallest=smallest)
    if not isinstance(text, str) or not _AMOUNT_TEXT.fullmatch(text):
        raise InvalidAmountError(field, text, MAX_AMOUNT, minimum=smallest)
    return checked_amount(int(text), field, smallest=smallest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount of money in the currency's minor unit (cents; yen have none, dinars have three decimals)."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount_minor) is not int or abs(self.amount_minor) > MAX_AMOUNT:
            raise InvalidAmountError("amount_minor", self.amount_minor, MAX_AMOUNT)
        if not _CURRENCY.fullmatch(self.currency):
            raise InvalidCurrencyError(self.currency)

    def __str__(self) -> str:
        return f"{self.amount_minor} {self.currency} (minor units)"
