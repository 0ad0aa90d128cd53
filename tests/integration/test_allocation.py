"""A payment becomes credits: once, for the right account, and only for the price that was quoted."""

from dataclasses import replace
from typing import Any

import pytest

from credits.config.settings import Tenant
from credits.db import transaction
from credits.inbox.model import EventState
from credits.pricing import store as purchases
from credits.pricing.store import Quote
from credits.units import Money
from tests.support.ledger import assert_ledger_is_sound
from tests.support.pipeline import Pipeline, account_exists

PURCHASES = [
    pytest.param("fake", "purchase.paid", id="fake"),
    pytest.param("stripe", "checkout.session.completed", id="stripe-checkout"),
    pytest.param("stripe", "payment_intent.succeeded", id="stripe-topup"),
    pytest.param("lemonsqueezy", "order_created", id="lemonsqueezy"),
]


@pytest.mark.parametrize(("provider", "event_type"), PURCHASES)
def test_a_paid_purchase_adds_its_credits(pipeline: Pipeline, provider: str, event_type: str) -> None:
    event = pipeline.receive(event_type, provider=provider, amount=100)

    assert event["state"] == EventState.DONE
    assert pipeline.balance("user_1") == 100
    assert_ledger_is_sound(pipeline.runtime.engine)


@pytest.mark.parametrize(("provider", "event_type"), PURCHASES)
def test_a_payment_seen_in_two_events_is_granted_once(pipeline: Pipeline, provider: str, event_type: str) -> None:
    """The same invoice under another event id grants twice (open-saas #688)."""
    pipeline.receive(event_type, provider=provider, payment="p", delivery="first")
    again = pipeline.receive(event_type, provider=provider, payment="p", delivery="second")

    assert again["state"] == EventState.DONE
    assert "before" in again["detail"]
    assert pipeline.balance("user_1") == 100
    assert len(pipeline.posted()) == 1


def test_a_payment_told_by_two_types_of_event_is_granted_once(pipeline: Pipeline) -> None:
    pipeline.receive("checkout.session.completed", provider="stripe", payment="p")
    pipeline.receive("checkout.session.async_payment_succeeded", provider="stripe", payment="p")

    assert pipeline.balance("user_1") == 100


@pytest.mark.parametrize("first", ["2020-08-27", "2025-02-24.acacia", "2025-03-31.basil"])
@pytest.mark.parametrize("second", ["2020-08-27", "2025-02-24.acacia", "2025-03-31.basil"])
def test_a_payment_told_in_two_api_versions_is_granted_once(pipeline: Pipeline, first: str, second: str) -> None:
    plan = {"product_id": "price_pro_monthly", "credit_type": None, "amount": None}
    for version in (first, second):
        pipeline.deliver("checkout.session.completed", provider="stripe", api_version=version, delivery=f"s-{version}")
        pipeline.deliver("invoice.paid", provider="stripe", api_version=version, delivery=f"i-{version}", **plan)
    pipeline.process()

    assert set(pipeline.states()) == {EventState.DONE}
    assert pipeline.balance("user_1") == 1100
    assert pipeline.balance("user_1", "tokens") == 50_000


def test_an_event_of_a_granted_payment_with_other_content_is_a_conflict_and_changes_nothing(
    pipeline: Pipeline,
) -> None:
    pipeline.receive("purchase.paid", payment="p", delivery="first", amount=100)
    other = pipeline.receive("purchase.paid", payment="p", delivery="second", amount=500)

    assert (other["state"], other["code"]) == (EventState.FAILED, "idempotency_conflict")
    assert "100 image_generation for user_1" in other["detail"]
    assert "500 image_generation for user_1" in other["detail"]
    assert pipeline.balance("user_1") == 100


def test_a_conflicting_event_leaves_no_trace_of_the_account_it_names(pipeline: Pipeline) -> None:
    pipeline.receive("purchase.paid", payment="p", delivery="first", account="user_1")
    pipeline.receive("purchase.paid", payment="p", delivery="second", account="user_2")

    assert pipeline.balance("user_1") == 100
    assert not account_exists(pipeline, "user_2")


def test_a_delayed_payment_grants_when_the_money_is_there_and_not_before(pipeline: Pipeline) -> None:
    """A delayed payment is treated as a failure and paid twice (Platform #1216)."""

    def unpaid(payload: dict[str, Any]) -> None:
        payload["data"]["object"]["payment_status"] = "unpaid"

    pending = pipeline.receive("checkout.session.completed", provider="stripe", edit=unpaid)
    before = pipeline.balance("user_1")
    pipeline.receive("checkout.session.async_payment_succeeded", provider="stripe")

    assert pending["state"] == EventState.DONE
    assert (before, pipeline.balance("user_1")) == (0, 100)


@pytest.mark.parametrize("end", ["checkout.session.async_payment_failed", "checkout.session.expired"])
def test_a_payment_that_never_came_grants_nothing(pipeline: Pipeline, end: str) -> None:
    def unpaid(payload: dict[str, Any]) -> None:
        payload["data"]["object"]["payment_status"] = "unpaid"

    pipeline.receive("checkout.session.completed", provider="stripe", edit=unpaid)
    voided = pipeline.receive(end, provider="stripe")

    assert voided["state"] == EventState.DONE
    assert pipeline.posted() == set()


def test_a_quoted_delayed_payment_is_granted_in_either_order_of_its_events(pipeline: Pipeline) -> None:
    for name, order in (("a", ("pending", "paid")), ("b", ("paid", "pending"))):
        quote_id = quoted(pipeline, account=f"user_{name}", price_minor=1000)
        for event in order:
            said = {"payment": name, "account": f"user_{name}", "quote_id": quote_id, "delivery": f"{name}-{event}"}
            pipeline.receive(f"purchase.{event}", **said)

    assert set(pipeline.states()) == {EventState.DONE}
    assert (pipeline.balance("user_a"), pipeline.balance("user_b")) == (100, 100)


def test_live_and_sandbox_events_of_one_payment_credit_each_their_own_tenant(pipeline: Pipeline) -> None:
    live = Pipeline(runtime=pipeline.runtime, tenant=Tenant.LIVE)

    pipeline.receive("purchase.paid", payment="p", amount=1)
    live.receive("purchase.paid", payment="p", amount=20)

    assert (pipeline.balance("user_1"), live.balance("user_1")) == (1, 20)
    assert_ledger_is_sound(pipeline.runtime.engine)


def test_two_accounts_are_apart(pipeline: Pipeline) -> None:
    pipeline.receive("purchase.paid", payment="p1", account="user_1", amount=1, delivery="1")
    pipeline.receive("purchase.paid", payment="p2", account="user_2", amount=20, delivery="2")

    assert (pipeline.balance("user_1"), pipeline.balance("user_2")) == (1, 20)


@pytest.mark.parametrize(("provider", "event_type"), PURCHASES)
def test_a_payment_that_keeps_to_its_quote_grants_what_was_quoted(
    pipeline: Pipeline, provider: str, event_type: str
) -> None:
    quote_id = quoted(pipeline, account="user_1", price_minor=1000, amount=120)

    pipeline.receive(event_type, provider=provider, quote_id=quote_id, amount=None, credit_type=None, paid_minor=1000)

    assert pipeline.balance("user_1") == 120


@pytest.mark.parametrize(("provider", "event_type"), PURCHASES)
@pytest.mark.parametrize("changes", [{"paid_minor": 1}, {"currency": "EUR"}], ids=["amount", "currency"])
def test_a_payment_that_differs_from_its_quote_is_quarantined_with_both_figures(
    pipeline: Pipeline, provider: str, event_type: str, changes: dict[str, Any]
) -> None:
    quote_id = quoted(pipeline, account="user_1", price_minor=1000)

    event = pipeline.receive(event_type, provider=provider, quote_id=quote_id, **changes)

    assert (event["state"], event["code"], event["due_at_ms"]) == (EventState.FAILED, "amount_mismatch", None)
    assert "1000 USD" in event["detail"]
    asked = Money(amount_minor=changes.get("paid_minor", 1000), currency=changes.get("currency", "USD"))
    assert str(asked) in event["detail"]
    assert pipeline.posted() == set()


def test_a_quote_of_the_other_tenant_does_not_count(pipeline: Pipeline) -> None:
    live = Pipeline(runtime=pipeline.runtime, tenant=Tenant.LIVE)
    quote_id = quoted(live, account="user_1", price_minor=1000)

    event = pipeline.receive("purchase.paid", quote_id=quote_id)

    assert (event["state"], event["code"]) == (EventState.FAILED, "unknown_quote")


def test_a_quote_once_credited_stays_so_when_an_older_word_arrives(pipeline: Pipeline) -> None:
    pipeline.receive("purchase.paid", payment="p")
    late = pipeline.receive("purchase.voided", payment="p")

    assert late["state"] == EventState.DONE
    assert pipeline.balance("user_1") == 100


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": 0}, "invalid_amount"),
        ({"amount": -5}, "invalid_amount"),
        ({"amount": 2**53}, "invalid_amount"),
        ({"credit_type": "no_such_type"}, "unknown_credit_type"),
        ({"account": "user\x00_1"}, "invalid_id"),
        ({"account": "u" * 201}, "invalid_id"),
    ],
)
def test_metadata_outside_its_bounds_fails_visibly(pipeline: Pipeline, changes: dict[str, Any], code: str) -> None:
    event = pipeline.receive("purchase.paid", **changes)

    assert (event["state"], event["code"], event["due_at_ms"]) == (EventState.FAILED, code, None)
    assert pipeline.posted() == set()


def test_the_largest_amount_there_is_can_be_bought_and_one_more_credit_cannot(pipeline: Pipeline) -> None:
    pipeline.receive("purchase.paid", payment="p1", delivery="1", amount=2**53 - 1)
    one_more = pipeline.receive("purchase.paid", payment="p2", delivery="2", amount=1)

    assert (one_more["state"], one_more["code"]) == (EventState.FAILED, "balance_limit")
    assert pipeline.balance("user_1") == 2**53 - 1
    assert_ledger_is_sound(pipeline.runtime.engine)


@pytest.mark.parametrize("account", ["Zoë", "用户 1", "user/1?x=%2F", "👩‍🚀", "0", "' OR 1=1 --", "ñ" * 200, " a "])
def test_account_ids_of_any_script_are_kept_as_they_are(pipeline: Pipeline, account: str) -> None:
    pipeline.receive("purchase.paid", account=account)

    assert pipeline.balance(account) == 100


def test_one_account_id_in_two_normal_forms_is_one_account(pipeline: Pipeline) -> None:
    pipeline.receive("purchase.paid", payment="p1", delivery="1", account="Zoe\u0308")
    pipeline.receive("purchase.paid", payment="p2", delivery="2", account="Zo\u00eb")

    assert pipeline.balance("Zoe\u0308") == pipeline.balance("Zo\u00eb") == 200


def test_a_free_checkout_is_granted_or_held_as_the_configuration_says(pipeline: Pipeline) -> None:
    catalogue = pipeline.runtime.catalogue
    holding = pipeline.with_catalogue(replace(catalogue, purchases=replace(catalogue.purchases, free="hold")))

    held = holding.receive("purchase.paid", payment="p1", delivery="1", paid_minor=0)
    granted = pipeline.receive("purchase.paid", payment="p2", delivery="2", paid_minor=0)

    assert (held["state"], held["code"]) == (EventState.FAILED, "free_purchase")
    assert granted["state"] == EventState.DONE
    assert pipeline.balance("user_1") == 100


@pytest.mark.parametrize("event_type", ["charge.refunded", "refund.created", "charge.dispute.created"])
def test_refunds_and_disputes_of_a_payment_nobody_has_seen_wait(pipeline: Pipeline, event_type: str) -> None:
    pipeline.receive("checkout.session.completed", provider="stripe")

    event = pipeline.receive(event_type, provider="stripe", payment="another")

    assert (event["state"], event["code"]) == (EventState.WAITING, "payment_unknown")
    assert pipeline.balance("user_1") == 100


def test_a_payment_id_too_long_to_be_kept_fails_visibly_on_every_database(pipeline: Pipeline) -> None:
    def long_id(payload: dict[str, Any]) -> None:
        payload["data"]["payment"] = "p" * 255

    events = [pipeline.receive(f"purchase.{word}", edit=long_id, delivery=word) for word in ("paid", "pending")]

    assert {(event["state"], event["code"]) for event in events} == {(EventState.FAILED, "malformed_payload")}


def quoted(pipeline: Pipeline, *, account: str, price_minor: int, amount: int = 100) -> str:
    """Store a quote; answers its id."""
    quote = Quote(
        quote_id=f"quote-{account}",
        account=account,
        credit_type="image_generation",
        amount=amount,
        price=Money(amount_minor=price_minor, currency="USD"),
    )
    with transaction(pipeline.runtime.engine) as connection:
        purchases.insert_quote(connection, pipeline.tenant, quote, now_ms=pipeline.runtime.clock())
    return quote.quote_id
