"""Stripe's refunds and disputes: each is one fact under its own id, in every shape, and inquiries are none."""

from typing import Any

import pytest

from credits.errors import MalformedPayloadError
from credits.facts import (
    DisputeSeen,
    DisputeStatus,
    NothingToDo,
    PaymentNamed,
    RefundsCounted,
    RefundSeen,
    RefundStatus,
)
from credits.units import Money
from tests.support.stripe_payloads import SHAPES, changed, facts, payload, without
from webhooks.providers.stripe.simulate.common import Shape

REFUNDS = {
    "charge.refund.updated": RefundStatus.SUCCEEDED,
    "refund.created": RefundStatus.SUCCEEDED,
    "refund.updated": RefundStatus.SUCCEEDED,
    "refund.failed": RefundStatus.FAILED,
}
DISPUTES = {
    "charge.dispute.created": DisputeStatus.OPEN,
    "charge.dispute.updated": DisputeStatus.OPEN,
    "charge.dispute.closed": DisputeStatus.LOST,
    "charge.dispute.funds_withdrawn": DisputeStatus.OPEN,
    "charge.dispute.funds_reinstated": DisputeStatus.WON,
}
DISPUTE_STATES = ["charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed"]
PRICE = Money(amount_minor=1000, currency="USD")

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@every_shape
@pytest.mark.parametrize(("event_type", "status"), REFUNDS.items())
def test_all_events_of_a_refund_are_about_one_refund(shape: Shape, event_type: str, status: RefundStatus) -> None:
    (fact,) = facts(payload(event_type, shape))

    names = ("stripe:pi:pi_p1", "stripe:ch:ch_p1")
    assert fact == RefundSeen(ref="stripe:refund:re_p1", names=names, amount=PRICE, status=status)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("pending", RefundStatus.PENDING),
        ("requires_action", RefundStatus.PENDING),
        ("canceled", RefundStatus.FAILED),
        ("a_status_of_2031", RefundStatus.PENDING),
        (None, RefundStatus.SUCCEEDED),
    ],
)
def test_a_refund_counts_unless_it_failed_or_was_called_off(said: str | None, status: RefundStatus) -> None:
    (fact,) = facts(changed(payload("refund.updated"), status=said))

    assert isinstance(fact, RefundSeen)
    assert fact.status is status


@every_shape
def test_a_refunded_charge_says_what_its_refunds_add_up_to(shape: Shape) -> None:
    """It lists no refunds since 2022-11-15."""
    (fact,) = facts(changed(payload("charge.refunded", shape), amount_refunded=250))

    assert isinstance(fact, RefundsCounted)
    assert fact.refunded == Money(amount_minor=250, currency="USD")
    assert fact.charged == PRICE
    assert fact.ref == "stripe:ch:ch_p1:refunded:250"


def test_until_basil_a_charge_names_its_invoice() -> None:
    (fact,) = facts(changed(payload("charge.refunded", Shape.OLD), invoice="in_1"))

    assert isinstance(fact, RefundsCounted)
    assert fact.names == ("stripe:ch:ch_p1", "stripe:pi:pi_p1", "stripe:in:in_1")


def test_since_basil_a_payment_of_an_invoice_ties_the_two_together() -> None:
    (fact,) = facts(payload("invoice_payment.paid"))

    assert fact == PaymentNamed(names=("stripe:in:in_s1_0", "stripe:pi:pi_p1"))


@every_shape
@pytest.mark.parametrize(("event_type", "status"), DISPUTES.items())
def test_all_events_of_a_dispute_are_about_one_dispute(shape: Shape, event_type: str, status: DisputeStatus) -> None:
    (fact,) = facts(payload(event_type, shape))

    names = ("stripe:pi:pi_p1", "stripe:ch:ch_p1")
    assert fact == DisputeSeen(ref="stripe:dp:dp_p1", names=names, amount=PRICE, status=status)


@pytest.mark.parametrize("status", ["warning_needs_response", "warning_under_review", "warning_closed"])
@pytest.mark.parametrize("event_type", DISPUTE_STATES)
def test_an_inquiry_is_nothing(event_type: str, status: str) -> None:
    (fact,) = facts(changed(payload(event_type), status=status))

    assert fact == NothingToDo(reason=f"dispute dp_p1 is only an inquiry ({status})")


def test_money_that_moved_counts_even_where_the_status_speaks_of_an_inquiry() -> None:
    (taken,) = facts(changed(payload("charge.dispute.funds_withdrawn"), status="warning_needs_response"))
    (given,) = facts(changed(payload("charge.dispute.funds_reinstated"), status="warning_needs_response"))

    assert isinstance(taken, DisputeSeen)
    assert isinstance(given, DisputeSeen)
    assert (taken.status, given.status) == (DisputeStatus.OPEN, DisputeStatus.WON)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("won", DisputeStatus.WON),
        ("lost", DisputeStatus.LOST),
        ("charge_refunded", DisputeStatus.WON),
        ("prevented", DisputeStatus.WON),
        ("a_status_of_2031", DisputeStatus.OPEN),
        (None, DisputeStatus.OPEN),
    ],
)
def test_a_dispute_of_a_status_nobody_knows_freezes(said: str | None, status: DisputeStatus) -> None:
    (fact,) = facts(changed(payload("charge.dispute.created"), status=said))

    assert isinstance(fact, DisputeSeen)
    assert fact.status is status


def test_a_credit_note_over_refunds_is_those_refunds_and_the_rest_by_itself() -> None:
    refunds = [{"refund": "re_1", "amount_refunded": 300}, {"refund": {"id": "re_2"}, "amount_refunded": 200}]

    found = facts(changed(payload("credit_note.created"), refunds=refunds, post_payment_amount=1000))

    assert [(fact.ref, fact.amount, fact.is_counted) for fact in found if isinstance(fact, RefundSeen)] == [
        ("stripe:refund:re_1", Money(amount_minor=300, currency="USD"), True),
        ("stripe:refund:re_2", Money(amount_minor=200, currency="USD"), True),
        ("stripe:cn:cn_p1", Money(amount_minor=500, currency="USD"), False),
    ]


@pytest.mark.parametrize("fields", [{"type": "pre_payment"}, {"status": "void"}, {"post_payment_amount": 0}])
def test_a_credit_note_over_what_nobody_paid_takes_nothing_back(fields: dict[str, Any]) -> None:
    (fact,) = facts(changed(payload("credit_note.created"), **fields))

    assert isinstance(fact, NothingToDo)


def test_a_voided_invoice_takes_back_what_was_paid_on_it_and_mostly_that_is_nothing() -> None:
    (unpaid,) = facts(changed(payload("invoice.voided"), amount_paid=0))
    (paid,) = facts(changed(payload("invoice.voided"), amount_paid=10))

    assert isinstance(unpaid, NothingToDo)
    assert isinstance(paid, RefundSeen)
    assert (paid.names, paid.amount) == (("stripe:in:in_s1_0",), None)


@pytest.mark.parametrize("event_type", [*REFUNDS, *DISPUTES, "charge.refunded", "credit_note.created"])
def test_an_object_without_an_id_is_refused_by_name(event_type: str) -> None:
    with pytest.raises(MalformedPayloadError, match=r"data\.object\.id"):
        facts(without(payload(event_type), "id"))


@pytest.mark.parametrize("event_type", ["refund.created", "charge.dispute.created"])
def test_what_names_no_payment_is_refused(event_type: str) -> None:
    with pytest.raises(MalformedPayloadError, match="must name the payment"):
        facts(without(payload(event_type), "charge", "payment_intent"))
