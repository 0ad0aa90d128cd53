"""What a purchase's state says once money went back of it."""

import pytest

from credits.checkout.money_back import counted, state_after
from credits.reversals.model import Dispute, DisputeState, PaidBack, Refund, RefundState

OPEN, LOST, WON = DisputeState.OPEN, DisputeState.LOST, DisputeState.WON


def refund(amount_minor: int, state: RefundState = RefundState.SUCCEEDED) -> Refund:
    return Refund(amount_minor=amount_minor, state=state, is_counted=True)


def dispute(amount_minor: int, state: DisputeState) -> Dispute:
    return Dispute(amount_minor=amount_minor, state=state)


@pytest.mark.parametrize(
    ("back", "state", "refunded_minor", "disputed_minor"),
    [
        (PaidBack(paid_minor=1000), "credited", 0, 0),
        (PaidBack(paid_minor=1000, refunds=[refund(400)]), "partly_refunded", 400, 0),
        (PaidBack(paid_minor=1000, refunds=[refund(400), refund(600)]), "refunded", 1000, 0),
        (PaidBack(paid_minor=1000, counted_minor=1500), "refunded", 1000, 0),
        (PaidBack(paid_minor=1000, refunds=[refund(400, RefundState.FAILED)]), "credited", 0, 0),
        (PaidBack(paid_minor=1000, disputes=[dispute(1000, OPEN)]), "disputed", 0, 1000),
        (PaidBack(paid_minor=1000, disputes=[dispute(1000, LOST)]), "disputed", 0, 1000),
        (PaidBack(paid_minor=1000, disputes=[dispute(1000, WON)]), "credited", 0, 0),
        (PaidBack(paid_minor=1000, refunds=[refund(300)], disputes=[dispute(1000, OPEN)]), "disputed", 300, 700),
        (PaidBack(paid_minor=1000, refunds=[refund(1000)], disputes=[dispute(1000, OPEN)]), "refunded", 1000, 0),
    ],
)
def test_a_purchase_says_how_much_of_its_money_went_back_and_never_more_than_was_paid(
    back: PaidBack, state: str, refunded_minor: int, disputed_minor: int
) -> None:
    found = counted(back, "USD")

    assert (state_after(found), found.refunded_minor, found.disputed_minor) == (state, refunded_minor, disputed_minor)


def test_a_purchase_of_which_nothing_went_back_is_credited() -> None:
    assert state_after(None) == "credited"
