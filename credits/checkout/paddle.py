"""Sell at Paddle: one transaction per quote, with a price of our own or a plan's, and the link where it is paid."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from credits.checkout.http import JsonApi, found_or_made
from credits.checkout.marks import QUOTE, REFERENCE, RETURN_URL
from credits.checkout.model import CheckoutOrder, ProviderCheckout
from credits.clock import iso
from credits.config.settings import ProviderAccess, Tenant
from credits.errors import NotSoldByError, ProviderRefusedError, ProviderUnavailableError
from credits.units import Money

APIS: Final[Mapping[Tenant, str]] = {
    Tenant.LIVE: "https://api.paddle.com",
    Tenant.SANDBOX: "https://sandbox-api.paddle.com",
}
HEADERS: Final = {"Paddle-Version": "1"}

# Paddle gives up to thirty transactions a page. So many pages are looked through for the one of a cut-off call.
_PAGE_SIZE: Final = 30
_PAGES: Final = 10
_LONGEST_TITLE: Final = 150
_LONGEST_DESCRIPTION: Final = 500
# What Paddle can charge (https://developer.paddle.com/concepts/sell/supported-currencies), but for CLP, COP, HUF, TWD
# and VND: providers differ in the unit in which they count these, and a price may be wrong by a hundred.
_CURRENCIES: Final = (
    "ARS AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD ILS INR JPY KRW MXN NOK NZD PEN PLN RUB SEK SGD THB TRY UAH USD ZAR"
)


class PaddleSeller:
    """A credits.checkout.model.PaymentProvider; what each method promises stands there."""

    name: Final = "paddle"

    def __init__(self, access: ProviderAccess, tenant: Tenant) -> None:
        self._access = access
        base_url = access.api_base or APIS[tenant]
        self._api = JsonApi(self.name, base_url, access, headers=HEADERS, reason_of=_reason_of)

    def chargeable(self, money: Money) -> Money:
        """Paddle charges in some thirty currencies, of which a few are not sold in here."""
        if money.currency not in _CURRENCIES.split():
            raise NotSoldByError(
                "currency", f"credits are not sold at Paddle in {money.currency}, only in {_CURRENCIES}"
            )
        return money

    def create_checkout(self, order: CheckoutOrder) -> ProviderCheckout:
        made = found_or_made(order, find=self._made_before, make=self._made)
        transaction_id, url = made.get("id"), (made.get("checkout") or {}).get("url")
        if not isinstance(transaction_id, str):
            raise ProviderUnavailableError(self.name, "answered a transaction without an id")
        if not isinstance(url, str):
            reason = "the transaction has no payment link: set a default payment link in Paddle's checkout settings"
            raise ProviderRefusedError(self.name, reason)
        return ProviderCheckout(checkout_id=transaction_id, url=url, key=f"paddle:txn:{transaction_id}")

    def _made(self, order: CheckoutOrder) -> Mapping[str, Any]:
        body = transaction_body(order, self._access)
        made: Mapping[str, Any] = self._api.ask("POST", "/transactions", json=body)["data"]
        return made

    def _made_before(self, order: CheckoutOrder) -> Mapping[str, Any] | None:
        """Paddle knows no idempotency keys: a call that was cut off may have left its transaction there."""
        quoted_at_ms = order.expires_at_ms - order.rules.expires_after_minutes * 60_000
        params = {
            "origin": "api",
            # A minute earlier, should our clock be ahead of Paddle's.
            "created_at[GTE]": iso(quoted_at_ms - 60_000),
            "order_by": "id[DESC]",
            "per_page": str(_PAGE_SIZE),
        }
        answer = self._api.ask("GET", "/transactions", params=params)
        for _ in range(_PAGES):
            for transaction in answer["data"]:
                custom = transaction.get("custom_data")
                if isinstance(custom, dict) and custom.get(QUOTE) == order.purchase_id:
                    found: Mapping[str, Any] = transaction
                    return found
            query = next_query(answer)
            if query is None:
                break
            answer = self._api.ask("GET", f"/transactions?{query}")
        return None


def transaction_body(order: CheckoutOrder, access: ProviderAccess) -> dict[str, Any]:
    """
    The transaction of an order. Pure.

    A payer can replace the custom data in the browser, so it carries the account signed or not at all.
    Raises NotSoldByError for a plan where there is no signature: its payments would have nobody's name on them.
    """
    custom = {QUOTE: order.purchase_id, RETURN_URL: order.success_url}
    if order.client_reference is not None:
        custom[REFERENCE] = order.client_reference
    elif order.product_id is not None:
        raise NotSoldByError(
            "plan", "Paddle's plans need the account signed: set CREDITGATE_SECRET_KEY, and shorter ids"
        )
    body: dict[str, Any] = {"items": [_item(order, access)], "custom_data": custom, "collection_mode": "automatic"}
    if order.money is not None:
        body["currency_code"] = order.money.currency
    if access.checkout_url:
        body["checkout"] = {"url": access.checkout_url}
    return body


def next_query(answer: Mapping[str, Any]) -> str | None:
    """The query that asks for the page after `answer`; None after the last. Where it is asked, we know ourselves."""
    pagination = (answer.get("meta") or {}).get("pagination") or {}
    if not pagination.get("has_more"):
        return None
    return urlsplit(str(pagination.get("next") or "")).query or None


def _item(order: CheckoutOrder, access: ProviderAccess) -> dict[str, Any]:
    if order.money is None:
        price_id = order.product_id or ""
        if not price_id.startswith("pri_"):
            raise NotSoldByError("price", f"{price_id[:80]!r} is no price of Paddle: those begin with pri_")
        return {"price_id": price_id, "quantity": 1}
    title = order.title[:_LONGEST_TITLE]
    price = {
        "name": title,
        "description": order.title[:_LONGEST_DESCRIPTION],
        "unit_price": {"amount": str(order.money.amount_minor), "currency_code": order.money.currency},
        "tax_mode": "account_setting",
        # One quote is one purchase: no payer makes two of it on Paddle's page.
        "quantity": {"minimum": 1, "maximum": 1},
    }
    if access.product_id:
        return {"quantity": 1, "price": {**price, "product_id": access.product_id}}
    return {"quantity": 1, "price": {**price, "product": {"name": title, "tax_category": access.tax_category}}}


def _reason_of(document: Any) -> str:
    error = document["error"]
    fields = "; ".join(f"{one['field']}: {one['message']}" for one in error.get("errors") or ())
    return f"{error['detail']}{f' ({fields})' if fields else ''}"
