"""Sell at Lemon Squeezy: one checkout per quote, of one variant at a price of our own."""

from collections.abc import Mapping
from typing import Any, Final

from credits.checkout.http import JsonApi, found_or_made
from credits.checkout.marks import ACCOUNT, AMOUNT, CREDIT_TYPE, QUOTE
from credits.checkout.model import CheckoutOrder, ProviderCheckout
from credits.clock import iso
from credits.config.settings import ProviderAccess, Tenant
from credits.errors import NotSoldByError, ProviderUnavailableError
from credits.ids import quote_reference
from credits.units import Money

_API: Final = "https://api.lemonsqueezy.com"
_CONTENT_TYPE: Final = "application/vnd.api+json"
# How many of the newest checkouts are looked through for the one that a cut-off call made.
_LOOKED_THROUGH: Final = 100


class LemonSqueezySeller:
    """A credits.checkout.model.PaymentProvider; what each method promises stands there."""

    name: Final = "lemonsqueezy"

    def __init__(self, access: ProviderAccess, tenant: Tenant) -> None:
        self._access = access
        self._is_test = tenant is Tenant.SANDBOX
        self._api = JsonApi(
            self.name,
            access.api_base or _API,
            access,
            headers={"Accept": _CONTENT_TYPE, "Content-Type": _CONTENT_TYPE},
            reason_of=_reason_of,
        )

    def chargeable(self, money: Money) -> Money:
        """A store has one currency."""
        if money.currency != self._access.currency:
            raise NotSoldByError(
                "currency", f"the store at Lemon Squeezy sells in {self._access.currency}, not in {money.currency}"
            )
        return money

    def create_checkout(self, order: CheckoutOrder) -> ProviderCheckout:
        found = found_or_made(order, find=self._made_before, make=self._made)
        try:
            return ProviderCheckout(checkout_id=str(found["id"]), url=str(found["attributes"]["url"]), key=None)
        except (KeyError, TypeError):
            raise ProviderUnavailableError(self.name, "answered a checkout without an id or a URL") from None

    def _made(self, order: CheckoutOrder) -> Mapping[str, Any]:
        body = checkout_body(order, self._access, is_test=self._is_test)
        made: Mapping[str, Any] = self._api.ask("POST", "/v1/checkouts", json=body)["data"]
        return made

    def _made_before(self, order: CheckoutOrder) -> Mapping[str, Any] | None:
        """Lemon Squeezy knows no idempotency keys: a call that was cut off may have left its checkout there."""
        params = {
            "filter[store_id]": self._access.store_id,
            "page[size]": str(_LOOKED_THROUGH),
            "sort": "-createdAt",
        }
        for checkout in self._api.ask("GET", "/v1/checkouts", params=params)["data"]:
            custom = ((checkout.get("attributes") or {}).get("checkout_data") or {}).get("custom") or {}
            if isinstance(custom, dict) and custom.get(QUOTE) == order.purchase_id:
                found: Mapping[str, Any] = checkout
                return found
        return None


def checkout_body(order: CheckoutOrder, access: ProviderAccess, *, is_test: bool) -> dict[str, Any]:
    """The checkout of an order, as a JSON:API document. Pure."""
    custom = {ACCOUNT: order.account, QUOTE: order.purchase_id}
    if order.credit_type is not None and order.amount is not None:
        custom |= {CREDIT_TYPE: order.credit_type, AMOUNT: str(order.amount)}
    variant_id = order.product_id or access.variant_id
    if not (variant_id.isascii() and variant_id.isdigit()):
        raise NotSoldByError("price", f"{variant_id[:80]!r} is no variant of Lemon Squeezy: those are numbers")
    attributes: dict[str, Any] = {
        "product_options": {"redirect_url": order.success_url, "enabled_variants": [int(variant_id)]},
        "checkout_data": {"custom": custom} | ({} if order.email is None else {"email": order.email}),
        "expires_at": iso(order.expires_at_ms),
        "test_mode": is_test,
    }
    if order.money is not None:
        attributes["custom_price"] = order.money.amount_minor
        # An order's own text is the one thing of ours that its listing may show; the payer has it as a reference.
        attributes["product_options"]["name"] = f"{order.title} · {quote_reference(order.purchase_id)}"
    relationships = {
        "store": {"data": {"type": "stores", "id": access.store_id}},
        "variant": {"data": {"type": "variants", "id": variant_id}},
    }
    return {"data": {"type": "checkouts", "attributes": attributes, "relationships": relationships}}


def _reason_of(document: Any) -> str:
    return "; ".join(str(error.get("detail") or error.get("title") or "?") for error in document["errors"])
