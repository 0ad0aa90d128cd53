"""Sell at Stripe: one Checkout Session per quote, made by Stripe's own library."""

from typing import Any, Final

import stripe

from credits.checkout.marks import ACCOUNT, AMOUNT, CHECKOUT, CREDIT_TYPE, KIND, QUOTE
from credits.checkout.model import CheckoutOrder, ProviderCheckout
from credits.checkout.stripe_cards import StripeCards
from credits.checkout.stripe_client import refusal, stripe_client
from credits.config.settings import ProviderAccess
from credits.errors import ProviderRefusedError
from credits.pricing.money import decimals_of
from credits.units import Money

_TIMEOUT_S: Final = 10
_RETRIES: Final = 2


class StripeSeller(StripeCards):
    """A credits.checkout.model.PaymentProvider that charges saved cards, too; what it promises stands there."""

    name: Final = "stripe"

    def __init__(self, access: ProviderAccess) -> None:
        self._api_key = access.api_key
        client = stripe_client(access, timeout_s=_TIMEOUT_S, retries=_RETRIES)
        super().__init__(client, self._refused)

    def chargeable(self, money: Money) -> Money:
        """Stripe charges currencies of three decimals in tens of their minor unit; half a ten goes upwards."""
        if decimals_of(money.currency) != 3:
            return money
        return Money(amount_minor=(money.amount_minor + 5) // 10 * 10, currency=money.currency)

    def create_checkout(self, order: CheckoutOrder) -> ProviderCheckout:
        params: Any = session_params(order)
        try:
            # The quote's id makes a repeated call find the session that the first one made.
            session = self._client.v1.checkout.sessions.create(params, {"idempotency_key": order.purchase_id})
        except stripe.StripeError as error:
            raise self._refused(error) from None
        if not session.url:
            raise ProviderRefusedError(self.name, f"the checkout session {session.id} has no URL: it is not open")
        return ProviderCheckout(checkout_id=session.id, url=session.url, key=f"stripe:cs:{session.id}")

    def _refused(self, error: stripe.StripeError) -> Exception:
        return refusal(error, self._api_key)


def session_params(order: CheckoutOrder) -> dict[str, Any]:
    """The Checkout Session of an order. Pure: what depends on the moment would make a repeat another request."""
    marks = {ACCOUNT: order.account, QUOTE: order.purchase_id, KIND: CHECKOUT}
    if order.credit_type is not None and order.amount is not None:
        marks |= {CREDIT_TYPE: order.credit_type, AMOUNT: str(order.amount)}
    params: dict[str, Any] = {
        "success_url": order.success_url,
        "cancel_url": order.cancel_url,
        "expires_at": order.expires_at_ms // 1000,
        # Nothing is copied from the session to what comes of it, so each of them is marked.
        "metadata": marks,
        "allow_promotion_codes": order.rules.promotion_codes,
        "automatic_tax": {"enabled": order.rules.automatic_tax},
    }
    if order.client_reference is not None:
        params["client_reference_id"] = order.client_reference
    if order.email is not None:
        params["customer_email"] = order.email
    if order.product_id is not None:
        line = {"price": order.product_id, "quantity": 1}
        return params | {"mode": "subscription", "line_items": [line], "subscription_data": {"metadata": marks}}
    return params | _payment(order, marks)


def _payment(order: CheckoutOrder, marks: dict[str, str]) -> dict[str, Any]:
    if order.money is None:
        raise ValueError(f"purchase {order.purchase_id} has neither a product nor a price")
    price = {
        "currency": order.money.currency.lower(),
        "unit_amount": order.money.amount_minor,
        "product_data": {"name": order.title},
    }
    params: dict[str, Any] = {
        "mode": "payment",
        "line_items": [{"price_data": price, "quantity": 1}],
        "payment_intent_data": {"metadata": marks} | _keeping(order),
        "customer_creation": "always",
    }
    if order.rules.invoices:
        params["invoice_creation"] = {"enabled": True, "invoice_data": {"metadata": marks}}
    return params


def _keeping(order: CheckoutOrder) -> dict[str, str]:
    """The card is kept for automatic top-ups, and the payer is told so on Stripe's page."""
    return {"setup_future_usage": "off_session"} if order.rules.save_card else {}
