"""Routes of automatic top-ups: what an owner agrees to, and why a card was charged or not."""

from typing import Final

from credits.api.endpoint import Answer, Area, Call
from credits.api.keys import Scope
from credits.api.models import Nothing
from credits.api.topup_models import TopupBody, TopupFound, TopupList
from credits.errors import (
    AmountNotForSaleError,
    NoPriceError,
    PriceCalculatorError,
    TopupCapTooSmallError,
    TopupNotFoundError,
    TopupNotSoldByError,
    UnknownCreditTypeError,
)

area = Area("Automatic top-ups", "A saved card is charged when credits run low, once for each shortage.")

ALL: Final = "/v1/accounts/{account}/topups"
ONE: Final = ALL + "/{credit_type}"

READ = (Scope.READ, Scope.SELL)
SELL = (Scope.SELL,)


@area.get(ALL, scopes=READ, query=Nothing, answers={200: TopupList})
def list_topups(call: Call, _query: Nothing) -> Answer:
    """Every automatic top-up of an account, those that are off included."""
    return Answer(body={"account": call.account, "items": call.credits.topups(call.account)})


@area.get(ONE, scopes=READ, query=Nothing, answers={200: TopupFound}, errors=(TopupNotFoundError,))
def find_topup(call: Call, _query: Nothing) -> Answer:
    """What is agreed, what would be decided now and why, and the last attempts."""
    return Answer(body=call.credits.topup(call.account, call.path["credit_type"]))


@area.put(
    ONE,
    scopes=SELL,
    body=TopupBody,
    answers={200: TopupFound},
    errors=(
        UnknownCreditTypeError,
        AmountNotForSaleError,
        NoPriceError,
        PriceCalculatorError,
        TopupNotSoldByError,
        TopupCapTooSmallError,
    ),
)
def set_topup(call: Call, body: TopupBody) -> Answer:
    """
    Charge the account's saved card whenever fewer credits than the threshold are available.

    Nothing is charged by this request; a sweep does, seconds later. Repeated, it says again that all is right as it
    is: a card that was declined before is tried again.
    """
    return Answer(body=call.credits.set_topup(call.account, call.path["credit_type"], **dict(body)))


@area.delete(ONE, scopes=SELL, body=Nothing, answers={200: TopupFound}, errors=(TopupNotFoundError,))
def stop_topup(call: Call, _body: Nothing) -> Answer:
    """Charge nothing more. What is in flight is finished: its money may be taken already."""
    return Answer(body=call.credits.stop_topup(call.account, call.path["credit_type"]))
