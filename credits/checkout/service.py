"""The use case of selling: store a quote, have the provider make a checkout of it, write down where that is."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import RowMapping

from credits.checkout.model import CheckoutOrder, CheckoutRequest, PaymentProvider, Shop
from credits.checkout.money_back import MoneyBack, money_back_of, state_after
from credits.checkout.quotes import digest_of, new_purchase, seller_of
from credits.db import snapshot, transaction
from credits.errors import (
    CheckoutExpiredError,
    IdempotencyConflictError,
    InvalidIdError,
    ProviderRefusedError,
    PurchaseNotFoundError,
)
from credits.failpoints import failpoint
from credits.ids import checked_id, new_id, signed_reference
from credits.pricing import store
from credits.pricing.store import PurchaseState
from credits.units import Money

# Stripe keeps a checkout open for half an hour at the least: later, a first call could not make it any more.
_LEAST_REMAINING_MS: Final = 31 * 60_000


def open_checkout(shop: Shop, request: CheckoutRequest) -> tuple[RowMapping, bool]:
    """
    The purchase with the URL where it can be paid, and whether that was there before.

    Safe to repeat with the same key: killed or cut off anywhere in between, the repeat finds the same quote and the
    same checkout, or makes it. Without a key each call sells anew.

    Raises:
        InvalidInputError: something asked for is outside its bounds; the message names it.
        IdempotencyConflictError: the key was used before for another request.
        CheckoutExpiredError: the key's quote is over, and its checkout was never handed out.
        ProviderUnavailableError: the provider did not answer; the quote is kept, and a repeat goes on with it.
        ProviderRefusedError: the provider said no; the quote is kept with its reason.
    """
    if request.key is not None:
        checked_id(request.key, "key")
    purchase = _earlier(shop, request)
    is_repeat = purchase is not None
    if purchase is None:
        purchase, is_repeat = _stored(shop, request)
    if purchase["checkout_url"] is not None:
        return purchase, True
    now_ms = shop.clock()
    if is_repeat and now_ms > purchase["expires_at_ms"] - _LEAST_REMAINING_MS:
        raise CheckoutExpiredError(f"the quote {purchase['quote_id']} of this key is over, or will be within minutes")
    order = _order(shop, purchase, email=request.email, is_repeat=is_repeat)
    _make(shop, order, seller_of(shop, purchase["provider"]))
    return purchase_row(shop, purchase["quote_id"]), False


def purchase_row(shop: Shop, purchase_id: str) -> RowMapping:
    """A purchase by its id: the quote's, or the number of one without a quote. Raises PurchaseNotFoundError."""
    name = checked_id(purchase_id, "purchase_id")
    with snapshot(shop.engine) as connection:
        row = store.find_purchase(connection, shop.tenant, name)
        if row is None and name.isascii() and name.isdigit() and len(name) <= 18:
            row = store.find_numbered(connection, shop.tenant, int(name))
    if row is None:
        raise PurchaseNotFoundError(name)
    return row


def _earlier(shop: Shop, request: CheckoutRequest) -> RowMapping | None:
    """The purchase that was asked for under the same key; raises IdempotencyConflictError if it was another one."""
    if request.key is None:
        return None
    with snapshot(shop.engine) as connection:
        row = store.find_request(connection, shop.tenant, request.key)
    if row is not None and row["fingerprint"] != digest_of(request):
        first = f"{row['amount'] or 'the plan'} {row['credit_type'] or row['plan']} for {row['account']}"
        raise IdempotencyConflictError(request.key, first, "another request")
    return row


def _stored(shop: Shop, request: CheckoutRequest) -> tuple[RowMapping, bool]:
    """The quote, stored before anybody is asked; and whether another call with the same key was faster."""
    new = new_purchase(shop, request, purchase_id=new_id(), now_ms=shop.clock())
    with transaction(shop.engine) as connection:
        is_new = store.insert_purchase(connection, shop.tenant, new, now_ms=shop.clock())
    failpoint("checkout.quoted")
    if not is_new:
        earlier = _earlier(shop, request)
        if earlier is None:
            raise LookupError(f"the purchase that took key {request.key} is gone, and purchases are never deleted")
        return earlier, True
    return purchase_row(shop, new.quote_id), False


def _make(shop: Shop, order: CheckoutOrder, seller: PaymentProvider) -> None:
    """Ask the provider, outside any transaction, and write down its answer."""
    quote_id = order.purchase_id
    try:
        made = seller.create_checkout(order)
    except ProviderRefusedError as error:
        with transaction(shop.engine) as connection:
            store.note_refusal(connection, shop.tenant, quote_id, reason=str(error), now_ms=shop.clock())
        raise
    failpoint("checkout.made")
    with transaction(shop.engine) as connection:
        store.record_checkout(
            connection,
            shop.tenant,
            quote_id,
            checkout_id=made.checkout_id,
            checkout_url=made.url,
            key=made.key,
            now_ms=shop.clock(),
        )


def _order(shop: Shop, purchase: RowMapping, *, email: str | None, is_repeat: bool) -> CheckoutOrder:
    """Out of the stored quote, so that a repeat asks for the very same; of the address only a digest is stored."""
    has_price = purchase["asked_minor"] is not None
    return CheckoutOrder(
        purchase_id=purchase["quote_id"],
        account=purchase["account"],
        title=_title(shop, purchase),
        credit_type=purchase["credit_type"],
        amount=purchase["amount"],
        money=Money(amount_minor=purchase["asked_minor"], currency=purchase["currency"]) if has_price else None,
        product_id=purchase["product_id"],
        client_reference=_reference(shop, purchase["account"]),
        success_url=purchase["success_url"],
        cancel_url=purchase["cancel_url"],
        expires_at_ms=purchase["expires_at_ms"],
        email=email,
        is_repeat=is_repeat,
        rules=shop.catalogue.checkout,
    )


def _title(shop: Shop, purchase: RowMapping) -> str:
    if purchase["plan"] is not None:
        return shop.catalogue.plan(purchase["plan"]).name
    name = shop.catalogue.credit_type(purchase["credit_type"]).name
    bonus = f" ({purchase['bonus']} of them free)" if purchase["bonus"] else ""
    return f"{purchase['amount']} {name} credits{bonus}"


def _reference(shop: Shop, account: str) -> str | None:
    """The signed account, beside the metadata; None where we have no key to sign with, or it would be too long."""
    if not shop.secret_key:
        return None
    try:
        return signed_reference(account, shop.secret_key)
    except InvalidIdError:
        return None


def state_of(purchase: RowMapping, back: MoneyBack | None, now_ms: int) -> str:
    """
    The state as people see it: a checkout that ran out with no word from the provider is `abandoned`.

    Should its payment arrive all the same, it is credited; what of its money went `back` then says more.
    """
    if purchase["state"] == PurchaseState.CREDITED:
        return state_after(back)
    is_waiting = purchase["state"] in {PurchaseState.QUOTED, PurchaseState.OPEN}
    if is_waiting and purchase["expires_at_ms"] is not None and now_ms > purchase["expires_at_ms"]:
        return "abandoned"
    return str(purchase["state"])


def purchase_rows(
    shop: Shop, *, account: str | None, states: Collection[str] | None, before_id: int | None, limit: int
) -> list[RowMapping]:
    """Purchases, newest first; `states` as they are stored."""
    name = None if account is None else checked_id(account, "account")
    with snapshot(shop.engine) as connection:
        return store.list_purchases(
            connection, shop.tenant, account=name, states=states, before_id=before_id, limit=limit
        )


def money_back(shop: Shop, rows: Sequence[RowMapping]) -> Mapping[str, MoneyBack]:
    """What of the purchases' money went back, by the payment's key."""
    with snapshot(shop.engine) as connection:
        return money_back_of(connection, shop.tenant, rows)
