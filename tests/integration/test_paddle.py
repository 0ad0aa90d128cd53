"""Paddle's events, from webhook to ledger: each row about credits, in any order, and what its payer may not decide."""

from itertools import permutations
from random import Random
from typing import Any

import pytest

from credits.db import transaction
from credits.ids import signed_reference
from credits.inbox.model import EventState
from credits.inbox.provider import SimulatedLine
from credits.pricing import store as purchases
from credits.pricing.store import Quote
from credits.units import Money
from tests.support.clock import NOON_MS
from tests.support.ledger import assert_ledger_is_sound
from tests.support.pipeline import Pipeline
from tests.support.reversals import Till, till

PLAN: dict[str, Any] = {"provider": "paddle", "product_id": "pri_pro", "credit_type": None, "amount": None}
PURCHASE: dict[str, Any] = {"provider": "paddle", "account": "user_1"}
IMAGES = "image_generation"
DAY_MS = 86_400_000


@pytest.fixture
def paddle(pipeline: Pipeline) -> Pipeline:
    """An installation that sells plan pro at Paddle."""
    return pipeline.with_price("pro", "pri_pro", provider="paddle")


@pytest.fixture
def signed(paddle: Pipeline) -> dict[str, Any]:
    """A plan's events that say in a signed word whose they are."""
    return {**PLAN, "client_reference": signed_reference("user_1", paddle.runtime.secret_key)}


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_a_subscription_and_its_first_period_are_granted_once_in_every_order(
    paddle: Pipeline, signed: dict[str, Any], order: tuple[int, ...]
) -> None:
    kinds = ("subscription.created", "subscription.activated", "transaction.completed")

    for index in (*order, *order):
        paddle.receive(kinds[index], **signed, delivery=kinds[index])

    assert set(paddle.states()) == {EventState.DONE}
    assert (paddle.balance("user_1"), paddle.balance("user_1", "tokens")) == (1000, 50_000)
    assert_ledger_is_sound(paddle.runtime.engine)


def test_each_renewal_is_granted_once_by_its_own_transaction(paddle: Pipeline, signed: dict[str, Any]) -> None:
    for period in (0, 1, 1, 2):
        paddle.receive("transaction.completed", **signed, period=period, delivery=f"{period}")

    lots = paddle.credits.grants("user_1", credit_type=IMAGES)
    assert [lot["amount"] for lot in lots] == [1000, 1000, 1000]
    assert len({lot["expires_at_ms"] for lot in lots}) == 3


def test_a_change_of_card_bills_nothing_and_earns_nothing(paddle: Pipeline, signed: dict[str, Any]) -> None:
    def change_card(payload: dict[str, Any]) -> None:
        payload["data"]["origin"] = "subscription_payment_method_change"

    changed = paddle.receive("transaction.completed", **signed, paid_minor=0, edit=change_card)

    assert changed["state"] == EventState.IGNORED
    assert paddle.posted() == set()


def test_what_a_payer_writes_into_custom_data_earns_nothing(paddle: Pipeline) -> None:
    def edit(payload: dict[str, Any]) -> None:
        payload["data"]["custom_data"] = {
            "creditgate_account": "mallory",
            "creditgate_credit_type": IMAGES,
            "creditgate_amount": "1000000",
            "creditgate_reference": "mallory",
        }

    bought = paddle.receive("transaction.completed", **PURCHASE, edit=edit)
    subscribed = paddle.receive("transaction.completed", **PLAN, edit=edit, delivery="plan")

    assert {bought["state"], subscribed["state"]} == {EventState.UNATTRIBUTED}
    assert paddle.posted() == set()


@pytest.mark.parametrize(("paid_minor", "balance", "state"), [(1000, 120, "done"), (999, 0, "failed")])
def test_a_quote_is_granted_as_it_was_quoted_and_only_for_its_price(
    paddle: Pipeline, paid_minor: int, balance: int, state: str
) -> None:
    price = Money(amount_minor=1000, currency="USD")
    quote = Quote(quote_id="quote-1", account="user_1", credit_type=IMAGES, amount=120, price=price)
    with transaction(paddle.runtime.engine) as connection:
        purchases.insert_quote(connection, paddle.tenant, quote, now_ms=paddle.runtime.clock())

    paid = paddle.receive("transaction.completed", **PURCHASE, quote_id="quote-1", paid_minor=paid_minor)

    assert (paid["state"], paddle.balance("user_1")) == (state, balance)


@pytest.fixture
def bank(paddle: Pipeline) -> Till:
    return till(paddle)


def test_an_approved_refund_takes_its_share_back_once_and_a_waiting_one_nothing(
    bank: Till, signed: dict[str, Any]
) -> None:
    bank.tell("transaction.completed", **signed)
    refund = {**signed, "refund": "r1", "refunded_minor": 250}

    waits = bank.tell("adjustment.created", **refund)
    for _ in range(2):
        bank.tell("adjustment.updated", **refund)

    assert waits["state"] == EventState.IGNORED
    assert bank.history(IMAGES)[1:] == [("clawback", -250)]


def test_a_chargeback_takes_all_back_and_its_reversal_restores_it_in_any_order(
    bank: Till, signed: dict[str, Any]
) -> None:
    bank.tell("transaction.completed", **signed)
    bank.tell("adjustment.created", **signed, status="chargeback")
    taken = bank.history(IMAGES)[1:]
    bank.tell("adjustment.created", **signed, status="chargeback_reverse")
    bank.tell("adjustment.created", **signed, status="chargeback")

    assert taken == [("clawback", -1000)]
    assert bank.history(IMAGES)[1:] == [("clawback", -1000), ("restore", 1000)]


def of_adjustment(name: str, **fields: Any) -> dict[str, Any]:
    """Edits an adjustment's event into one of the adjustment with that name."""

    def edit(payload: dict[str, Any]) -> None:
        payload["data"].update(id=f"adj_{name}", **fields)

    return {"edit": edit, "delivery": f"{name} {fields}"}


@pytest.mark.parametrize("seed", range(6))
def test_several_partial_chargebacks_count_once_each_net_of_refunds_and_what_is_reversed_comes_back(
    bank: Till, paddle: Pipeline, signed: dict[str, Any], seed: int
) -> None:
    charged, undone, refund = ({**signed, "status": kind} for kind in ("chargeback", "chargeback_reverse", "refund"))
    told = [
        ("adjustment.created", {**charged, "refunded_minor": 300, **of_adjustment("a")}),
        ("adjustment.created", {**charged, "refunded_minor": 250, **of_adjustment("b")}),
        ("adjustment.updated", {**refund, "refunded_minor": 200, **of_adjustment("r")}),
        # The reversal of the second one, told by both of its adjustments.
        ("adjustment.created", {**undone, "refunded_minor": 250, **of_adjustment("c")}),
        ("adjustment.updated", {**charged, "refunded_minor": 250, **of_adjustment("b", status="reversed")}),
    ]
    paddle.receive("transaction.completed", **signed)

    for event_type, said in Random(seed).sample(told * 2, len(told) * 2):
        paddle.receive(event_type, **said)
        bank.settle()

    assert paddle.balance("user_1") == 1000 - 300 - 200
    assert_ledger_is_sound(paddle.runtime.engine)


def test_a_credit_that_is_reversed_gives_back_what_it_took(bank: Till, signed: dict[str, Any]) -> None:
    bank.tell("transaction.completed", **signed)

    bank.tell("adjustment.created", **{**signed, "status": "credit", "refunded_minor": 400})
    bank.tell("adjustment.created", **{**signed, "status": "credit_reverse", "refunded_minor": 400})

    assert bank.history(IMAGES)[1:] == [("clawback", -400), ("restore", 400)]


def test_a_warning_of_a_chargeback_is_an_inquiry_and_moves_nothing(bank: Till, signed: dict[str, Any]) -> None:
    bank.tell("transaction.completed", **signed)

    warned = bank.tell("adjustment.created", **signed, status="chargeback_warning")

    assert warned["state"] == EventState.IGNORED
    assert bank.history(IMAGES)[1:] == []


def test_an_upgrade_is_what_is_charged_less_what_is_given_back(paddle: Pipeline, signed: dict[str, Any]) -> None:
    sold = paddle.with_price("team", "pri_team", provider="paddle")
    sold.receive("subscription.created", **signed)
    sold.receive("transaction.completed", **signed)
    half, end = NOON_MS + 15 * DAY_MS + DAY_MS // 2, NOON_MS + 31 * DAY_MS
    lines = tuple(
        SimulatedLine(product_id=price, amount_minor=minor, start_ms=half, end_ms=end, is_proration=True)
        for price, minor in (("pri_team", 2500), ("pri_pro", -500))
    )

    sold.receive("transaction.completed", **signed, invoice="up", lines=lines, delivery="up")

    # Half a month is left: 2500 of team's 5000 come, 500 of pro's 1000 go.
    assert sold.balance("user_1") == 1000 + 2000
