"""The shop of a market without HTTP, and a seller whose process dies at the worst moment."""

from dataclasses import replace
from typing import Any

from credits.checkout.connect import Sellers
from credits.checkout.model import CheckoutOrder, CheckoutRequest, PaymentProvider, ProviderCheckout, Shop
from credits.clock import system_clock_ms
from credits.config.settings import Tenant
from credits.units import Money
from tests.support.market import Market


class CutOff(BaseException):
    """The process ends here."""


class DyingSeller:
    """A seller whose process ends when the provider has made the checkout, and before anybody knows."""

    def __init__(self, seller: PaymentProvider) -> None:
        self.name = seller.name
        self._seller = seller

    def chargeable(self, money: Money) -> Money:
        return self._seller.chargeable(money)

    def create_checkout(self, order: CheckoutOrder) -> ProviderCheckout:
        self._seller.create_checkout(order)
        raise CutOff


def library(shop: Market, **changes: Any) -> Shop:
    """The shop without HTTP."""
    sellers = Sellers(replace(shop.settings, **changes), Tenant.SANDBOX)
    return replace(shop.pipeline.credits.shop, sellers=sellers, base_url=shop.settings.base_url, clock=system_clock_ms)


def asked(provider: str, key: str | None = "k1", **changes: Any) -> CheckoutRequest:
    said: dict[str, Any] = {"account": "user_1", "credit_type": "image_generation", "amount": 100, **changes}
    return CheckoutRequest(provider=provider, key=key, **said)
