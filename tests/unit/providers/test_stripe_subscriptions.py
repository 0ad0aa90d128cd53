"""Stripe's subscriptions: what is remembered of them, and which changes wait for their handling."""

from typing import Any

import pytest

from credits.errors import MalformedPayloadError
from credits.facts import Payer, SubscriptionSeen
from tests.support.stripe_payloads import SHAPES, Payload, changed, facts, payload, without
from tests.support.webhooks import NOW_S
from webhooks.providers.stripe.simulate.common import Shape

SUBJECT = "stripe:sub:sub_s1"
CREATED = "customer.subscription.created"
UPDATED = "customer.subscription.updated"
CUSTOMER = payload(CREATED)["data"]["object"]["customer"]

# A subscription begun at the epoch has its first period until the first of February 1970.
FEBRUARY_MS = 31 * 24 * 60 * 60 * 1000

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def seen(**changes: Any) -> SubscriptionSeen:
    """The fact that a simulated subscription states when it begins."""
    said: dict[str, Any] = {
        "subscription_id": "sub_s1",
        "payer": Payer(account="user_1", customer_id=CUSTOMER, subscription_id="sub_s1"),
        "product_ids": ("price_pro",),
        "status": "active",
        "quantity": 1,
        "period_start_ms": 0,
        "period_end_ms": FEBRUARY_MS,
        "stamp_ms": NOW_S * 1000,
        "rank": 0,
    }
    said |= changes
    said |= {"is_first": said["rank"] == 0, "is_unpaid": said["status"] in {"past_due", "unpaid"}}
    return SubscriptionSeen(**said)


def updated(shape: Shape, previous: dict[str, Any], **fields: Any) -> Payload:
    """A change of the subscription, from `previous` to what `fields` say."""
    event = changed(payload(UPDATED, shape), **fields)
    event["data"]["previous_attributes"] = previous
    return event


def items(*terms: tuple[str, int | None], **period: int) -> dict[str, Any]:
    """Subscription items of these prices and quantities."""
    data = [
        {"id": f"si_{price}", "price": {"id": price}, "plan": {"id": price}, "quantity": quantity, **period}
        for price, quantity in terms
    ]
    return {"object": "list", "data": data}


# ── What is seen ─────────────────────────────────────────────────────────────────────────────────────────


@every_shape
def test_a_subscription_is_seen_with_its_price_and_period(shape: Shape) -> None:
    assert facts(payload(CREATED, shape)) == (seen(),)


@every_shape
def test_of_events_in_one_second_the_end_counts_most_and_the_beginning_least(shape: Shape) -> None:
    order = ["created", "updated", "paused", "deleted"]

    ranks = [facts(payload(f"customer.subscription.{event}", shape))[0].rank for event in order]  # type: ignore[union-attr]

    assert ranks == sorted(set(ranks))


@every_shape
@pytest.mark.parametrize("status", ["canceled", "active"])
def test_a_deleted_subscription_has_ended_whatever_its_status(shape: Shape, status: str) -> None:
    event = changed(payload("customer.subscription.deleted", shape), status=status)

    assert facts(event) == (seen(status=status, ended=True, rank=3),)


@every_shape
@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ("canceled", True),
        ("incomplete_expired", True),
        ("incomplete", False),
        ("past_due", False),
        ("unpaid", False),
        ("a_status_of_2031", False),
    ],
)
def test_only_a_final_status_ends_a_subscription(shape: Shape, status: str, ended: bool) -> None:
    assert facts(updated(shape, {"status": "active"}, status=status)) == (seen(status=status, ended=ended, rank=1),)


@every_shape
def test_a_cancellation_at_the_end_of_the_period_changes_nothing_yet(shape: Shape) -> None:
    event = updated(shape, {"cancel_at_period_end": False}, cancel_at_period_end=True)

    assert facts(event) == (seen(rank=1),)


def test_several_items_name_all_their_prices_and_no_single_quantity() -> None:
    content = items(
        ("price_pro", 1), ("price_seats", 4), ("price_pro", 2), current_period_start=0, current_period_end=9
    )

    (fact,) = facts(changed(payload(CREATED), items=content))

    assert fact == seen(product_ids=("price_pro", "price_seats"), quantity=None, period_end_ms=9000)


def test_since_basil_the_item_whose_period_ends_first_gives_the_period() -> None:
    content = items(("price_pro", 1), current_period_start=0, current_period_end=90)
    content["data"] += items(("price_seats", 1), current_period_start=5, current_period_end=20)["data"]

    (fact,) = facts(changed(payload(CREATED), items=content))

    assert isinstance(fact, SubscriptionSeen)
    assert (fact.period_start_ms, fact.period_end_ms) == (5000, 20_000)


def test_a_subscription_of_2016_had_one_plan_and_no_items() -> None:
    event = changed(without(payload(CREATED, Shape.OLD), "items"), plan={"id": "gold"}, quantity=3)

    assert facts(event) == (seen(product_ids=("gold",), quantity=3),)


@every_shape
def test_a_metered_item_has_no_quantity(shape: Shape) -> None:
    event = changed(payload(CREATED, shape), items=items(("price_pro", None)), quantity=None)

    assert isinstance(facts(event)[0], SubscriptionSeen)
    assert facts(event)[0].quantity is None  # type: ignore[union-attr]


# ── Turns of its life ────────────────────────────────────────────────────────────────────────────────────


@every_shape
def test_a_trial_shows_when_it_ends(shape: Shape) -> None:
    event = changed(payload(CREATED, shape), status="trialing", trial_end=NOW_S)

    assert facts(event) == (seen(status="trialing", trial_end_ms=NOW_S * 1000),)


@every_shape
@pytest.mark.parametrize(("event", "is_paused"), [("paused", True), ("resumed", False)])
def test_a_pause_and_its_end_show(shape: Shape, event: str, is_paused: bool) -> None:
    (fact,) = facts(payload(f"customer.subscription.{event}", shape))

    assert isinstance(fact, SubscriptionSeen)
    assert fact.is_paused is is_paused


@every_shape
@pytest.mark.parametrize("pause", [None, {"behavior": "void", "resumes_at": None}], ids=repr)
def test_a_pause_of_collection_is_a_pause(shape: Shape, pause: object) -> None:
    (fact,) = facts(updated(shape, {}, pause_collection=pause))

    assert fact == seen(rank=1, is_paused=pause is not None)


@every_shape
@pytest.mark.parametrize("status", ["past_due", "unpaid"])
def test_an_unpaid_invoice_shows(shape: Shape, status: str) -> None:
    (fact,) = facts(updated(shape, {}, status=status))

    assert fact == seen(rank=1, status=status)


@every_shape
def test_another_price_shows_in_the_products(shape: Shape) -> None:
    (fact,) = facts(updated(shape, {"items": items(("price_basic", 1))}, items=items(("price_max", 3))))

    assert isinstance(fact, SubscriptionSeen)
    assert (fact.product_ids, fact.quantity) == (("price_max",), 3)


@every_shape
def test_a_renewal_shows_the_next_period(shape: Shape) -> None:
    event = payload(UPDATED, shape, period=1)

    assert facts(event) == (seen(period_start_ms=FEBRUARY_MS, period_end_ms=59 * 24 * 60 * 60 * 1000, rank=1),)


# ── Refusals ─────────────────────────────────────────────────────────────────────────────────────────────


@every_shape
@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id": None}, r"data\.object\.id"),
        ({"status": 5}, r"data\.object\.status"),
        ({"items": []}, r"data\.object\.items"),
        ({"customer": {}}, r"data\.object\.customer\.id"),
    ],
    ids=repr,
)
def test_a_field_that_is_missing_or_of_another_kind_is_named(shape: Shape, fields: dict[str, Any], named: str) -> None:
    with pytest.raises(MalformedPayloadError, match=named):
        facts(changed(payload(CREATED, shape), **fields))
