"""What an amount of credits costs. Pure and exact: every price is a Decimal, nothing is rounded here."""

from decimal import Decimal

from credits.config.catalogue import EXACT, CreditType, Pricing, Slab
from credits.errors import AmountNotForSaleError
from credits.units import checked_amount


def total_price(credit_type: CreditType, amount: int) -> Decimal:
    """
    The price of `amount` credits by the slabs of `credit_type`, before any discount, in major units of its currency.

    Raises:
        InvalidAmountError: `amount` is no whole number from 1 to 2^53 − 1.
        AmountNotForSaleError: it is below the minimum, above the maximum, or no slab prices it.
    """
    checked_amount(amount)
    match credit_type.pricing:
        case Pricing.VOLUME:
            return _slab_for(credit_type, amount).price_of(amount)
        case Pricing.GRADUATED:
            return _graduated_price(credit_type, _slab_for(credit_type, amount), amount)
        case Pricing.CALCULATOR:
            raise AmountNotForSaleError(credit_type.key, amount, "priced by a calculator, not by slabs")
        case None:
            raise AmountNotForSaleError(credit_type.key, amount, "not for sale: it has no slabs and no calculator")


def _slab_for(credit_type: CreditType, amount: int) -> Slab:
    if amount < credit_type.minimum_amount:
        reason = f"must be at least {credit_type.minimum_amount} (minimum_amount)"
        raise AmountNotForSaleError(credit_type.key, amount, reason)
    if amount > credit_type.largest_amount:
        reason = f"must be at most {credit_type.largest_amount} (maximum_amount, or the end of the last slab)"
        raise AmountNotForSaleError(credit_type.key, amount, reason)
    slab = credit_type.slab_of(amount)
    if slab is None:
        raise AmountNotForSaleError(credit_type.key, amount, "no slab prices this amount")
    return slab


def _graduated_price(credit_type: CreditType, top: Slab, amount: int) -> Decimal:
    """Every slab below `top` in full, and what is left in `top`."""
    total, priced = Decimal(0), 0
    for slab in credit_type.slabs:
        # Where the first slab begins above 1, the units below it belong to it: they are bought along with its own.
        last = amount if slab is top or slab.last is None else slab.last
        total = EXACT.add(total, slab.price_of(last - priced))
        priced = last
        if slab is top:
            break
    return total
