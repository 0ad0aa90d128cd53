"""A simulated account: what happens to it is told as its provider tells it, and read as it was meant."""

from typing import Any

import pytest

from credits.errors import InvalidInputError
from credits.facts import PlanPaid, RefundsCounted, RefundSeen, RefundStatus, SubscriptionSeen
from credits.payload import parse
from credits.simulation.account import Happened, ProviderAccount
from credits.simulation.clock import NOON_MS
from credits.simulation.dialects import DIALECTS, SHAPES
from webhooks.providers import REGISTRY

DAY_MS = 86_400_000


def facts(provider: str, happened: Happened) -> list[Any]:
    """Everything that is read from its events."""
    one = REGISTRY[provider]
    bodies = [one.simulate(event) for event in happened.events if one.reads(event.event_type)]
    return [fact for body in bodies for fact in one.interpret(parse(body))]


def account(provider: str = "stripe", shape: str = "basil") -> ProviderAccount:
    return ProviderAccount(provider=provider, account="user_1", api_version=SHAPES[shape])


@pytest.mark.parametrize("provider", sorted(DIALECTS))
def test_every_event_of_a_dialect_can_be_simulated(provider: str) -> None:
    told = {row.event_type for rows in DIALECTS[provider].values() for row in rows}

    assert told - set(REGISTRY[provider].event_types()) == set()


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_a_change_of_plan_gives_back_the_old_price_and_charges_the_new_in_proportion(shape: str) -> None:
    one = account(shape=shape)
    subscription = one.subscribe("s1", "price_a", price_minor=3100, at_ms=NOON_MS)

    changed = one.change_plan(subscription, "price_b", price_minor=6200, at_ms=NOON_MS + 21 * DAY_MS)

    (paid,) = (fact for fact in facts("stripe", changed) if isinstance(fact, PlanPaid))
    assert [(line.product_id, line.amount.amount_minor, line.is_proration) for line in paid.lines] == [
        ("price_a", -1000, True),
        ("price_b", 2000, True),
    ]
    assert paid.total.amount_minor == 1000


def test_a_change_of_plan_at_paddle_is_charged_in_proportion_under_a_signed_name() -> None:
    one = ProviderAccount(provider="paddle", account="user_1", client_reference="signed")
    subscription = one.subscribe("s1", "pri_a", price_minor=3100, at_ms=NOON_MS)

    changed = one.change_plan(subscription, "pri_b", price_minor=6200, at_ms=NOON_MS + 21 * DAY_MS)

    (paid,) = (fact for fact in facts("paddle", changed) if isinstance(fact, PlanPaid))
    assert [(line.product_id, line.amount.amount_minor) for line in paid.lines] == [("pri_a", -1000), ("pri_b", 2000)]
    assert (paid.payer.client_reference, paid.payer.account) == ("signed", None)


def test_a_refund_at_paddle_that_is_reversed_is_the_same_refund() -> None:
    one = ProviderAccount(provider="paddle", account="user_1", client_reference="signed")
    bought = one.purchase("p1", "tokens", 100, paid_minor=1000, at_ms=NOON_MS)

    refund = one.refund(bought, "r1", refunded_minor=300, at_ms=NOON_MS)
    failed = one.fail_refund(refund, at_ms=NOON_MS + DAY_MS)

    (given,), (undone,) = (
        [fact for fact in facts("paddle", happened) if isinstance(fact, RefundSeen)] for happened in (refund, failed)
    )
    assert given.ref == undone.ref
    assert (given.status, undone.status) == (RefundStatus.SUCCEEDED, RefundStatus.RETURNED)


def test_a_lost_chargeback_at_paddle_is_told_when_it_is_made_and_then_no_more() -> None:
    one = ProviderAccount(provider="paddle", account="user_1", client_reference="signed")
    bought = one.purchase("p1", "tokens", 100, paid_minor=1000, at_ms=NOON_MS)

    made = one.open_dispute(bought, at_ms=NOON_MS)
    lost = one.close_dispute(bought, is_won=False, at_ms=NOON_MS + DAY_MS)

    assert len(facts("paddle", made)) == 1
    assert lost.events == ()


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_refunds_of_one_payment_add_up(shape: str) -> None:
    one = account(shape=shape)
    bought = one.purchase("p1", "tokens", 100, paid_minor=1000, at_ms=NOON_MS)

    one.refund(bought, "r1", refunded_minor=300, at_ms=NOON_MS)
    second = one.refund(bought, "r2", refunded_minor=200, before_minor=300, at_ms=NOON_MS)

    found = facts("stripe", second)
    assert [fact.refunded.amount_minor for fact in found if isinstance(fact, RefundsCounted)] == [500]
    assert {fact.amount.amount_minor for fact in found if isinstance(fact, RefundSeen)} <= {200}


def test_a_partial_refund_at_lemon_squeezy_is_one() -> None:
    one = account("lemonsqueezy")
    bought = one.purchase("p1", "tokens", 100, paid_minor=1000, at_ms=NOON_MS)

    (fact,) = facts("lemonsqueezy", one.refund(bought, "r1", refunded_minor=300, at_ms=NOON_MS))

    assert (fact.refunded.amount_minor, fact.charged.amount_minor) == (300, 1000)


@pytest.mark.parametrize("provider", sorted(DIALECTS))
def test_a_payment_that_failed_leaves_its_subscription_unpaid_until_it_recovers(provider: str) -> None:
    one = account(provider)
    subscription = one.subscribe("s1", "111", price_minor=2000, at_ms=NOON_MS)

    failed = one.fail_payment(subscription)
    recovered = one.recover_payment(subscription, at_ms=failed.at_ms + 3 * DAY_MS)

    seen = [fact for fact in facts(provider, failed) if isinstance(fact, SubscriptionSeen)]
    assert [fact.is_unpaid for fact in seen] == [True]
    assert any(isinstance(fact, PlanPaid) for fact in facts(provider, recovered))
    assert not any(isinstance(fact, PlanPaid) for fact in facts(provider, failed))


def test_periods_of_the_31st_begin_on_the_last_day_of_shorter_months() -> None:
    one = account()
    subscription = one.subscribe("s1", "price_a", price_minor=1, at_ms=1_769_850_000_000)

    assert one.renew(subscription).at_ms == 1_772_269_200_000
    assert subscription.period_start_ms(2) == 1_774_947_600_000


def test_what_cannot_happen_is_refused() -> None:
    one = account("lemonsqueezy")
    bought = one.purchase("p1", "tokens", 100, paid_minor=1000, at_ms=NOON_MS)
    subscription = one.subscribe("s1", "111", price_minor=2000, at_ms=NOON_MS)

    with pytest.raises(InvalidInputError, match="no events"):
        one.open_dispute(bought, at_ms=NOON_MS)
    with pytest.raises(InvalidInputError, match="refunded_minor"):
        one.refund(bought, "r1", refunded_minor=1001, at_ms=NOON_MS)
    with pytest.raises(InvalidInputError, match="within the period"):
        one.change_plan(subscription, "222", price_minor=1, at_ms=NOON_MS + 40 * DAY_MS)
    with pytest.raises(InvalidInputError, match="provider"):
        ProviderAccount(provider="paypal", account="a").purchase("p", "tokens", 1, paid_minor=1, at_ms=NOON_MS)
