"""The part of the library that sells: prices, checkouts, and purchases on their way to credits."""

from collections.abc import Mapping
from typing import Any

from credits.checkout import service
from credits.checkout.model import CheckoutRequest, Shop
from credits.checkout.prices import price
from credits.checkout.shown import purchase_json
from credits.pricing.rules import Price


class Selling:
    """What one tenant's shop can do. Safe to share between threads."""

    shop: Shop

    def price(self, credit_type: str, amount: int, *, account: str | None = None, currency: str | None = None) -> Price:
        """
        What `amount` credits cost: total, discount, currency, and which rule said so.

        With `account`, what they cost it: a plan it has takes its discount off. Raises InvalidInputError that names
        the bound, or PriceCalculatorError.
        """
        return price(self.shop, credit_type, amount, account=account, currency=currency)

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
    ) -> Mapping[str, Any]:
        """
        A purchase with the URL where it can be paid: so many credits, or a subscription to `plan`.

        `email`, an address of the account's user that you have verified, fills the provider's form (not Paddle's), and
        tells whose payment it is where its provider does not.

        Once per `key`: repeated with the same content it answers the same checkout (`replayed` is then true).

        Raises:
            InvalidInputError: something asked for is outside its bounds; it names the field.
            IdempotencyConflictError: the key was used before for another request.
            CheckoutExpiredError: the key's quote is over.
            ProviderUnavailableError, ProviderRefusedError: safe to repeat with the same key.
        """
        request = CheckoutRequest(
            account=account,
            provider=provider,
            credit_type=credit_type,
            amount=amount,
            currency=currency,
            plan=plan,
            price=price,
            success_url=success_url,
            cancel_url=cancel_url,
            email=email,
            key=key,
        )
        row, replayed = service.open_checkout(self.shop, request)
        return {**self._shown(row), "replayed": replayed}

    def purchase(self, purchase_id: str) -> Mapping[str, Any]:
        """A purchase and its state. Raises PurchaseNotFoundError."""
        return self._shown(service.purchase_row(self.shop, purchase_id))

    def purchases(
        self,
        *,
        account: str | None = None,
        state: str | None = None,
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[Mapping[str, Any]]:
        """Purchases, newest first, of one account or of all; `row_id` is the cursor of the next page."""
        rows = service.purchase_rows(self.shop, account=account, state=state, before_id=before_id, limit=limit)
        return [{**self._shown(row), "row_id": row["id"]} for row in rows]

    def _shown(self, row: Any) -> dict[str, Any]:
        now_ms, locale = self.shop.clock(), self.shop.catalogue.checkout.locale
        return purchase_json(row, state=service.state_of(row, now_ms), locale=locale)
