"""Stripe's checkout sessions and top-ups: which of them are purchases, and what they say was bought and paid."""

from typing import Any

import pytest

from credits.errors import InvalidInputError, MalformedPayloadError
from credits.facts import CustomerLinked, NothingToDo, Payer, PurchasePaid, PurchasePending, PurchaseVoided
from credits.units import Money
from tests.support.stripe_payloads import SHAPES, changed, facts, payload, session, without
from tests.support.webhooks import NOW_S
from webhooks.providers.stripe.simulate.common import Shape

KEY = "stripe:cs:cs_test_p1"
CUSTOMER = payload("checkout.session.completed")["data"]["object"]["customer"]

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def purchase(**changes: Any) -> PurchasePaid:
    """The fact that the simulated purchase states."""
    said: dict[str, Any] = {
        "key": KEY,
        "payer": Payer(account="user_1", customer_id=CUSTOMER),
        "credit_type": "image_generation",
        "amount": 100,
        "asked": Money(amount_minor=1000, currency="USD"),
        "paid": Money(amount_minor=1000, currency="USD"),
        "also_known_as": ("stripe:pi:pi_p1",),
        "occurred_at_ms": NOW_S * 1000,
    }
    return PurchasePaid(**{**said, **changes})


# ── A session's life ─────────────────────────────────────────────────────────────────────────────────────


@every_shape
def test_a_paid_session_is_a_purchase(shape: Shape) -> None:
    assert facts(session(shape)) == (purchase(),)


@every_shape
@pytest.mark.parametrize("status", ["unpaid", "a_status_of_2031"])
def test_a_complete_session_without_its_money_is_pending(shape: Shape, status: str) -> None:
    (fact,) = facts(session(shape, payment_status=status))

    assert fact == PurchasePending(key=KEY, reason=f"the session's payment_status is {status}")


@every_shape
@pytest.mark.parametrize("status", ["paid", "unpaid"])
def test_a_payment_that_arrives_late_is_the_same_purchase_whatever_the_session_says(shape: Shape, status: str) -> None:
    assert facts(session(shape, "async_payment_succeeded", payment_status=status)) == (purchase(),)


@every_shape
@pytest.mark.parametrize("event", ["async_payment_failed", "expired"])
def test_a_payment_that_failed_or_a_session_that_expired_is_void(shape: Shape, event: str) -> None:
    (fact,) = facts(session(shape, event))

    assert isinstance(fact, PurchaseVoided)
    assert fact.key == KEY


@every_shape
def test_a_promotion_that_leaves_nothing_to_pay_is_a_purchase_paid_with_nothing(shape: Shape) -> None:
    event = session(shape, payment_status="no_payment_required", amount_total=0, payment_intent=None)

    assert facts(event) == (purchase(paid=Money(amount_minor=0, currency="USD"), also_known_as=()),)


# ── What it says ─────────────────────────────────────────────────────────────────────────────────────────


@every_shape
def test_a_discount_and_a_tax_change_what_was_paid_and_not_what_was_asked(shape: Shape) -> None:
    (fact,) = facts(session(shape, amount_subtotal=1000, amount_total=950))

    assert fact == purchase(paid=Money(amount_minor=950, currency="USD"))


def test_without_a_subtotal_the_total_was_asked() -> None:
    (fact,) = facts(session(amount_subtotal=None, amount_total=950))

    assert fact == purchase(asked=Money(amount_minor=950, currency="USD"), paid=Money(amount_minor=950, currency="USD"))


@pytest.mark.parametrize("shape", [Shape.OLD, Shape.ACACIA], ids=str)
def test_a_price_shown_in_the_payers_currency_was_asked_in_ours(shape: Shape) -> None:
    conversion = {"amount_subtotal": 1000, "amount_total": 1000, "fx_rate": "0.93", "source_currency": "usd"}
    event = session(shape, currency="eur", amount_subtotal=930, amount_total=930, currency_conversion=conversion)

    assert facts(event) == (purchase(paid=Money(amount_minor=930, currency="EUR")),)


def test_since_basil_the_payers_currency_stands_apart_and_changes_nothing() -> None:
    event = session(presentment_details={"presentment_amount": 930, "presentment_currency": "eur"})

    assert facts(event) == (purchase(),)


@every_shape
def test_the_invoice_of_a_purchase_is_another_name_of_its_payment(shape: Shape) -> None:
    (fact,) = facts(session(shape, invoice="in_9"))

    assert fact == purchase(also_known_as=("stripe:pi:pi_p1", "stripe:in:in_9"))


@every_shape
def test_expanded_objects_are_read_by_their_id(shape: Shape) -> None:
    event = session(shape, customer={"id": CUSTOMER, "object": "customer"}, payment_intent={"id": "pi_p1"})

    assert facts(event) == (purchase(),)


def test_a_quote_and_a_client_reference_are_handed_on() -> None:
    event = payload("checkout.session.completed", quote_id="q_1", client_reference="cg1-abc-def")

    (fact,) = facts(event)

    assert isinstance(fact, PurchasePaid)
    assert (fact.quote_id, fact.payer.client_reference) == ("q_1", "cg1-abc-def")


@pytest.mark.parametrize("metadata", [None, {}, [], {"order": "7"}], ids=repr)
def test_a_session_that_somebody_else_made_is_still_a_purchase(metadata: object) -> None:
    event = session(metadata=metadata)

    assert facts(event) == (purchase(payer=Payer(customer_id=CUSTOMER), credit_type=None, amount=None),)


# ── Modes ────────────────────────────────────────────────────────────────────────────────────────────────


@every_shape
@pytest.mark.parametrize("event", ["completed", "async_payment_succeeded"])
def test_a_subscriptions_session_only_links_the_customer(shape: Shape, event: str) -> None:
    (fact,) = facts(payload(f"checkout.session.{event}", shape, amount=None))

    assert fact == CustomerLinked(payer=Payer(account="user_1", customer_id=CUSTOMER, subscription_id="sub_s1"))


@pytest.mark.parametrize("event", ["async_payment_failed", "expired"])
def test_a_subscription_that_never_began_is_nothing(event: str) -> None:
    (fact,) = facts(payload(f"checkout.session.{event}", amount=None))

    assert isinstance(fact, NothingToDo)


@pytest.mark.parametrize("mode", ["setup", "a_mode_of_2031"])
@pytest.mark.parametrize("event", ["completed", "async_payment_succeeded", "async_payment_failed", "expired"])
def test_a_session_of_another_mode_is_nothing(event: str, mode: str) -> None:
    (fact,) = facts(session(event=event, mode=mode))

    assert isinstance(fact, NothingToDo)


def test_a_session_of_2019_without_mode_and_payment_status_is_a_paid_purchase() -> None:
    event = without(session(Shape.OLD), "mode", "payment_status", "status", "amount_subtotal", "amount_total")

    assert facts(event) == (purchase(asked=None, paid=None),)


def test_a_session_of_2019_with_a_subscription_links() -> None:
    event = without(payload("checkout.session.completed", Shape.OLD, amount=None), "mode", "payment_status")

    assert isinstance(facts(event)[0], CustomerLinked)


def test_a_session_of_2019_with_a_setup_intent_alone_is_nothing() -> None:
    event = without(session(Shape.OLD, setup_intent="seti_1", payment_intent=None), "mode")

    assert isinstance(facts(event)[0], NothingToDo)


# ── Top-ups ──────────────────────────────────────────────────────────────────────────────────────────────


@every_shape
def test_a_top_up_of_ours_is_a_purchase(shape: Shape) -> None:
    event = payload("payment_intent.succeeded", shape)

    assert facts(event) == (purchase(key="stripe:pi:pi_p1", also_known_as=("stripe:ch:ch_p1",)),)


@every_shape
@pytest.mark.parametrize(
    "metadata",
    [{}, None, {"creditgate_kind": "checkout", "creditgate_account": "user_1"}, {"creditgate_account": "user_1"}],
    ids=repr,
)
def test_a_payment_of_a_session_or_of_somebody_else_is_nothing(shape: Shape, metadata: object) -> None:
    (fact,) = facts(changed(payload("payment_intent.succeeded", shape), metadata=metadata))

    assert isinstance(fact, NothingToDo)


@pytest.mark.parametrize("reference", ["in_1", {"id": "in_1"}], ids=repr)
def test_a_payment_of_an_invoice_is_nothing_even_with_our_metadata(reference: object) -> None:
    (fact,) = facts(changed(payload("payment_intent.succeeded", Shape.ACACIA), invoice=reference))

    assert isinstance(fact, NothingToDo)


def test_a_top_up_captured_in_part_was_paid_in_part() -> None:
    (fact,) = facts(changed(payload("payment_intent.succeeded"), amount_received=600))

    assert isinstance(fact, PurchasePaid)
    assert (str(fact.asked), str(fact.paid)) == ("1000 USD (minor units)", "600 USD (minor units)")


# ── Refusals ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id": None}, r"data\.object\.id"),
        ({"id": 5}, r"data\.object\.id"),
        ({"amount_total": "10.00"}, r"data\.object\.amount_total"),
        ({"amount_total": 10.5}, r"data\.object\.amount_total"),
        ({"amount_subtotal": True}, r"data\.object\.amount_subtotal"),
        ({"amount_total": 2**53}, r"data\.object\.amount_total"),
        ({"currency": None}, r"data\.object\.currency"),
        ({"customer": 7}, r"data\.object\.customer"),
        ({"payment_intent": {"object": "payment_intent"}}, r"data\.object\.payment_intent\.id"),
        ({"mode": 3}, r"data\.object\.mode"),
    ],
    ids=repr,
)
def test_a_deciding_field_that_is_missing_or_of_another_kind_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(MalformedPayloadError, match=named):
        facts(session(**fields))


@pytest.mark.parametrize("amount", ["0", "-1", "1.5", "1e3", "01", " 5 ", "٣", str(2**53), "lots"])
def test_an_amount_in_our_metadata_outside_its_bounds_is_refused_by_name(amount: str) -> None:
    event = session(metadata={"creditgate_account": "user_1", "creditgate_amount": amount})

    with pytest.raises(InvalidInputError, match="creditgate_amount"):
        facts(event)


def test_a_link_without_a_customer_or_subscription_is_refused() -> None:
    event = changed(payload("checkout.session.completed", amount=None), customer=None, subscription=None)

    with pytest.raises(MalformedPayloadError, match=r"data\.object\.customer"):
        facts(event)


@pytest.mark.parametrize("created", [None, -1, 10**12, "yesterday"], ids=repr)
def test_an_event_that_does_not_say_when_is_refused(created: object) -> None:
    with pytest.raises(MalformedPayloadError, match="created"):
        facts({**session(), "created": created})
