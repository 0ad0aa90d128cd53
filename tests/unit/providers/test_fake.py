"""The fake provider: what each of its events states."""

import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest

from credits.config.settings import Tenant
from credits.errors import MalformedPayloadError
from credits.facts import (
    CustomerLinked,
    DisputeSeen,
    Fact,
    PlanLine,
    PlanPaid,
    PurchasePaid,
    PurchasePending,
    PurchaseVoided,
    RefundSeen,
    SubscriptionSeen,
)
from credits.inbox.provider import Delivery
from credits.payload import parse
from credits.units import Money
from tests.support.webhooks import NOW_S, simulation
from webhooks.providers.fake import PROVIDER

FACT_OF = {
    "purchase.paid": PurchasePaid,
    "purchase.pending": PurchasePending,
    "purchase.voided": PurchaseVoided,
    "subscription.seen": SubscriptionSeen,
    "customer.linked": CustomerLinked,
    "plan.paid": PlanPaid,
    "refund.created": RefundSeen,
    "refund.failed": RefundSeen,
    "dispute.opened": DisputeSeen,
    "dispute.lost": DisputeSeen,
    "dispute.won": DisputeSeen,
}


@pytest.mark.parametrize(("event_type", "kind"), FACT_OF.items())
def test_each_event_type_states_one_fact_of_its_kind(event_type: str, kind: type[Fact]) -> None:
    assert [type(fact) for fact in facts_of(simulated(event_type))] == [kind]


def test_every_event_type_has_a_fact() -> None:
    assert PROVIDER.event_types() == tuple(FACT_OF)


def test_a_webhook_is_signed_over_its_time_and_its_body() -> None:
    webhook = PROVIDER.sign(b"{}", b"secret", 1_700_000_000)

    expected = hmac.new(b"secret", b"1700000000.{}", hashlib.sha256).hexdigest()
    assert webhook.headers["fake-signature"] == f"t=1700000000,v1={expected}"


def test_an_envelope_has_the_id_type_mode_and_time_of_the_event() -> None:
    payload = {"id": "evt_1", "type": "purchase.paid", "livemode": True, "created": 1_700_000_000, "data": {}}

    assert PROVIDER.envelope(payload, b"") == Delivery(
        event_id="evt_1", event_type="purchase.paid", tenant=Tenant.LIVE, occurred_at_ms=1_700_000_000_000
    )


@pytest.mark.parametrize("field", ["id", "type", "created"])
def test_an_event_without_a_field_of_its_envelope_is_refused_by_name(field: str) -> None:
    payload = simulated("purchase.paid")
    del payload[field]

    with pytest.raises(MalformedPayloadError, match=field):
        PROVIDER.envelope(payload, b"")


def test_a_purchase_and_its_delays_and_refund_are_about_one_key() -> None:
    keys = set()
    for event_type in ("purchase.paid", "purchase.pending", "purchase.voided", "refund.created"):
        for fact in facts_of(simulated(event_type)):
            keys.add(fact.names[0] if isinstance(fact, RefundSeen) else getattr(fact, "key", None))

    assert len(keys) == 1


def test_a_purchase_says_what_was_asked_and_what_was_paid() -> None:
    payload = simulated("purchase.paid")
    payload["data"] |= {"asked_minor": 1000, "paid_minor": 900, "currency": "eur"}

    (fact,) = facts_of(payload)

    assert isinstance(fact, PurchasePaid)
    assert (fact.asked, fact.paid) == (
        Money(amount_minor=1000, currency="EUR"),
        Money(amount_minor=900, currency="EUR"),
    )


def test_a_refund_is_of_the_whole_price_unless_it_says_less() -> None:
    payload = simulated("refund.created")
    (whole,) = facts_of(payload)
    payload["data"]["refunded_minor"] = 300
    (part,) = facts_of(payload)

    assert isinstance(whole, RefundSeen)
    assert isinstance(part, RefundSeen)
    assert (whole.amount, part.amount) == (
        Money(amount_minor=1000, currency="USD"),
        Money(amount_minor=300, currency="USD"),
    )
    assert whole.ref == part.ref


def test_a_refund_of_a_plan_is_about_its_invoice() -> None:
    (paid,) = facts_of(simulated("plan.paid"))
    refund = simulation("refund.created", product_id="pro")

    (fact,) = PROVIDER.interpret(parse(PROVIDER.simulate(refund)))

    assert isinstance(paid, PlanPaid)
    assert isinstance(fact, RefundSeen)
    assert fact.names == (paid.key,)


def test_a_plan_is_paid_for_the_simulated_period() -> None:
    first = simulation("plan.paid")
    lines: list[PlanLine] = []
    for period in (0, 1):
        (fact,) = PROVIDER.interpret(parse(PROVIDER.simulate(replace(first, period=period, payment=f"p{period}"))))
        assert isinstance(fact, PlanPaid)
        lines += fact.lines

    assert lines[0].period_start_ms == NOW_S * 1000
    assert lines[1].period_start_ms == lines[0].period_end_ms
    assert lines[0].key != lines[1].key


def test_an_ended_subscription_is_seen_as_ended() -> None:
    payload = simulated("subscription.seen")
    payload["data"]["status"] = "ended"

    (fact,) = facts_of(payload)

    assert isinstance(fact, SubscriptionSeen)
    assert fact.ended


@pytest.mark.parametrize(
    ("event_type", "field"),
    [
        ("purchase.paid", "payment"),
        ("purchase.paid", "currency"),
        ("subscription.seen", "subscription"),
        ("customer.linked", "customer"),
        ("plan.paid", "invoice"),
        ("plan.paid", "paid_minor"),
    ],
)
def test_a_missing_field_that_decides_about_credits_is_refused_by_name(event_type: str, field: str) -> None:
    payload = simulated(event_type)
    del payload["data"][field]

    with pytest.raises(MalformedPayloadError, match=rf"data\.{field}"):
        PROVIDER.interpret(payload)


def simulated(event_type: str) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(PROVIDER.simulate(simulation(event_type)))
    return payload


def facts_of(payload: dict[str, Any]) -> tuple[Fact, ...]:
    return PROVIDER.interpret(payload)
