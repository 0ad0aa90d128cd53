"""The price that one account pays: its plan looked up, its price list asked."""

from decimal import Decimal

from credits.checkout.model import Shop
from credits.config.catalogue import Plan, PriceList
from credits.db import snapshot
from credits.errors import PriceCalculatorError
from credits.ids import checked_id
from credits.plans.current import plans_of_account
from credits.pricing.calculate import calculated_price
from credits.pricing.model import Price
from credits.pricing.money import checked_currency
from credits.pricing.rules import best_plan, price_of


def price(shop: Shop, credit_type: str, amount: int, *, account: str | None, currency: str | None) -> Price:
    """
    What `amount` credits cost now; with an account, what they cost it, by the plan that takes most off.

    Raises:
        InvalidInputError: an unknown type, an amount or currency outside its bounds or without a price; it names them.
        PriceCalculatorError: the installation's calculator failed.
    """
    kind = shop.catalogue.credit_type(checked_id(credit_type, "credit_type"))
    prices = kind.price_list(None if currency is None else checked_currency(currency))
    plan = None if account is None else _plan_of(shop, checked_id(account, "account"))
    # Outside any transaction: a calculator is somebody else's code, and may take its time.
    return price_of(prices, amount, plan, calculate=_calculate)


def _plan_of(shop: Shop, account: str) -> Plan | None:
    with snapshot(shop.engine) as connection:
        return best_plan(plans_of_account(connection, shop.tenant, account, shop.catalogue))


def _calculate(prices: PriceList, amount: int, plan: str | None) -> Decimal:
    name = prices.price_calculator or ""
    if prices.calculator is None:
        raise PriceCalculatorError(name, amount, "is not loaded; start the program again")
    return calculated_price(prices.calculator, name, amount, plan)
