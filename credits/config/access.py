"""Access to the providers for selling: API keys, and where in their worlds our shop is, for each tenant."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_MODES: Final = ("live", "test")
_TAX_CATEGORIES: Final = frozenset(
    {
        "digital-goods",
        "ebooks",
        "implementation-services",
        "professional-services",
        "saas",
        "software-programming-services",
        "standard",
        "training-services",
        "website-hosting",
    }
)
"""Paddle's; the account has to be approved for each."""


class Tenant(StrEnum):
    """The two worlds of an installation. No row, key or query ever mixes them."""

    LIVE = "live"
    SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAccess:
    """What it takes to sell at a provider: an API key, and where in the provider's world our shop is."""

    api_key: str = field(repr=False)
    api_base: str | None = None
    """Another address than the provider's: that of the fakes of `credits dev`, on this machine, for the sandbox."""
    store_id: str = ""
    variant_id: str = ""
    """Lemon Squeezy: the variant that credits are sold as, at a price of our own."""
    currency: str = "USD"
    """Lemon Squeezy: the store's."""
    product_id: str = ""
    """Paddle: the product whose prices credits are sold at; empty: each checkout names one of its own."""
    tax_category: str = "standard"
    """Paddle: of the products that checkouts name."""
    checkout_url: str = ""
    """Paddle: the page that takes the payment; empty: the account's default payment link."""
    client_token: str = ""
    """Paddle: what our own page that takes payments opens checkouts with. No secret: every payer's browser has it."""


def read_access(env: Mapping[str, str], problems: dict[str, str]) -> dict[tuple[Tenant, str], ProviderAccess]:
    """The access that the variables `env` give; what is wrong with one is added to `problems`."""
    found: dict[tuple[Tenant, str], ProviderAccess] = {}
    for tenant in Tenant:
        for provider, read in _READERS.items():
            access = read(env, tenant, problems)
            if access is not None:
                found[tenant, provider] = access
    return found


def access_variable(provider: str, tenant: Tenant, name: str) -> str:
    """`STRIPE_API_KEY`, `STRIPE_TEST_API_KEY`, `LEMONSQUEEZY_TEST_STORE_ID` …"""
    mode = "_TEST" if tenant is Tenant.SANDBOX else ""
    return f"{provider.upper()}{mode}_{name}"


def _stripe(env: Mapping[str, str], tenant: Tenant, problems: dict[str, str]) -> ProviderAccess | None:
    variable = access_variable("stripe", tenant, "API_KEY")
    base, key = _base(env, "stripe", tenant, problems), env.get(variable, "")
    if not key:
        return None
    own = "test" if tenant is Tenant.SANDBOX else "live"
    # A live key where test purchases are made would charge real cards for them.
    if any(key.startswith((f"sk_{mode}_", f"rk_{mode}_")) for mode in _MODES if mode != own):
        problems[variable] = f"must be a key of Stripe's {own} mode (sk_{own}_… or rk_{own}_…), got one of the other"
    return ProviderAccess(api_key=key, api_base=base)


def _lemonsqueezy(env: Mapping[str, str], tenant: Tenant, problems: dict[str, str]) -> ProviderAccess | None:
    names = {name: access_variable("lemonsqueezy", tenant, name) for name in ("STORE_ID", "VARIANT_ID")}
    base = _base(env, "lemonsqueezy", tenant, problems)
    values = {name: env.get(variable, "") for name, variable in names.items()}
    currency = env.get(access_variable("lemonsqueezy", tenant, "CURRENCY"), "") or "USD"
    key_variable = access_variable("lemonsqueezy", tenant, "API_KEY")
    if not env.get(key_variable):
        return None
    for name, variable in names.items():
        if not (values[name].isascii() and values[name].isdigit() and len(values[name]) <= 18):
            problems[variable] = f"must be a number as Lemon Squeezy shows it, beside {key_variable}"
    if len(currency) != 3 or not (currency.isascii() and currency.isalpha() and currency.isupper()):
        problems[access_variable("lemonsqueezy", tenant, "CURRENCY")] = "must be the store's currency, such as USD"
    return ProviderAccess(
        api_key=env[key_variable],
        api_base=base,
        store_id=values["STORE_ID"],
        variant_id=values["VARIANT_ID"],
        currency=currency,
    )


def _paddle(env: Mapping[str, str], tenant: Tenant, problems: dict[str, str]) -> ProviderAccess | None:
    variables = {
        name: access_variable("paddle", tenant, name)
        for name in ("API_KEY", "PRODUCT_ID", "TAX_CATEGORY", "CHECKOUT_URL", "CLIENT_TOKEN")
    }
    base = _base(env, "paddle", tenant, problems)
    values = {name: env.get(variable, "") for name, variable in variables.items()}
    if not values["API_KEY"]:
        return None
    own, other = ("sdbx", "live") if tenant is Tenant.SANDBOX else ("live", "sdbx")
    # Sandbox and live are accounts of their own, and keys made before May 2025 do not say whose they are.
    if values["API_KEY"].startswith(f"pdl_{other}_"):
        problems[variables["API_KEY"]] = f"must be a key of the other account at Paddle (pdl_{own}_apikey_…)"
    if values["PRODUCT_ID"] and not values["PRODUCT_ID"].startswith("pro_"):
        problems[variables["PRODUCT_ID"]] = "must be a product of Paddle (pro_…)"
    mode = "test" if tenant is Tenant.SANDBOX else "live"
    if values["CLIENT_TOKEN"] and not values["CLIENT_TOKEN"].startswith(f"{mode}_"):
        problems[variables["CLIENT_TOKEN"]] = f"must be a client-side token of the same account at Paddle ({mode}_…)"
    category = values["TAX_CATEGORY"] or "standard"
    if category not in _TAX_CATEGORIES:
        problems[variables["TAX_CATEGORY"]] = f"must be one of {', '.join(sorted(_TAX_CATEGORIES))}"
    if values["CHECKOUT_URL"] and urlsplit(values["CHECKOUT_URL"]).scheme != "https":
        problems[variables["CHECKOUT_URL"]] = "must be an https:// address of a website that Paddle has approved"
    return ProviderAccess(
        api_key=values["API_KEY"],
        api_base=base,
        product_id=values["PRODUCT_ID"],
        tax_category=category,
        checkout_url=values["CHECKOUT_URL"],
        client_token=values["CLIENT_TOKEN"],
    )


_READERS: Final = {"stripe": _stripe, "lemonsqueezy": _lemonsqueezy, "paddle": _paddle}


def _base(env: Mapping[str, str], provider: str, tenant: Tenant, problems: dict[str, str]) -> str | None:
    """Live money never goes anywhere but to the provider, and test money beside it only to this machine."""
    if tenant is Tenant.LIVE:
        return None
    variable = access_variable(provider, tenant, "API_BASE")
    base = env.get(variable, "").rstrip("/")
    if not base:
        return None
    parts = urlsplit(base)
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK:
        problems[variable] = "must be an http:// address of this machine: it is for the fakes of `credits dev`"
    return base
