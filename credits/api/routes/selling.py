"""Routes that sell: prices, checkouts, purchases."""

from credits.api.endpoint import Answer, Area, Call
from credits.api.keys import Scope
from credits.api.models import Nothing
from credits.api.selling_models import (
    CheckoutBody,
    CheckoutMade,
    PriceFound,
    PriceQuery,
    PurchaseFound,
    PurchasePage,
    PurchasesQuery,
)
from credits.checkout.shown import price_json
from credits.errors import (
    AmountNotForSaleError,
    CheckoutExpiredError,
    IdempotencyConflictError,
    NoPriceError,
    NotSoldByError,
    PriceCalculatorError,
    ProviderKeyRefusedError,
    ProviderRefusedError,
    ProviderUnavailableError,
    PurchaseNotFoundError,
    ReturnUrlError,
    UnknownCreditTypeError,
    UnknownPlanError,
)

area = Area("Prices and purchases", "What credits cost, and checkouts where they are bought.")

READ = (Scope.READ, Scope.SELL)
SELL = (Scope.SELL,)


@area.get(
    "/v1/prices",
    scopes=READ,
    query=PriceQuery,
    answers={200: PriceFound},
    errors=(UnknownCreditTypeError, AmountNotForSaleError, NoPriceError, PriceCalculatorError),
    is_general=True,
)
def read_price(call: Call, query: PriceQuery) -> Answer:
    """
    What so many credits cost now.

    With `account`, what they cost it. An amount that is not for sale is an error that names the bound, never free.
    """
    found = call.credits.price(query.credit_type, query.amount, account=query.account, currency=query.currency)
    locale = call.credits.catalogue.checkout.locale
    return Answer(body=price_json(found, account=query.account, locale=locale))


@area.post(
    "/v1/checkouts",
    scopes=SELL,
    body=CheckoutBody,
    answers={201: CheckoutMade, 200: CheckoutMade},
    errors=(
        UnknownCreditTypeError,
        UnknownPlanError,
        AmountNotForSaleError,
        NoPriceError,
        PriceCalculatorError,
        ReturnUrlError,
        NotSoldByError,
        IdempotencyConflictError,
        CheckoutExpiredError,
        ProviderUnavailableError,
        ProviderRefusedError,
        ProviderKeyRefusedError,
    ),
)
def open_checkout(call: Call, body: CheckoutBody) -> Answer:
    """
    A checkout at a provider: where to send the payer, and what it will cost.

    201 the first time, 200 with the same checkout after that. The quote is stored before the provider is asked, so a
    repeat of a request that was cut off finds the same checkout, or makes it.
    """
    made = call.credits.checkout(
        body.account,
        provider=body.provider,
        credit_type=body.credit_type,
        amount=body.amount,
        currency=body.currency,
        plan=body.plan,
        price=body.price,
        success_url=body.success_url,
        cancel_url=body.cancel_url,
        email=body.email,
        key=call.name("key", body.key),
    )
    return Answer(status=200 if made["replayed"] else 201, body=made)


@area.get(
    "/v1/purchases/{purchase_id}",
    scopes=READ,
    query=Nothing,
    answers={200: PurchaseFound},
    errors=(PurchaseNotFoundError,),
)
def read_purchase(call: Call, _query: Nothing) -> Answer:
    """One purchase: whether it is paid, and whether its credits are there."""
    purchase_id = call.path["purchase_id"]
    found = call.credits.purchase(purchase_id)
    if not call.caller.reaches(found["account"] or ""):
        # Somebody else's: as if it were not there.
        raise PurchaseNotFoundError(purchase_id)
    return Answer(body=found)


@area.get("/v1/purchases", scopes=READ, query=PurchasesQuery, answers={200: PurchasePage})
def read_purchases(call: Call, query: PurchasesQuery) -> Answer:
    """Purchases, newest first, in pages; of one account, or of all; in one state, or in any."""
    rows = call.credits.purchases(
        account=query.account, state=query.state, before_id=query.cursor, limit=query.limit + 1
    )
    page = rows[: query.limit]
    return Answer(body={"items": page, "next": str(page[-1]["row_id"]) if len(rows) > len(page) else None})
