"""What an amount of credits costs. Pure and exact: every price is a Decimal, rounded once and in one place."""

from collections.abc import Callable, Iterable
from decimal import Decimal

from credits.config.catalogue import EXACT, Pack, Plan, PriceList, Pricing, Slab
from credits.errors import AmountNotForSaleError
from credits.pricing.model import Price, PriceRule
from credits.pricing.money import is_countable, plain, rounded, smallest_price, to_minor
from credits.units import Money, checked_amount

Calculate = Callable[[PriceList, int, str | None], Decimal]
"""Asks the calculator of a price list about an amount and a plan."""


def price_of(prices: PriceList, amount: int, plan: Plan | None, *, calculate: Calculate) -> Price:
    """
    The price of `amount` credits for a buyer with `plan`.

    Raises:
        InvalidAmountError: `amount` is no whole number from 1 to 2^53 − 1.
        AmountNotForSaleError: it is below the minimum, above the maximum, nothing prices it, or its price is less than
            the currency's smallest unit or more than anybody counts to.
        PriceCalculatorError: the installation's calculator failed.
    """
    checked_amount(amount)
    pack = prices.pack_of(amount)
    if pack is not None:
        exact, rule, slab = pack.price, PriceRule.PACK, None
    elif prices.pricing is Pricing.CALCULATOR:
        _check_bounds(prices, amount)
        exact, rule, slab = calculate(prices, amount, plan.key if plan else None), PriceRule.CALCULATOR, None
    else:
        exact = total_price(prices, amount)
        rule, slab = PriceRule(str(prices.pricing)), prices.slab_of(amount)
    discount = plan.discount if plan else Decimal(0)
    total = _total(prices, amount, exact, discount)
    return Price(
        credit_type=prices.key,
        amount=amount,
        bonus=pack.bonus if pack else 0,
        list_total=exact,
        discount=discount,
        plan=plan.key if plan else None,
        total=total,
        money=Money(amount_minor=to_minor(total, prices.currency), currency=prices.currency),
        rule=rule,
        slab=slab,
    )


def total_price(prices: PriceList, amount: int) -> Decimal:
    """
    The price of `amount` credits by the slabs of `prices`, before any discount, in major units of their currency.

    Raises:
        InvalidAmountError: `amount` is no whole number from 1 to 2^53 − 1.
        AmountNotForSaleError: it is below the minimum, above the maximum, or no slab prices it.
    """
    checked_amount(amount)
    match prices.pricing:
        case Pricing.VOLUME:
            return _slab_for(prices, amount).price_of(amount)
        case Pricing.GRADUATED:
            return _graduated_price(prices, _slab_for(prices, amount), amount)
        case Pricing.CALCULATOR:
            raise AmountNotForSaleError(prices.key, amount, "priced by a calculator, not by slabs")
        case None:
            raise AmountNotForSaleError(prices.key, amount, _why_no_price(prices.packs))


def best_plan(plans: Iterable[Plan]) -> Plan | None:
    """Of the plans that somebody has, the one that takes most off; of several, the first by its key."""
    return min(plans, key=lambda plan: (-plan.discount, plan.key), default=None)


def _total(prices: PriceList, amount: int, exact: Decimal, discount: Decimal) -> Decimal:
    discounted = EXACT.multiply(exact, EXACT.subtract(Decimal(1), discount))
    total = rounded(discounted, prices.currency)
    if discounted > 0 and total == 0:
        smallest = plain(smallest_price(prices.currency))
        reason = f"costs less than {smallest} {prices.currency}, the smallest sum there is; buy more of them"
        raise AmountNotForSaleError(prices.key, amount, reason)
    if not is_countable(total, prices.currency):
        raise AmountNotForSaleError(prices.key, amount, "costs more than 2^53 − 1 minor units; buy fewer of them")
    return total


def _why_no_price(packs: tuple[Pack, ...]) -> str:
    if packs:
        return f"sold in packs of {', '.join(str(pack.amount) for pack in packs)} only"
    return "not for sale: it has no slabs, no calculator and no packs"


def _check_bounds(prices: PriceList, amount: int) -> None:
    if amount < prices.minimum_amount:
        reason = f"must be at least {prices.minimum_amount} (minimum_amount)"
        raise AmountNotForSaleError(prices.key, amount, reason)
    if amount > prices.largest_amount:
        reason = f"must be at most {prices.largest_amount} (maximum_amount, or the end of the last slab)"
        raise AmountNotForSaleError(prices.key, amount, reason)


def _slab_for(prices: PriceList, amount: int) -> Slab:
    _check_bounds(prices, amount)
    slab = prices.slab_of(amount)
    if slab is None:
        raise AmountNotForSaleError(prices.key, amount, "no slab prices this amount")
    return slab


def _graduated_price(prices: PriceList, top: Slab, amount: int) -> Decimal:
    """Every slab below `top` in full, and what is left in `top`."""
    total, priced = Decimal(0), 0
    for slab in prices.slabs:
        # Where the first slab begins above 1, the units below it belong to it: they are bought along with its own.
        last = amount if slab is top or slab.last is None else slab.last
        total = EXACT.add(total, slab.price_of(last - priced))
        priced = last
        if slab is top:
            break
    return total
