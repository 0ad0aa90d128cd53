"""What selling works with: an installation's shop, a request for a checkout, and what a payment provider has to be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import Engine

from credits.clock import Clock
from credits.config.catalogue import Catalogue, CheckoutRules
from credits.config.settings import Tenant
from credits.units import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutRequest:
    """
    What somebody asks for: so many credits, or a plan.

    Two requests with one key are one request: they must ask for the same.
    """

    account: str
    provider: str
    credit_type: str | None = None
    amount: int | None = None
    currency: str | None = None
    plan: str | None = None
    price: str | None = None
    """Which of the plan's products at the provider; the first one if left out."""
    success_url: str | None = None
    cancel_url: str | None = None
    email: str | None = None
    """The account's address: handed to the provider's page, and kept as a digest that tells payers apart."""
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutOrder:
    """What a provider is told: everything that its checkout is made of. The same order makes the same checkout."""

    purchase_id: str
    account: str
    title: str
    """What the payer reads."""
    credit_type: str | None
    amount: int | None
    """Granted in all."""
    money: Money | None
    product_id: str | None
    """The product that is subscribed to; None where credits are bought at the price `money`."""
    client_reference: str | None
    success_url: str
    cancel_url: str
    expires_at_ms: int
    email: str | None = None
    is_repeat: bool
    """An earlier call may have made the checkout, and been cut off before it knew."""
    rules: CheckoutRules


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCheckout:
    """Where it can be paid."""

    checkout_id: str
    url: str
    key: str | None
    """What its payment will be called in the ledger, where the provider names it beforehand."""


class PaymentProvider(Protocol):
    """
    A provider that sells for us: the one place that speaks to its API.

    To charge a saved card, and to list what was paid, are calls of their own beside `create_checkout`.
    """

    @property
    def name(self) -> str:
        """As in the URL `/webhooks/<name>`."""
        ...

    def chargeable(self, money: Money) -> Money:
        """`money` as the provider can charge it. Raises NotSoldByError for a currency that it does not take here."""
        ...

    def create_checkout(self, order: CheckoutOrder) -> ProviderCheckout:
        """
        Make the checkout, or find the one that was made for the same order.

        Raises ProviderUnavailableError if it may succeed later, ProviderRefusedError if the provider said no.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """One tenant's shop: what prices and checkouts need from outside, made once and passed in."""

    engine: Engine
    catalogue: Catalogue
    tenant: Tenant
    clock: Clock
    base_url: str
    secret_key: str = field(repr=False, default="")
    sellers: Mapping[str, PaymentProvider] = field(default_factory=dict)

    @property
    def offered(self) -> tuple[str, ...]:
        """The sellers' names as payers are offered them: in the order of credits.toml, then the others."""
        first = [name for name in dict.fromkeys(self.catalogue.checkout.providers) if name in self.sellers]
        return (*first, *(name for name in self.sellers if name not in first))
