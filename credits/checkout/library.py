"""The part of the library that sells: prices, checkouts, and purchases on their way to credits."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import RowMapping

from credits.checkout import service
from credits.checkout.answers import Checkout, ListedPurchase, Purchase
from credits.checkout.model import CheckoutRequest, Shop
from credits.checkout.money_back import WENT_BACK
from credits.checkout.prices import price
from credits.checkout.shown import STATES, purchase_json
from credits.errors import InvalidInputError
from credits.pricing.model import Price
from credits.pricing.store import PurchaseState

_BATCH: Final = 200
"""Purchases that are read at once where only some of them are wanted."""


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
    ) -> Checkout:
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
        [shown] = self._shown([row])
        return {**shown, "replayed": replayed}

    def purchase(self, purchase_id: str) -> Purchase:
        """A purchase and its state. Raises PurchaseNotFoundError."""
        [shown] = self._shown([service.purchase_row(self.shop, purchase_id)])
        return shown

    def purchases(
        self,
        *,
        account: str | None = None,
        state: str | None = None,
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[ListedPurchase]:
        """Purchases, newest first, of one account or of all; `row_id` is the cursor of the next page."""
        batch = limit if state is None else max(limit, _BATCH)
        found: list[ListedPurchase] = []
        while True:
            rows = service.purchase_rows(
                self.shop, account=account, states=_stored(state), before_id=before_id, limit=batch
            )
            shown = zip(rows, self._shown(rows), strict=True)
            # What time and refunds make of a purchase is not stored with it, so those in another state are read past.
            found += [{**one, "row_id": row["id"]} for row, one in shown if state in (None, one["state"])]
            if len(rows) < batch or len(found) >= limit:
                return found[:limit]
            before_id = rows[-1]["id"]

    def _shown(self, rows: Sequence[RowMapping]) -> list[Purchase]:
        now_ms, locale = self.shop.clock(), self.shop.catalogue.checkout.locale
        backs = service.money_back(self.shop, rows)
        shown = []
        for row in rows:
            back = backs.get(row["key"])
            shown.append(purchase_json(row, state=service.state_of(row, back, now_ms), back=back, locale=locale))
        return shown


def _stored(state: str | None) -> tuple[str, ...] | None:
    """In which states purchases are stored that are shown in `state`. Raises InvalidInputError for one that is none."""
    if state is None:
        return None
    if state not in STATES:
        raise InvalidInputError("state", f"must be one of {', '.join(STATES)}, got {state[:40]!r}")
    if state == "abandoned":
        return (PurchaseState.QUOTED, PurchaseState.OPEN)
    return (PurchaseState.CREDITED,) if state in WENT_BACK else (state,)
