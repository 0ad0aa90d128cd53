"""What an installation sells and grants: credit types, their prices, and plans, as `load_catalogue` reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact, InvalidOperation
from enum import StrEnum
from typing import Final, Literal

from credits.config.calculators import Calculator
from credits.config.expiry import NEVER, PERIOD_END, Expiry, ExpiryKind
from credits.config.faces import NotificationRules, PortalRules
from credits.config.policies import ChangePolicy, OnCancel, OnPastDue, OnPause, OnTrialEnd, ZeroInvoice
from credits.config.shortfall import Shortfall
from credits.errors import NoPriceError, UnknownCreditTypeError, UnknownPlanError
from credits.units import MAX_AMOUNT

EXACT: Final = Context(prec=100, traps=[Inexact, InvalidOperation])
"""For sums of money: sixteen digits of credits times a price of up to 24 would be rounded by the usual 28 digits."""


class Pricing(StrEnum):
    """How the price of an amount of credits is found."""

    VOLUME = "volume"
    """The one slab that holds the amount prices every unit of it."""
    GRADUATED = "graduated"
    """Each slab prices the units that fall into it."""
    CALCULATOR = "calculator"
    """A function of the installation's own does."""


class Every(StrEnum):
    """How often a plan hands out its credits while it is paid for."""

    PERIOD = "period"
    """Once per billing period, whatever its length."""
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slab:
    """A range of amounts that share one price per unit."""

    first: int
    last: int | None
    """The last amount inside; None: there is no upper end."""
    price_per_unit: Decimal

    def holds(self, amount: int) -> bool:
        """Whether `amount` lies in this slab."""
        return self.first <= amount and (self.last is None or amount <= self.last)

    def price_of(self, units: int) -> Decimal:
        """The exact price of `units` at this slab's price per unit."""
        return EXACT.multiply(Decimal(units), self.price_per_unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A fixed amount for a fixed price, and credits on top of it for nothing."""

    amount: int
    price: Decimal
    bonus: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """What credits of one type cost in one currency."""

    key: str
    """The credit type's."""
    currency: str
    minimum_amount: int = 1
    maximum_amount: int | None = None
    pricing: Pricing | None = None
    """None: no amount is for sale but those of the packs."""
    slabs: tuple[Slab, ...] = ()
    """In ascending order without gaps; empty unless pricing is volume or graduated."""
    price_calculator: str | None = None
    """`module:function`, called with (amount, plan); set if pricing is calculator."""
    calculator: Calculator | None = field(default=None, repr=False, compare=False)
    """The function that price_calculator names, imported when the file was read."""
    packs: tuple[Pack, ...] = ()

    @property
    def largest_amount(self) -> int:
        """The most one purchase may be: `maximum_amount`, the end of the last slab or 2^53 − 1, whichever is least."""
        bounds = [self.maximum_amount, self.slabs[-1].last if self.slabs else None]
        return min((bound for bound in bounds if bound is not None), default=MAX_AMOUNT)

    @property
    def is_for_sale(self) -> bool:
        """Whether any amount has a price."""
        return self.pricing is not None or bool(self.packs)

    def slab_of(self, amount: int) -> Slab | None:
        """The slab that holds `amount`, None if none does."""
        return next((slab for slab in self.slabs if slab.holds(amount)), None)

    def pack_of(self, amount: int) -> Pack | None:
        """The pack of exactly `amount` credits, None if there is none."""
        return next((pack for pack in self.packs if pack.amount == amount), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditType(PriceList):
    """One kind of credits. It is its own price list in its own currency, and may have others."""

    name: str
    prices: Mapping[str, PriceList] = field(default_factory=dict)
    """By currency: what the same credits cost in others than the type's own."""
    on_clawback_shortfall: Shortfall = Shortfall.DEBT

    def price_list(self, currency: str | None = None) -> PriceList:
        """What these credits cost in `currency` (None: the type's own). Raises NoPriceError if they have no price."""
        if currency is None or currency == self.currency:
            return self
        try:
            return self.prices[currency]
        except KeyError:
            raise NoPriceError(self.key, currency, ", ".join((self.currency, *self.prices))) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollover:
    """How much of what a period left over is carried into the next one."""

    cap_credits: int | None = None
    cap_percent: int | None = None
    """Of the plan's amount per period. At most one of the two caps is set; without one everything is carried."""
    periods: int | None = None
    """How many periods a credit may be carried before it lapses; None: any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCredits:
    """The credits of one type that a plan hands out."""

    credit_type: str
    amount: int
    every: Every = Every.PERIOD
    rollover: Rollover | None = None
    expires: Expiry = PERIOD_END
    priority: int = 100
    """Lots with a lower number are spent first."""
    trial: int | None = None
    """Credits for a trial, once; None: a trial earns none of this type."""
    per_seat: bool = False
    """The amounts are per unit of the subscription's quantity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a subscription earns, and which products at the providers sell it."""

    key: str
    name: str
    discount: Decimal = Decimal(0)
    """Share taken off credit purchases of its subscribers, from 0 to 1."""
    product_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By provider name: its price, variant or product ids that sell this plan."""
    on_change: ChangePolicy = field(default_factory=ChangePolicy)
    on_cancel: OnCancel = OnCancel.KEEP_TO_EXPIRY
    on_pause: OnPause = OnPause.STOP_DRIPS
    on_past_due: OnPastDue = OnPastDue.STOP_DRIPS
    on_trial_end: OnTrialEnd = OnTrialEnd.END
    zero_invoice: ZeroInvoice = field(default_factory=ZeroInvoice)
    credits: tuple[PlanCredits, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WelcomeCredits:
    """Credits that a new account is given once."""

    credit_type: str
    amount: int
    expires: Expiry = NEVER
    priority: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchases:
    """How credits that were bought are treated."""

    free: Literal["grant", "hold"] = "grant"
    """A checkout that a 100 % promotion made free: grant its credits, or hold it for an operator."""
    unknown: Literal["hold", "ignore"] = "hold"
    """A paid checkout that names no credits: hold it for an operator, or ignore it (it sold something else)."""
    unquoted: Literal["grant", "hold"] = "grant"
    """A paid checkout that names credits and no quote of ours: grant them, or hold it for an operator."""
    unnamed: Literal["match", "payer", "hold"] = "match"
    """An order that is listed without our custom data: find its quote; only by its payer; or hold it."""
    expires: Expiry = NEVER
    priority: int = 200

    def __post_init__(self) -> None:
        if self.expires.kind is ExpiryKind.PERIOD_END:
            raise ValueError("purchases.expires: a purchase has no billing period to end with")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutRules:
    """How checkouts are made at the providers."""

    providers: tuple[str, ...] = ()
    """In which order payers are offered them; those left out come after, the first one is chosen beforehand."""
    allowed_hosts: tuple[str, ...] = ()
    """Where payers may be sent back to; `*.example.com` holds every host below it."""
    success_url: str | None = None
    cancel_url: str | None = None
    expires_after_minutes: int = 120
    """How long a quote and its checkout are open."""
    promotion_codes: bool = False
    """Stripe: the payer may enter a promotion code."""
    automatic_tax: bool = False
    """Stripe: it works out the taxes and adds them."""
    invoices: bool = False
    """Stripe: it makes an invoice for each purchase."""
    save_card: bool = False
    """Stripe: the card is kept, for automatic top-ups."""
    locale: str = "en_US"
    """In which prices are written for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Everything credits.toml declares. Checked when it is loaded, never changed afterwards."""

    credit_types: Mapping[str, CreditType]
    plans: Mapping[str, Plan] = field(default_factory=dict)
    other_prices: frozenset[str] = frozenset()
    """Products at providers that are known to earn no credits, such as a seat add-on."""
    purchases: Purchases = Purchases()
    checkout: CheckoutRules = CheckoutRules()
    welcome: tuple[WelcomeCredits, ...] = ()
    timezone: str = "UTC"
    """Whose days, weeks and months drips are counted in."""
    notifications: NotificationRules = field(default_factory=NotificationRules)
    portal: PortalRules = field(default_factory=PortalRules)

    def credit_type(self, key: str) -> CreditType:
        """The credit type `key`. Raises UnknownCreditTypeError, which lists those there are."""
        try:
            return self.credit_types[key]
        except KeyError:
            raise UnknownCreditTypeError(key, _listed(self.credit_types)) from None

    def plan(self, key: str) -> Plan:
        """The plan `key`. Raises UnknownPlanError, which lists those there are."""
        try:
            return self.plans[key]
        except KeyError:
            raise UnknownPlanError(key, _listed(self.plans)) from None

    def plan_of(self, provider: str, product_id: str) -> Plan | None:
        """The plan that `product_id` sells at `provider`, None if no plan names it."""
        return next((plan for plan in self.plans.values() if product_id in plan.product_ids.get(provider, ())), None)

    def earns_nothing(self, product_id: str) -> bool:
        """Whether `product_id` is declared in other_prices: paid for, and no credits for it."""
        return product_id in self.other_prices


def _listed(keys: Mapping[str, object]) -> str:
    return ", ".join(sorted(keys)) or "none"
