"""Stripe's invoices: which lines earn credits, decided line by line and alike in every shape."""

from typing import Any

import pytest

from credits.errors import MalformedPayloadError
from credits.facts import NothingToDo, Payer, PlanLine, PlanPaid
from credits.units import Money
from tests.support.stripe_payloads import (
    SHAPES,
    Payload,
    changed,
    facts,
    invoice,
    line,
    payload,
    single_invoice,
    single_item,
    without,
)
from tests.support.webhooks import NOW_S
from webhooks.providers.stripe.simulate.common import Shape

INVOICE = "in_s1_0"
CUSTOMER = payload("invoice.paid")["data"]["object"]["customer"]
MONTH_S = 30 * 24 * 60 * 60

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def paid(event: Payload) -> PlanPaid:
    """The one PlanPaid among the event's facts."""
    (found,) = [fact for fact in facts(event) if isinstance(fact, PlanPaid)]
    return found


def plan_line(amount: int = 1000, *, item: str = "si_1", start_s: int = NOW_S, **changes: Any) -> PlanLine:
    """The line that `line` of the payloads states."""
    said: dict[str, Any] = {
        "key": f"stripe:inv:{INVOICE}:{item}:{start_s}",
        "product_id": "price_pro",
        "period_start_ms": start_s * 1000,
        "period_end_ms": (start_s + MONTH_S) * 1000,
        "quantity": 1,
        "amount": Money(amount_minor=amount, currency="USD"),
    }
    return PlanLine(**{**said, **changes})


# ── A period that was paid ───────────────────────────────────────────────────────────────────────────────


@every_shape
@pytest.mark.parametrize("reason", ["subscription_create", "subscription_cycle", "manual", "a_reason_of_2031", None])
def test_a_paid_period_earns_whatever_the_billing_reason(shape: Shape, reason: str | None) -> None:
    (fact,) = facts(invoice(shape, line(shape), billing_reason=reason))

    assert isinstance(fact, PlanPaid)
    assert fact.key == f"stripe:inv:{INVOICE}"
    assert fact.payer == Payer(account=fact.payer.account, customer_id=CUSTOMER, subscription_id="sub_s1")
    assert fact.lines == (plan_line(),)
    assert fact.total == Money(amount_minor=1000, currency="USD")
    assert fact.occurred_at_ms == NOW_S * 1000


@every_shape
def test_every_item_and_every_period_earns_by_itself(shape: Shape) -> None:
    two_items = invoice(shape, line(shape), line(shape, 300, item="si_2", price="price_seats"))
    two_periods = invoice(shape, line(shape), line(shape, start_s=NOW_S + MONTH_S))

    assert paid(two_items).lines == (plan_line(), plan_line(300, item="si_2", product_id="price_seats"))
    assert paid(two_periods).lines == (plan_line(), plan_line(start_s=NOW_S + MONTH_S))


@every_shape
def test_the_tiers_of_one_price_are_one_line(shape: Shape) -> None:
    tiers = [line(shape, 500, quantity=5), line(shape, 0, quantity=0), line(shape, 160, quantity=2)]

    assert paid(invoice(shape, *tiers)).lines == (plan_line(660, quantity=7),)


@every_shape
def test_a_flat_tier_without_a_quantity_adds_only_its_amount(shape: Shape) -> None:
    flat = {**line(shape, 100), "quantity": None}

    assert paid(invoice(shape, flat, line(shape, 500, quantity=5))).lines == (plan_line(600, quantity=5),)
    assert paid(invoice(shape, flat)).lines == (plan_line(100, quantity=None),)


@every_shape
def test_two_prices_for_one_item_and_period_are_refused(shape: Shape) -> None:
    event = invoice(shape, line(shape), line(shape, price="price_other"))

    with pytest.raises(MalformedPayloadError, match="at different prices"):
        facts(event)


@every_shape
@pytest.mark.parametrize("how", [{"starting_balance": -1000}, {"paid_out_of_band": True}], ids=repr)
def test_a_period_paid_without_a_charge_earns_in_full(shape: Shape, how: dict[str, Any]) -> None:
    event = invoice(shape, line(shape), amount_paid=0, amount_due=0, payment_intent=None, charge=None, **how)

    assert paid(event).lines == (plan_line(),)


@every_shape
def test_a_coupon_that_leaves_something_to_pay_changes_nothing(shape: Shape) -> None:
    event = invoice(shape, line(shape), subtotal=1000, total=1, amount_paid=1)

    assert paid(event).lines == (plan_line(),)
    assert paid(event).total == Money(amount_minor=1, currency="USD")


@every_shape
def test_a_single_item_on_a_subscriptions_invoice_earns_nothing_itself(shape: Shape) -> None:
    event = invoice(shape, single_item(shape), line(shape))

    assert paid(event).lines == (plan_line(),)


@every_shape
def test_a_free_item_beside_a_paid_one_is_a_line_of_its_own(shape: Shape) -> None:
    event = invoice(shape, line(shape), line(shape, 0, item="si_2"))

    assert paid(event).lines == (plan_line(), plan_line(0, item="si_2"))


# ── Trials, coupons, changes ─────────────────────────────────────────────────────────────────────────────


@every_shape
def test_a_period_that_costs_nothing_is_stated_as_such(shape: Shape) -> None:
    """A trial's, or one of a free price: the subscription tells which."""
    event = invoice(shape, line(shape, 0), single_item(shape, 500))

    assert paid(event).lines == (plan_line(0),)


@every_shape
def test_a_coupon_over_everything_leaves_a_total_of_nothing(shape: Shape) -> None:
    event = invoice(shape, line(shape), total=0, amount_due=0, amount_paid=0)

    assert (paid(event).lines, paid(event).total.amount_minor) == ((plan_line(),), 0)
    assert not paid(event).is_from_balance


@every_shape
def test_prorations_are_stated_line_by_line_under_their_own_ids(shape: Shape) -> None:
    event = invoice(
        shape,
        line(shape, -1000, proration=True, line_id="il_1"),
        line(shape, 2000, proration=True, line_id="il_2", price="price_max"),
        billing_reason="subscription_update",
    )

    assert paid(event).lines == (
        plan_line(-1000, key=f"stripe:inv:{INVOICE}:il_1", is_proration=True),
        plan_line(2000, key=f"stripe:inv:{INVOICE}:il_2", product_id="price_max", is_proration=True),
    )


@every_shape
def test_tiers_of_a_price_prorate_it_in_several_lines_that_count_as_one(shape: Shape) -> None:
    event = invoice(
        shape,
        line(shape, 300, proration=True, line_id="il_2", quantity=3),
        line(shape, 700, proration=True, line_id="il_1", quantity=7),
        line(shape, -50, proration=True, line_id="il_3"),
    )

    assert paid(event).lines == (
        plan_line(1000, key=f"stripe:inv:{INVOICE}:il_1", quantity=10, is_proration=True),
        plan_line(-50, key=f"stripe:inv:{INVOICE}:il_3", is_proration=True),
    )


@every_shape
def test_a_new_interval_is_a_full_period_beside_the_proration_of_the_old_one(shape: Shape) -> None:
    event = invoice(
        shape,
        line(shape, -500, proration=True, line_id="il_1"),
        line(shape, 9000, price="price_yearly", line_id="il_2"),
        billing_reason="subscription_update",
    )

    assert [one.is_proration for one in paid(event).lines] == [True, False]
    assert paid(event).lines[1] == plan_line(9000, product_id="price_yearly")


def test_since_basil_a_subscriptions_own_line_may_be_a_proration() -> None:
    event = invoice(Shape.BASIL, line(Shape.BASIL))
    details = event["data"]["object"]["lines"]["data"][0]["parent"]["subscription_item_details"]
    details["proration"] = True

    assert [one.is_proration for one in paid(event).lines] == [True]


@every_shape
def test_what_the_customers_balance_paid_is_stated(shape: Shape) -> None:
    event = invoice(shape, line(shape), amount_due=0, amount_paid=0)

    assert paid(event).is_from_balance


@pytest.mark.parametrize("is_flagged", [True, False])
@pytest.mark.parametrize("shape", [Shape.OLD, Shape.ACACIA], ids=str)
def test_until_basil_an_invoice_says_whether_it_was_paid_out_of_band(shape: Shape, is_flagged: bool) -> None:
    assert paid(invoice(shape, line(shape), paid_out_of_band=is_flagged)).is_out_of_band is is_flagged


@pytest.mark.parametrize(
    ("past_minor", "expected"), [(None, None), (0, False), (999, False), (1000, True), (1200, True)], ids=repr
)
def test_since_basil_the_api_says_how_much_was_paid_out_of_band(past_minor: int | None, expected: bool | None) -> None:
    event = invoice(Shape.BASIL, line(Shape.BASIL), amount_paid_off_stripe=past_minor)

    assert paid(event).is_out_of_band is expected


@every_shape
@pytest.mark.parametrize("fields", [{"amount_due": 0}, {"total": 0, "amount_due": 0}], ids=repr)
def test_an_invoice_of_which_nothing_was_due_was_not_paid_out_of_band(shape: Shape, fields: dict[str, Any]) -> None:
    assert paid(without(invoice(shape, line(shape), **fields), "paid_out_of_band")).is_out_of_band is False


@every_shape
def test_an_invoice_with_more_lines_than_the_event_carries_says_so_and_what_all_come_to(shape: Shape) -> None:
    event = invoice(shape, line(shape), subtotal=9000)
    assert (paid(event).is_cut_off, paid(event).subtotal) == (False, None)

    event["data"]["object"]["lines"]["has_more"] = True

    assert paid(event).lines == (plan_line(),)
    assert (paid(event).is_cut_off, paid(event).subtotal) == (True, Money(amount_minor=9000, currency="USD"))


@every_shape
def test_a_subscriptions_invoice_that_is_cut_off_counts_though_none_of_its_plans_is_told(shape: Shape) -> None:
    event = invoice(shape, single_item(shape))
    event["data"]["object"]["lines"]["has_more"] = True

    assert (paid(event).lines, paid(event).is_cut_off) == ((), True)


@every_shape
def test_a_negative_line_never_earns(shape: Shape) -> None:
    event = invoice(shape, line(shape), line(shape, -200, item="si_2"))

    assert paid(event).lines == (plan_line(),)


# ── Invoices that mean nothing here ──────────────────────────────────────────────────────────────────────


@every_shape
def test_the_invoice_of_a_purchase_is_nothing_because_its_session_counts(shape: Shape) -> None:
    (fact,) = facts(single_invoice(shape))

    assert isinstance(fact, NothingToDo)


@every_shape
def test_an_invoice_that_is_not_paid_is_nothing(shape: Shape) -> None:
    event = invoice(shape, line(shape), status="open")
    if shape is not Shape.BASIL:
        event = changed(event, paid=False)

    assert isinstance(facts(event)[0], NothingToDo)


@every_shape
@pytest.mark.parametrize("event", ["payment_succeeded", "payment_failed"])
def test_the_twin_and_the_failure_of_a_payment_are_nothing(shape: Shape, event: str) -> None:
    (fact,) = facts(payload(f"invoice.{event}", shape))

    assert isinstance(fact, NothingToDo)


def test_the_lines_of_a_quotes_invoice_decide_and_not_what_else_its_parent_holds() -> None:
    parent = {"type": "quote_details", "subscription_details": {"subscription": "sub_s1"}}

    assert isinstance(facts(single_invoice(Shape.BASIL, parent=parent))[0], NothingToDo)


# ── Whose it is ──────────────────────────────────────────────────────────────────────────────────────────


@every_shape
def test_the_account_is_the_subscriptions(shape: Shape) -> None:
    (fact,) = facts(payload("invoice.paid", shape))

    assert isinstance(fact, PlanPaid)
    assert fact.payer == Payer(account="user_1", customer_id=CUSTOMER, subscription_id="sub_s1")


@every_shape
def test_the_subscriptions_metadata_counts_before_the_invoices(shape: Shape) -> None:
    event = changed(payload("invoice.paid", shape), metadata={"creditgate_account": "user_2"})
    # Before 2023 the invoice's own metadata was all there was beside the lines'.
    expected = "user_2" if shape is Shape.OLD else "user_1"

    assert paid(event).payer.account == expected


@every_shape
def test_the_payments_of_an_invoice_are_its_other_names(shape: Shape) -> None:
    event = payload("invoice.paid", shape)
    if shape is Shape.BASIL:
        assert paid(event).also_known_as == (f"stripe:in:{INVOICE}",)
        listed = [{"payment": {"type": "payment_intent", "payment_intent": "pi_p1", "charge": "ch_p1"}}]
        event = changed(event, payments={"object": "list", "data": listed})

    assert paid(event).also_known_as == (f"stripe:in:{INVOICE}", "stripe:pi:pi_p1", "stripe:ch:ch_p1")


# ── Shapes older than the versions we simulate ───────────────────────────────────────────────────────────


def test_a_line_of_2016_is_known_by_the_subscription_whose_id_it_has() -> None:
    bare = without(invoice(Shape.OLD), "subscription", "status", "subscription_details")
    oldest = {
        "id": "sub_s1",
        "type": "subscription",
        "amount": 1000,
        "period": {"start": NOW_S, "end": NOW_S + MONTH_S},
        "plan": {"id": "price_pro"},
        "proration": False,
        "quantity": 1,
        "subscription": None,
    }
    bare["data"]["object"]["lines"]["data"] = [oldest]
    fact = paid(changed(bare, paid=True, total=1000, subtotal=1000))

    assert fact.payer.subscription_id == "sub_s1"
    assert fact.lines == (plan_line(item="sub_s1"),)


def test_a_line_without_a_type_is_a_subscriptions_if_it_names_one() -> None:
    untyped = line(Shape.OLD)
    del untyped["type"]

    assert paid(invoice(Shape.OLD, untyped)).lines == (plan_line(),)


def test_a_line_that_names_no_price_leaves_it_to_the_subscription() -> None:
    priceless = {**line(Shape.OLD), "price": None, "plan": None}

    assert paid(invoice(Shape.OLD, priceless)).lines == (plan_line(product_id=None),)


# ── Refusals ─────────────────────────────────────────────────────────────────────────────────────────────


@every_shape
def test_a_purchases_invoice_may_have_more_lines_than_the_event_carries(shape: Shape) -> None:
    event = single_invoice(shape)
    event["data"]["object"]["lines"]["has_more"] = True

    assert isinstance(facts(event)[0], NothingToDo)


@every_shape
@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id": None}, r"data\.object\.id"),
        ({"lines": {}}, r"data\.object\.lines\.data"),
        ({"lines": {"data": 5}}, r"data\.object\.lines\.data"),
        ({"total": None}, r"data\.object\.total"),
        ({"currency": None}, r"data\.object\.currency"),
        ({"status": None, "paid": None}, r"data\.object\.status"),
    ],
    ids=repr,
)
def test_a_deciding_field_that_is_missing_is_named(shape: Shape, fields: dict[str, Any], named: str) -> None:
    with pytest.raises(MalformedPayloadError, match=named):
        facts(invoice(shape, line(shape), **fields))


@every_shape
@pytest.mark.parametrize(
    ("fields", "named"),
    [({"period": None}, r"period\.start"), ({"amount": None}, r"amount"), ({"amount": 1.5}, r"amount")],
    ids=repr,
)
def test_a_deciding_field_of_a_line_that_is_missing_is_named(shape: Shape, fields: dict[str, Any], named: str) -> None:
    with pytest.raises(MalformedPayloadError, match=rf"lines\.data\[0\]\.{named}"):
        facts(invoice(shape, {**line(shape), **fields}, subtotal=1000, total=1000))
