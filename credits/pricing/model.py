"""Values of pricing: what credits cost, and why so much."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from credits.config.catalogue import Slab
from credits.units import Money


class PriceRule(StrEnum):
    """What priced an amount."""

    VOLUME = "volume"
    GRADUATED = "graduated"
    CALCULATOR = "calculator"
    PACK = "pack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What so many credits cost, and why so much."""

    credit_type: str
    amount: int
    """As asked for."""
    bonus: int
    """On top of it, for nothing."""
    list_total: Decimal
    """Before the discount, exact."""
    discount: Decimal
    """The share that the plan takes off, from 0 to 1."""
    plan: str | None
    """The buyer's plan."""
    total: Decimal
    """What is to be paid: discounted, then rounded half up to the currency's smallest unit."""
    money: Money
    """The same in minor units."""
    rule: PriceRule
    slab: Slab | None
    """The slab that holds the amount, where slabs priced it."""

    @property
    def credits(self) -> int:
        """What is granted for it."""
        return self.amount + self.bonus

    @property
    def currency(self) -> str:
        return self.money.currency
