"""A subscription's paid invoices earn its plan's credits once per period, whatever order its events come in."""

from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import RowMapping

from credits.clock import from_iso
from credits.inbox.model import EventState
from tests.support.clock import NOON_MS, VirtualClock
from tests.support.ledger import assert_ledger_is_sound
from tests.support.pipeline import Pipeline

PLAN: dict[str, Any] = {"credit_type": None, "amount": None}
STRIPE: dict[str, Any] = {"provider": "stripe", "product_id": "price_pro_monthly", **PLAN}
LEMONSQUEEZY: dict[str, Any] = {"provider": "lemonsqueezy", "product_id": "111111", **PLAN}
FAKE: dict[str, Any] = {"provider": "fake", "product_id": "pro", **PLAN}
DAY_MS = 86_400_000

LIFE = [
    pytest.param("checkout.session.completed", "customer.subscription.created", "invoice.paid", STRIPE, id="stripe"),
    pytest.param(
        "order_created", "subscription_created", "subscription_payment_success", LEMONSQUEEZY, id="lemonsqueezy"
    ),
    pytest.param("customer.linked", "subscription.seen", "plan.paid", FAKE, id="fake"),
]


@pytest.mark.parametrize(("checkout", "begun", "paid", "said"), LIFE)
@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_the_first_period_is_granted_once_in_every_order_of_its_events(
    pipeline: Pipeline, checkout: str, begun: str, paid: str, said: dict[str, Any], order: tuple[int, ...]
) -> None:
    kinds = (checkout, begun, paid)
    edits = {checkout: subscription_session if said is STRIPE else None}

    for index in order:
        pipeline.receive(kinds[index], **said, edit=edits.get(kinds[index]))

    assert set(pipeline.states()) == {EventState.DONE}
    assert (pipeline.balance("user_1"), pipeline.balance("user_1", "tokens")) == (1000, 50_000)
    assert_ledger_is_sound(pipeline.runtime.engine)


@pytest.mark.parametrize(("checkout", "begun", "paid", "said"), LIFE)
def test_only_the_first_event_needs_to_say_whose_it_is(
    pipeline: Pipeline, checkout: str, begun: str, paid: str, said: dict[str, Any]
) -> None:
    """Every later event finds the account by its customer or subscription."""
    pipeline.deliver(paid, **said, edit=without_account)
    pipeline.process()
    before = pipeline.states()

    pipeline.receive(begun, **said)

    assert before in ([EventState.UNATTRIBUTED], [EventState.WAITING])
    assert set(pipeline.states()) == {EventState.DONE}
    assert pipeline.balance("user_1") == 1000


@pytest.mark.parametrize(("checkout", "begun", "paid", "said"), LIFE)
def test_each_period_is_granted_once_and_lapses_at_its_own_end(
    pipeline: Pipeline, clock: VirtualClock, checkout: str, begun: str, paid: str, said: dict[str, Any]
) -> None:
    """A renewal keyed by its subscription's id grants nothing."""
    pipeline.receive(begun, **said)
    for period, day in enumerate((0, 31, 59)):
        clock.set_ms(NOON_MS + day * DAY_MS)
        if said is LEMONSQUEEZY:
            pipeline.receive("subscription_updated", **said, period=period, delivery=f"{period}")
        for copy in ("a", "b"):
            pipeline.receive(paid, **said, period=period, payment=f"p{period}", delivery=f"{period}{copy}")

    lots = pipeline.credits.grants("user_1", credit_type="image_generation")
    ends = [from_iso(f"2026-0{month}-15T12:00:00") for month in (2, 3, 4)]
    assert [lot["expires_at_ms"] for lot in reversed(lots)] == ends
    assert pipeline.balance("user_1") == 3000
    assert pipeline.credits.balances("user_1")["image_generation"].available == 1000


def test_a_lemonsqueezy_payment_waits_for_the_subscription_that_names_its_plan(pipeline: Pipeline) -> None:
    paid = pipeline.receive("subscription_payment_success", **LEMONSQUEEZY)

    assert (paid["state"], paid["code"]) == (EventState.WAITING, "subscription_unknown")
    assert pipeline.posted() == set()


def test_a_lemonsqueezy_renewal_earns_the_plan_it_was_changed_to_however_late_the_change_is_told(
    pipeline: Pipeline, clock: VirtualClock
) -> None:
    def receive(event_type: str, day: int, **said: Any) -> RowMapping:
        clock.set_ms(NOON_MS + 31 * DAY_MS)
        at_ms = NOON_MS + day * DAY_MS
        return pipeline.receive(event_type, **{**LEMONSQUEEZY, "at_ms": at_ms, "delivery": f"{day}", **said})

    receive("subscription_created", 0)
    receive("subscription_payment_success", 0, payment="p0")
    renewed = receive("subscription_payment_success", 31, period=1, payment="p1")
    receive("subscription_updated", 31, period=1, product_id="222222")
    receive("subscription_updated", 20, product_id="222222")

    assert (renewed["state"], renewed["code"]) == (EventState.WAITING, "subscription_unknown")
    assert {
        lot["plan"]: lot["amount"] for lot in pipeline.credits.grants("user_1", credit_type="image_generation")
    } == {
        "pro": 1000,
        "team": 5000,
    }


def test_a_lemonsqueezy_renewal_whose_subscription_is_not_told_again_earns_the_plan_known_last(
    pipeline: Pipeline, clock: VirtualClock
) -> None:
    pipeline.receive("subscription_created", **LEMONSQUEEZY)
    clock.set_ms(NOON_MS + 31 * DAY_MS)
    pipeline.receive("subscription_payment_success", **LEMONSQUEEZY, period=1)
    at_first = pipeline.balance("user_1")

    for _ in range(4):
        clock.advance_ms(600_000)
        pipeline.process()

    assert (at_first, pipeline.balance("user_1")) == (0, 1000)


def test_the_twin_events_of_a_payment_grant_once(pipeline: Pipeline) -> None:
    pipeline.receive("subscription_created", **LEMONSQUEEZY)
    for twin in ("subscription_payment_success", "subscription_payment_recovered"):
        pipeline.receive(twin, **LEMONSQUEEZY)
    for twin in ("invoice.paid", "invoice.payment_succeeded"):
        pipeline.receive(twin, **STRIPE, account="user_2")

    assert (pipeline.balance("user_1"), pipeline.balance("user_2")) == (1000, 1000)


def test_a_failed_payment_earns_nothing_until_it_is_made_up_for(pipeline: Pipeline) -> None:
    failed = pipeline.receive("invoice.payment_failed", **STRIPE)
    before = pipeline.balance("user_1")
    pipeline.receive("invoice.paid", **STRIPE)

    assert failed["state"] == EventState.IGNORED
    assert (before, pipeline.balance("user_1")) == (0, 1000)


def test_an_unknown_price_fails_visibly_and_is_set_right_by_configuration_and_a_retry(pipeline: Pipeline) -> None:
    """An event is marked done before its grant, which then fails (XMem #212)."""
    said = {**STRIPE, "product_id": "price_new"}
    event = pipeline.receive("invoice.paid", **said)

    assert (event["state"], event["code"], event["due_at_ms"]) == (EventState.FAILED, "unknown_price", None)
    assert "price_new" in event["detail"]

    changed = pipeline.with_price("pro", "price_new")
    changed.retry(event["id"])
    changed.process()

    assert pipeline.states() == [EventState.DONE]
    assert pipeline.balance("user_1") == 1000


def test_a_price_listed_as_earning_nothing_earns_nothing(pipeline: Pipeline) -> None:
    event = pipeline.receive("invoice.paid", **{**STRIPE, "product_id": "price_extra_seat"})

    assert event["state"] == EventState.IGNORED
    assert pipeline.posted() == set()


def test_an_order_for_a_plan_grants_nothing_by_itself(pipeline: Pipeline) -> None:
    order = pipeline.receive("order_created", **LEMONSQUEEZY)

    assert order["state"] == EventState.DONE
    assert pipeline.posted() == set()


def test_a_late_word_about_a_subscription_does_not_undo_a_later_one(pipeline: Pipeline, clock: VirtualClock) -> None:
    clock.advance_ms(DAY_MS)
    pipeline.receive("subscription.seen", **{**FAKE, "product_id": "team"}, delivery="later")
    clock.advance_ms(-DAY_MS)
    late = pipeline.receive("subscription.seen", **FAKE, delivery="earlier")

    def without_product(payload: dict[str, Any]) -> None:
        del payload["data"]["product"]

    pipeline.receive("plan.paid", **FAKE, edit=without_product)

    assert late["state"] == EventState.DONE
    # What was paid for at noon is the plan of noon.
    assert pipeline.balance("user_1") == 1000
    clock.advance_ms(DAY_MS)
    pipeline.receive("plan.paid", **FAKE, edit=without_product, period=1, delivery="second")
    assert pipeline.balance("user_1") == 6000


def subscription_session(payload: dict[str, Any]) -> None:
    """Make a checkout session one that begins the subscription."""
    session = payload["data"]["object"]
    session.update(mode="subscription", subscription="sub_subscription-1", payment_intent=None)
    session["client_reference_id"] = None


def without_account(payload: dict[str, Any]) -> None:
    """Take our own metadata out of an event, wherever it stands."""

    def strip(value: Any) -> None:
        if isinstance(value, dict):
            value.pop("creditgate_account", None)
            for inner in value.values():
                strip(inner)
        elif isinstance(value, list):
            for inner in value:
                strip(inner)

    strip(payload)
