"""Decide what a request for a checkout is offered: the price, the product, where the payer is sent, until when."""

from dataclasses import replace
from typing import Final

from credits.checkout.model import CheckoutRequest, PaymentProvider, Shop
from credits.checkout.prices import price
from credits.checkout.shown import price_kept
from credits.config.return_urls import return_url_fault
from credits.config.settings import Tenant
from credits.errors import InvalidInputError, NotSoldByError, ReturnUrlError
from credits.ids import checked_email, checked_id, checked_payer_id, digest, email_digest
from credits.pricing.store import NewPurchase

_LOOPBACK: Final = ("localhost", "127.0.0.1")
PURCHASE_ID: Final = "{purchase_id}"
"""Stands in a return URL for the purchase that is not made yet."""


def new_purchase(shop: Shop, request: CheckoutRequest, *, purchase_id: str, now_ms: int) -> NewPurchase:
    """The quote for `request`, ready to be stored. Raises InvalidInputError that names what is wrong with it."""
    seller = seller_of(shop, request.provider)
    new = NewPurchase(
        quote_id=purchase_id,
        request_key=request.key,
        fingerprint=digest_of(request),
        provider=seller.name,
        account=checked_payer_id(request.account, "account"),
        email_digest=None if request.email is None else email_digest(checked_email(request.email), shop.secret_key),
        success_url=_return_url(shop, request.success_url, "success_url").replace(PURCHASE_ID, purchase_id),
        cancel_url=_return_url(shop, request.cancel_url, "cancel_url").replace(PURCHASE_ID, purchase_id),
        expires_at_ms=now_ms + shop.catalogue.checkout.expires_after_minutes * 60_000,
    )
    return _of_plan(shop, request, new) if request.plan is not None else _of_credits(shop, request, seller, new)


def seller_of(shop: Shop, provider: str) -> PaymentProvider:
    """The seller of that name. Raises NotSoldByError that lists those there are."""
    if provider not in shop.sellers:
        listed = ", ".join(shop.sellers) or "none"
        raise NotSoldByError("provider", f"{provider[:40]!r} has no API key here; providers that sell: {listed}")
    return shop.sellers[provider]


def digest_of(request: CheckoutRequest) -> str:
    """What the caller sent, and nothing derived from it: a price that changed is no other request."""
    named = [name for name in CheckoutRequest.__dataclass_fields__ if name not in {"key", "email"}]
    # Keys of the time before there was an address stay good.
    address = () if request.email is None else (("email", request.email),)
    return digest("checkout", *(getattr(request, name) for name in named), *address)


def _of_credits(shop: Shop, request: CheckoutRequest, seller: PaymentProvider, new: NewPurchase) -> NewPurchase:
    if request.price is not None:
        raise InvalidInputError("price", "names a plan's product; it goes with plan, not with credit_type and amount")
    if request.credit_type is None or request.amount is None:
        missing = "credit_type" if request.credit_type is None else "amount"
        raise InvalidInputError(missing, "is missing; name credit_type and amount, or a plan")
    offered = price(shop, request.credit_type, request.amount, account=request.account, currency=request.currency)
    if offered.money.amount_minor == 0:
        raise InvalidInputError(
            "amount", f"{offered.amount} {offered.credit_type} cost nothing: there is nothing to pay"
        )
    return replace(
        new,
        credit_type=offered.credit_type,
        amount=offered.credits,
        bonus=offered.bonus,
        asked=seller.chargeable(offered.money),
        price=price_kept(offered),
    )


def _of_plan(shop: Shop, request: CheckoutRequest, new: NewPurchase) -> NewPurchase:
    for name in ("credit_type", "amount", "currency"):
        if getattr(request, name) is not None:
            raise InvalidInputError(name, "does not go with plan: its product at the provider has the price")
    plan = shop.catalogue.plan(checked_id(request.plan, "plan"))
    products = plan.product_ids.get(request.provider, ())
    if not products:
        raise NotSoldByError("plan", f"{plan.key} has no product at {request.provider} in credits.toml")
    product = request.price or products[0]
    if product not in products:
        raise NotSoldByError("price", f"{product[:80]!r} does not sell {plan.key}; its products: {', '.join(products)}")
    return replace(new, plan=plan.key, product_id=product)


def _return_url(shop: Shop, asked: str | None, field: str) -> str:
    rules = shop.catalogue.checkout
    chosen = asked if asked is not None else rules.success_url if field == "success_url" else rules.cancel_url
    if chosen is None:
        return f"{shop.base_url}/checkout/{'done' if field == 'success_url' else 'cancelled'}"
    # Where no real money moves, people try things out from their own machine.
    try_out = _LOOPBACK if shop.tenant is Tenant.SANDBOX else ()
    fault = return_url_fault(chosen, (*rules.allowed_hosts, _own_host(shop.base_url), *try_out))
    if fault is not None:
        raise ReturnUrlError(field, fault)
    return chosen


def _own_host(base_url: str) -> str:
    return base_url.partition("://")[2].partition("/")[0]
