"""Stripe's refunds and disputes: each waits under the name of the object it is about, and inquiries do not."""

import pytest

from credits.errors import MalformedPayloadError
from credits.facts import Deferred, Feature, NothingToDo
from tests.support.stripe_payloads import SHAPES, changed, facts, payload, without
from webhooks.providers.stripe.simulate.common import Shape

REFUNDS = {
    "charge.refunded": "stripe:ch:ch_p1",
    "charge.refund.updated": "stripe:re:re_p1",
    "refund.created": "stripe:re:re_p1",
    "refund.updated": "stripe:re:re_p1",
    "refund.failed": "stripe:re:re_p1",
    "credit_note.created": "stripe:cn:cn_p1",
    "invoice.voided": "stripe:in:in_s1_0",
}
DISPUTE_STATES = ["charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed"]
DISPUTE_FUNDS = ["charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated"]

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@every_shape
@pytest.mark.parametrize(("event_type", "subject"), REFUNDS.items())
def test_money_that_goes_back_waits_under_the_name_of_what_it_is(shape: Shape, event_type: str, subject: str) -> None:
    (fact,) = facts(payload(event_type, shape))

    assert isinstance(fact, Deferred)
    assert (fact.feature, fact.subject) == (Feature.REFUND, subject)


@every_shape
@pytest.mark.parametrize("event_type", DISPUTE_STATES + DISPUTE_FUNDS)
def test_a_dispute_waits(shape: Shape, event_type: str) -> None:
    (fact,) = facts(payload(event_type, shape))

    assert isinstance(fact, Deferred)
    assert (fact.feature, fact.subject) == (Feature.DISPUTE, "stripe:dp:dp_p1")


@pytest.mark.parametrize("status", ["warning_needs_response", "warning_under_review", "warning_closed"])
@pytest.mark.parametrize("event_type", DISPUTE_STATES)
def test_an_inquiry_is_nothing(event_type: str, status: str) -> None:
    (fact,) = facts(changed(payload(event_type), status=status))

    assert fact == NothingToDo(reason=f"dispute dp_p1 is only an inquiry ({status})")


@pytest.mark.parametrize("event_type", DISPUTE_FUNDS)
def test_money_that_moved_counts_even_where_the_status_speaks_of_an_inquiry(event_type: str) -> None:
    (fact,) = facts(changed(payload(event_type), status="warning_needs_response"))

    assert isinstance(fact, Deferred)


@pytest.mark.parametrize("status", [None, "prevented", "a_status_of_2031"])
def test_a_dispute_of_a_status_nobody_knows_waits(status: str | None) -> None:
    (fact,) = facts(changed(payload("charge.dispute.created"), status=status))

    assert isinstance(fact, Deferred)


@pytest.mark.parametrize("event_type", [*REFUNDS, *DISPUTE_STATES, *DISPUTE_FUNDS])
def test_an_object_without_an_id_is_refused_by_name(event_type: str) -> None:
    with pytest.raises(MalformedPayloadError, match=r"data\.object\.id"):
        facts(without(payload(event_type), "id"))
