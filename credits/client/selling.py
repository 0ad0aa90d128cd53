"""What the clients sell by: prices, checkouts, purchases, as the library has them."""

from decimal import Decimal
from typing import Any

from credits.checkout.answers import Checkout, ListedPurchase, Purchase
from credits.client.calls import Call, given, segment
from credits.client.transport import AsyncSender, Sender
from credits.config.catalogue import Slab
from credits.ids import checked_id, given_or_new
from credits.pricing.model import Price, PriceRule
from credits.units import Money


def price_call(credit_type: str, amount: int, *, account: str | None, currency: str | None) -> Call[Price]:
    """What so many credits cost."""
    asked = {"credit_type": credit_type, "amount": str(amount), **given(account=account, currency=currency)}
    return Call(method="GET", path="/v1/prices", query=asked, read=_price)


def checkout_call(account: str, *, provider: str, key: str | None, **asked: Any) -> Call[Checkout]:
    """A checkout. Its name is made up before the first try where there is none, so that each further one finds it."""
    body = {"account": account, "provider": provider, "key": given_or_new(key), **given(**asked)}
    return Call(method="POST", path="/v1/checkouts", body=body, read=_whole)


def purchase_call(purchase_id: str) -> Call[Purchase]:
    """A purchase by its id."""
    return Call(method="GET", path=f"/v1/purchases/{segment(checked_id(purchase_id, 'purchase_id'))}", read=_whole)


def purchases_call(*, account: str | None, state: str | None, before_id: int | None, limit: int) -> Call[Any]:
    """A page of purchases, newest first."""
    cursor = None if before_id is None else str(before_id)
    asked = {"limit": str(limit), **given(account=account, state=state, cursor=cursor)}
    return Call(method="GET", path="/v1/purchases", query=asked, read=lambda body: list(body["items"]))


class Selling:
    """The part of `CreditsClient` that sells."""

    _sender: Sender

    def price(self, credit_type: str, amount: int, *, account: str | None = None, currency: str | None = None) -> Price:
        """
        What `amount` credits cost; with `account`, what they cost it: a plan it has takes its discount off.

        Raises InvalidInputError that names the bound, or PriceCalculatorError.
        """
        return self._sender.carry_out(price_call(credit_type, amount, account=account, currency=currency))

    def checkout(
        self,
        account: str,
        *,
        provider: str,
        credit_type: str | None = None,
        amount: int | None = None,
        currency: str | None = None,
        plan: str | None = None,
        price: str | None = None,
        success_url: str | None = None,
        cancel_url: str | None = None,
        email: str | None = None,
        key: str | None = None,
    ) -> Checkout:
        """
        A purchase with the `checkout_url` where it can be paid: so many credits, or with `plan` a subscription.

        Once per `key`, as in the library, with its errors. Without one each call is a checkout of its own.
        """
        call = checkout_call(
            account,
            provider=provider,
            key=key,
            credit_type=credit_type,
            amount=amount,
            currency=currency,
            plan=plan,
            price=price,
            success_url=success_url,
            cancel_url=cancel_url,
            email=email,
        )
        return self._sender.carry_out(call)

    def purchase(self, purchase_id: str) -> Purchase:
        """A purchase and its state. Raises PurchaseNotFoundError."""
        return self._sender.carry_out(purchase_call(purchase_id))

    def purchases(
        self,
        *,
        account: str | None = None,
        state: str | None = None,
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[ListedPurchase]:
        """Purchases, newest first; `before_id=rows[-1]["row_id"]` is the next page."""
        found: list[ListedPurchase] = self._sender.carry_out(
            purchases_call(account=account, state=state, before_id=before_id, limit=limit)
        )
        return found


class AsyncSelling:
    """The part of `AsyncCreditsClient` that sells."""

    _sender: AsyncSender

    async def price(
        self, credit_type: str, amount: int, *, account: str | None = None, currency: str | None = None
    ) -> Price:
        """As `CreditsClient.price`."""
        return await self._sender.carry_out(price_call(credit_type, amount, account=account, currency=currency))

    async def checkout(
        self,
        account: str,
        *,
        provider: str,
        credit_type: str | None = None,
        amount: int | None = None,
        currency: str | None = None,
        plan: str | None = None,
        price: str | None = None,
        success_url: str | None = None,
        cancel_url: str | None = None,
        email: str | None = None,
        key: str | None = None,
    ) -> Checkout:
        """As `CreditsClient.checkout`."""
        call = checkout_call(
            account,
            provider=provider,
            key=key,
            credit_type=credit_type,
            amount=amount,
            currency=currency,
            plan=plan,
            price=price,
            success_url=success_url,
            cancel_url=cancel_url,
            email=email,
        )
        return await self._sender.carry_out(call)

    async def purchase(self, purchase_id: str) -> Purchase:
        """As `CreditsClient.purchase`."""
        return await self._sender.carry_out(purchase_call(purchase_id))

    async def purchases(
        self,
        *,
        account: str | None = None,
        state: str | None = None,
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[ListedPurchase]:
        """As `CreditsClient.purchases`."""
        found: list[ListedPurchase] = await self._sender.carry_out(
            purchases_call(account=account, state=state, before_id=before_id, limit=limit)
        )
        return found


def _whole(body: Any) -> Any:
    """The answer as the API's JSON has it; a list, or nothing, is none."""
    if not isinstance(body, dict) or "purchase_id" not in body:
        raise ValueError("no purchase")
    return body


def _price(body: Any) -> Price:
    slab = body["slab"]
    return Price(
        credit_type=body["credit_type"],
        amount=body["amount"],
        bonus=body["bonus"],
        list_total=Decimal(body["list_total"]),
        discount=Decimal(body["discount"]),
        plan=body["plan"],
        total=Decimal(body["total"]),
        money=Money(amount_minor=body["total_minor"], currency=body["currency"]),
        rule=PriceRule(body["rule"]),
        slab=None
        if slab is None
        else Slab(first=slab["from"], last=slab["to"], price_per_unit=Decimal(slab["price_per_unit"])),
    )
