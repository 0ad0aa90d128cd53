"""The rows about refunds and disputes of Stripe's and Lemon Squeezy's tables, from webhook to ledger."""

from typing import Any

import pytest

from credits.clock import iso
from credits.db import transaction
from credits.inbox.service import attach
from credits.plans import drips
from tests.support.pipeline import OPERATOR, Pipeline
from tests.support.reversals import DAY_MS, Till, till

IMAGES, TOKENS = "image_generation", "tokens"
PLAN = {"product_id": "price_pro_monthly", "credit_type": None, "amount": None, "paid_minor": 1000}
LS_PLAN = {**PLAN, "product_id": "111111", "provider": "lemonsqueezy"}


@pytest.fixture
def bank(pipeline: Pipeline) -> Till:
    return till(pipeline)


def stripe(bank: Till, event_type: str, *, shape: str = "2025-03-31.basil", **said: Any) -> str:
    """Tell a Stripe event; answers the state of the event then."""
    return str(bank.tell(event_type, provider="stripe", api_version=shape, **said)["state"])


def refunds_of(bank: Till, kind: str = IMAGES) -> list[tuple[str, int]]:
    return bank.history(kind)[1:]


@pytest.mark.parametrize("shape", ["2020-08-27", "2025-02-24.acacia", "2025-03-31.basil"])
def test_a_refund_told_by_its_own_events_and_by_its_charge_is_taken_once(bank: Till, shape: str) -> None:
    stripe(bank, "checkout.session.completed", shape=shape)

    for event_type in ("charge.refunded", "refund.created", "refund.updated", "charge.refund.updated"):
        stripe(bank, event_type, shape=shape)

    assert refunds_of(bank) == [("clawback", -100)]


def test_a_failed_refund_gives_back_though_the_charge_still_counts_it(bank: Till) -> None:
    stripe(bank, "checkout.session.completed")
    stripe(bank, "refund.created")
    stripe(bank, "charge.refunded")

    stripe(bank, "refund.failed")

    assert refunds_of(bank) == [("clawback", -100), ("restore", 100)]


def test_since_basil_a_plans_invoice_is_found_through_its_payment_and_all_its_credit_types_go_back(bank: Till) -> None:
    stripe(bank, "invoice.paid", **PLAN)
    waited = stripe(bank, "charge.refunded", **PLAN)

    stripe(bank, "invoice_payment.paid", **PLAN)

    assert waited == "waiting"
    assert refunds_of(bank, IMAGES) == [("clawback", -1000)]
    assert refunds_of(bank, TOKENS) == [("clawback", -50_000)]


@pytest.mark.parametrize("shape", ["2020-08-27", "2025-02-24.acacia"])
def test_until_basil_a_plans_invoice_names_its_payment(bank: Till, shape: str) -> None:
    stripe(bank, "invoice.paid", shape=shape, **PLAN)

    stripe(bank, "refund.created", shape=shape, **PLAN)

    assert refunds_of(bank, TOKENS) == [("clawback", -50_000)]


def test_created_and_funds_withdrawn_are_one_dispute_and_a_lost_one_is_taken_once(bank: Till) -> None:
    """Chargeback leaves credits spendable (eliza #10920)."""
    stripe(bank, "checkout.session.completed")
    stripe(bank, "charge.dispute.created")
    stripe(bank, "charge.dispute.funds_withdrawn")
    frozen = bank.figures()

    stripe(bank, "charge.dispute.closed")
    stripe(bank, "charge.dispute.closed")

    assert frozen == {"balance": 100}
    assert refunds_of(bank) == [("clawback", -100)]


def test_a_dispute_won_after_it_was_lost_restores_once_what_it_took(bank: Till) -> None:
    """Over-clawed when won (eliza #10997, #11155)."""
    stripe(bank, "checkout.session.completed")
    stripe(bank, "charge.dispute.created")
    stripe(bank, "charge.dispute.closed")

    stripe(bank, "charge.dispute.funds_reinstated")
    stripe(bank, "charge.dispute.funds_reinstated")
    stripe(bank, "charge.dispute.created")

    assert refunds_of(bank) == [("clawback", -100), ("restore", 100)]
    assert bank.figures() == {"balance": 100, "available": 100}


def test_a_refunded_order_of_lemon_squeezy_goes_back_whole_and_once(bank: Till) -> None:
    bank.tell("order_created", provider="lemonsqueezy")

    bank.tell("order_refunded", provider="lemonsqueezy")
    bank.tell("order_refunded", provider="lemonsqueezy")

    assert refunds_of(bank) == [("clawback", -100)]


def test_a_refunded_invoice_of_lemon_squeezy_takes_its_plans_credits_back(bank: Till) -> None:
    bank.tell("subscription_created", **LS_PLAN)
    bank.tell("subscription_payment_success", **LS_PLAN)

    bank.tell("subscription_payment_refunded", **LS_PLAN)

    assert refunds_of(bank, IMAGES) == [("clawback", -1000)]
    assert refunds_of(bank, TOKENS) == [("clawback", -50_000)]


def test_a_refund_that_is_only_counted_is_taken_from_a_payment_that_is_attached_afterwards(bank: Till) -> None:
    order = bank.tell("order_created", provider="lemonsqueezy", account=None)
    bank.tell("order_refunded", provider="lemonsqueezy", account=None)

    with transaction(bank.pipeline.runtime.engine) as connection:
        attach(
            connection, bank.pipeline.tenant, order["id"], bank.account, OPERATOR, now_ms=bank.pipeline.runtime.clock()
        )
    bank.settle()

    assert bank.history() == [("grant", 100), ("clawback", -100)]


def test_what_a_refunded_payment_hands_out_later_goes_back_in_the_same_proportion(bank: Till) -> None:
    """A year that drips monthly: after half of its price went back, each month is worth half."""
    plan = {"product_id": "pro", "credit_type": None, "amount": None, "paid_minor": 1000}
    clock = bank.pipeline.runtime.clock
    year = {"period_start": iso(clock()), "period_end": iso(clock() + 365 * DAY_MS)}
    bank.tell("plan.paid", data=year, **plan)
    bank.tell("refund.created", data={"refunded_minor": 500}, **plan)

    bank.pass_time(32 * DAY_MS)
    drips.sweep(bank.pipeline.runtime.engine, bank.pipeline.runtime.catalogue, clock, until_ms=clock() + 1)
    bank.settle()

    assert bank.history(TOKENS) == [("grant", 50_000), ("clawback", -25_000)] * 2
