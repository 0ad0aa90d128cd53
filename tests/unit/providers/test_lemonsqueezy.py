"""Lemon Squeezy: what its events state, status by status, and what is refused."""

import hashlib
import hmac
import json
from typing import Any

import pytest

from credits.clock import from_iso
from credits.config.settings import Tenant
from credits.errors import InvalidInputError, MalformedPayloadError
from credits.facts import (
    Fact,
    NothingToDo,
    Payer,
    PlanPaid,
    PurchasePaid,
    PurchasePending,
    PurchaseVoided,
    RefundsCounted,
    SubscriptionSeen,
)
from credits.units import Money
from tests.support.webhooks import NOW_S, simulation
from webhooks.providers.lemonsqueezy import PROVIDER

WEBHOOK_ID = "9f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b"


# ── Envelope and signature ───────────────────────────────────────────────────────────────────────────────


def test_the_signature_is_the_hex_hmac_of_the_body_whatever_the_time() -> None:
    expected = hmac.new(b"secret", b"{}", hashlib.sha256).hexdigest()

    assert PROVIDER.sign(b"{}", b"secret", 1).headers["X-Signature"] == expected
    assert PROVIDER.sign(b"{}", b"secret", 2).headers["X-Signature"] == expected


def test_a_delivery_is_named_by_its_webhook_id() -> None:
    assert event_id({"event_name": "order_created", "webhook_id": WEBHOOK_ID}, b"one body") == WEBHOOK_ID
    assert event_id({"event_name": "order_created", "webhook_id": WEBHOOK_ID}, b"another body") == WEBHOOK_ID


@pytest.mark.parametrize("webhook_id", [None, "", 7, "7", "endpoint-7", [], {"id": WEBHOOK_ID}])
def test_without_a_uuid_a_delivery_is_named_by_the_hash_of_its_body(webhook_id: object) -> None:
    meta = {"event_name": "order_created", "webhook_id": webhook_id}

    assert event_id(meta, b"{}") == f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
    assert event_id(meta, b"{}") != event_id(meta, b"{ }")


@pytest.mark.parametrize(
    ("in_attributes", "in_meta", "tenant"),
    [
        (None, None, None),
        (True, None, Tenant.SANDBOX),
        (None, True, Tenant.SANDBOX),
        (False, None, Tenant.LIVE),
        (None, False, Tenant.LIVE),
        (False, False, Tenant.LIVE),
        (True, False, Tenant.SANDBOX),
        (False, True, Tenant.SANDBOX),
    ],
)
def test_one_word_of_a_test_puts_an_event_into_the_sandbox(
    in_attributes: bool | None, in_meta: bool | None, tenant: Tenant | None
) -> None:
    payload = {
        "meta": {"event_name": "order_created", "test_mode": in_meta},
        "data": {"attributes": {"test_mode": in_attributes}},
    }

    assert PROVIDER.envelope(payload, b"").tenant is tenant


@pytest.mark.parametrize("data", [None, [], "text", {"attributes": None}, {"attributes": {"updated_at": "never"}}])
def test_the_envelope_of_a_type_nobody_reads_needs_no_data(data: object) -> None:
    payload = {"meta": {"event_name": "license_key_created"}, "data": data}

    assert PROVIDER.envelope(payload, b"").event_type == "license_key_created"


@pytest.mark.parametrize("event_type", ["license_key_created", "license_key_updated", "affiliate_activated"])
def test_licences_and_affiliates_are_not_read(event_type: str) -> None:
    assert not PROVIDER.reads(event_type)


# ── Orders ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_paid_order_is_a_purchase_of_its_variant_at_the_subtotal() -> None:
    payload = simulated("order_created", product_id="22", quote_id="q_1")
    payload["data"]["id"] = "5"
    payload["data"]["attributes"] |= {"subtotal": 1499, "total": 1859, "currency": "eur", "customer_id": 3}

    (fact,) = PROVIDER.interpret(payload)

    assert isinstance(fact, PurchasePaid)
    assert (fact.key, fact.product_id) == ("ls:order:5", "22")
    assert fact.payer == Payer(account="user_1", customer_id="3")
    assert (fact.credit_type, fact.amount, fact.quote_id) == ("image_generation", 100, "q_1")
    assert fact.asked == Money(amount_minor=1499, currency="EUR")
    assert fact.paid == Money(amount_minor=1859, currency="EUR")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("paid", PurchasePaid),
        ("refunded", PurchasePaid),
        ("partial_refund", PurchasePaid),
        ("pending", PurchasePending),
        ("failed", PurchaseVoided),
        ("fraudulent", PurchaseVoided),
        ("a_status_of_next_year", PurchasePending),
    ],
)
def test_the_status_of_an_order_decides(status: str, kind: type[Fact]) -> None:
    payload = simulated("order_created")
    payload["data"]["attributes"]["status"] = status

    (fact,) = PROVIDER.interpret(payload)

    assert isinstance(fact, kind)
    if not isinstance(fact, PurchasePaid):
        assert status in getattr(fact, "reason", "")


@pytest.mark.parametrize("custom_data", [None, [], {}, "text", {"customer_id": 25}])
def test_an_order_without_custom_data_of_ours_is_a_purchase_of_its_customer(custom_data: object) -> None:
    payload = simulated("order_created")
    payload["meta"]["custom_data"] = custom_data

    (fact,) = PROVIDER.interpret(payload)

    assert isinstance(fact, PurchasePaid)
    assert (fact.payer.account, fact.credit_type, fact.amount, fact.quote_id) == (None, None, None, None)
    assert fact.payer.customer_id is not None


@pytest.mark.parametrize("event_type", ["order_created", "subscription_payment_success"])
def test_another_event_of_a_payment_states_the_same_however_late(event_type: str) -> None:
    a_day_later = simulated(event_type, at_ms=(NOW_S + 86_400) * 1000, delivery="delivery-2")

    assert PROVIDER.interpret(simulated(event_type)) == PROVIDER.interpret(a_day_later)


def test_a_refunded_order_counts_what_went_back_under_the_key_of_the_purchase() -> None:
    (purchase,) = PROVIDER.interpret(simulated("order_created"))
    (refund,) = PROVIDER.interpret(simulated("order_refunded"))

    assert isinstance(purchase, PurchasePaid)
    assert isinstance(refund, RefundsCounted)
    assert (refund.names, refund.refunded, refund.charged) == ((purchase.key,), purchase.paid, purchase.paid)


def test_an_order_refunded_in_part_counts_that_part_and_one_of_before_2024_the_whole() -> None:
    payload = simulated("order_refunded")
    payload["data"]["attributes"] |= {"status": "partial_refund", "refunded_amount": 250}
    (part,) = PROVIDER.interpret(payload)
    del payload["data"]["attributes"]["refunded_amount"]
    (whole,) = PROVIDER.interpret(payload)

    assert isinstance(part, RefundsCounted)
    assert isinstance(whole, RefundsCounted)
    assert (part.refunded.amount_minor, whole.refunded) == (250, whole.charged)


# ── Subscriptions ────────────────────────────────────────────────────────────────────────────────────────


def test_a_subscription_is_seen_with_its_variant_quantity_and_time() -> None:
    payload = simulated("subscription_created", product_id="111111")
    payload["data"]["id"] = "9"
    payload["data"]["attributes"] |= {"customer_id": 3, "updated_at": "2026-01-01T00:00:01.000000Z"}
    payload["data"]["attributes"]["first_subscription_item"]["quantity"] = 5

    seen = subscription_seen(payload)

    assert (seen.subscription_id, seen.product_ids, seen.quantity) == ("9", ("111111",), 5)
    assert seen.payer == Payer(account="user_1", customer_id="3", subscription_id="9")
    assert seen.stamp_ms == from_iso("2026-01-01T00:00:01Z")
    assert not seen.ended


def test_an_expired_subscription_has_ended_and_a_cancelled_one_runs_on() -> None:
    assert subscription_seen(simulated("subscription_expired")).ended
    assert not subscription_seen(simulated("subscription_cancelled")).ended


def test_of_two_states_in_one_second_the_one_harder_to_leave_ranks_higher() -> None:
    names = ("subscription_created", "subscription_paused", "subscription_cancelled", "subscription_expired")
    ranks = [subscription_seen(simulated(name)).rank for name in names]

    assert ranks == sorted(set(ranks))


def test_a_status_of_next_year_is_kept_as_it_is() -> None:
    payload = simulated("subscription_updated")
    payload["data"]["attributes"]["status"] = "hibernating"

    assert subscription_seen(payload).status == "hibernating"


@pytest.mark.parametrize(
    ("event_type", "status", "shown"),
    [
        ("subscription_created", "active", {"is_first"}),
        ("subscription_created", "on_trial", {"is_first", "trial_key"}),
        ("subscription_updated", "on_trial", {"trial_key"}),
        ("subscription_updated", "past_due", {"is_unpaid"}),
        ("subscription_updated", "unpaid", {"is_unpaid"}),
        ("subscription_cancelled", "cancelled", set()),
        ("subscription_resumed", "active", set()),
        ("subscription_expired", "expired", {"ended"}),
        ("subscription_paused", "paused", {"is_paused"}),
        ("subscription_unpaused", "active", set()),
        ("subscription_plan_changed", "active", set()),
    ],
)
def test_a_subscription_shows_where_it_is_in_its_life(event_type: str, status: str, shown: set[str]) -> None:
    payload = simulated(event_type)
    payload["data"]["attributes"]["status"] = status

    seen = subscription_seen(payload)

    flags = ("is_first", "trial_key", "is_unpaid", "is_paused", "ended")
    assert {flag for flag in flags if getattr(seen, flag)} == shown
    assert seen.trial_key in (None, f"ls:sub:{seen.subscription_id}:trial")


@pytest.mark.parametrize(
    ("status", "trial_ends_at", "renews_at", "updated_at", "first_period"),
    [
        ("active", None, "2026-02-01", "2026-01-01", ("2026-01-01", "2026-02-01")),
        ("active", None, "2026-02-01", "2026-01-11", ("2026-01-01", "2026-02-01")),
        # The second period, seen on its first day, and a short first month before a long second one.
        ("active", None, "2026-03-01", "2026-02-01", None),
        ("active", None, "2027-01-01", "2026-06-01", None),
        ("on_trial", "2026-01-08", "2026-01-08", "2026-01-01", None),
        ("active", "2026-01-08", "2026-02-08", "2026-01-08", ("2026-01-08", "2026-02-08")),
        ("active", "2026-01-08", "2026-02-08", "2026-01-07", None),
        ("active", "2026-01-08", "2026-03-08", "2026-02-08", None),
        ("cancelled", None, "2026-02-01", "2026-01-01", None),
        ("active", None, None, "2026-01-01", None),
    ],
)
def test_the_first_paid_period_is_told_only_where_it_is_surely_the_first(
    status: str,
    trial_ends_at: str | None,
    renews_at: str | None,
    updated_at: str,
    first_period: tuple[str, str] | None,
) -> None:
    payload = simulated("subscription_updated")
    payload["data"]["attributes"] |= {
        "status": status,
        "created_at": "2026-01-01",
        "trial_ends_at": trial_ends_at,
        "renews_at": renews_at,
        "updated_at": updated_at,
    }

    expected = None if first_period is None else (from_iso(first_period[0]), from_iso(first_period[1]))
    assert subscription_seen(payload).first_period_ms == expected


# ── Invoices of subscriptions ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("event_type", ["subscription_payment_success", "subscription_payment_recovered"])
@pytest.mark.parametrize("billing_reason", ["initial", "renewal", None])
@pytest.mark.parametrize("status", ["paid", "refunded", "partial_refund"])
def test_a_paid_invoice_earns_by_its_own_key_what_the_stored_subscription_says(
    event_type: str, billing_reason: str | None, status: str
) -> None:
    payload = simulated(event_type)
    payload["data"]["id"] = "31"
    payload["data"]["attributes"] |= {"billing_reason": billing_reason, "status": status, "subscription_id": 9}

    (fact,) = PROVIDER.interpret(payload)

    assert isinstance(fact, PlanPaid)
    assert (fact.key, fact.payer.account, fact.payer.subscription_id) == ("ls:subinv:31", "user_1", "9")
    (line,) = fact.lines
    assert (line.key, line.product_id, line.period_start_ms, line.period_end_ms) == ("ls:subinv:31", None, None, None)
    assert line.amount == fact.total == Money(amount_minor=1000, currency="USD")


@pytest.mark.parametrize("status", ["pending", "void", "a_status_of_next_year"])
def test_an_invoice_that_is_not_paid_moves_nothing(status: str) -> None:
    assert [type(fact) for fact in invoice_facts(status=status)] == [NothingToDo]


@pytest.mark.parametrize(
    ("changes", "amount_minor", "is_change", "is_initial"),
    [
        ({"billing_reason": "initial"}, 1000, False, True),
        ({"billing_reason": "renewal"}, 1000, False, False),
        ({"billing_reason": "updated"}, 1000, True, False),
        ({"billing_reason": "updated", "total": 0, "subtotal": 0}, 0, True, False),
        ({"total": 0, "subtotal": 0}, 0, False, True),
        ({"total": 0, "subtotal": 999}, 999, False, True),
    ],
)
def test_an_invoice_states_what_it_charges_and_why(
    changes: dict[str, Any], amount_minor: int, is_change: bool, is_initial: bool
) -> None:
    (fact,) = invoice_facts(**changes)

    assert isinstance(fact, PlanPaid)
    assert (fact.lines[0].amount.amount_minor, fact.is_change, fact.is_initial) == (amount_minor, is_change, is_initial)


def test_a_failed_payment_moves_nothing_and_its_recovery_is_the_same_invoice() -> None:
    (failed,) = PROVIDER.interpret(simulated("subscription_payment_failed"))
    (recovered,) = PROVIDER.interpret(simulated("subscription_payment_recovered"))

    assert isinstance(failed, NothingToDo)
    assert PROVIDER.interpret(simulated("subscription_payment_success")) == (recovered,)


def test_a_refunded_invoice_counts_what_went_back_under_the_key_of_the_payment() -> None:
    (paid,) = PROVIDER.interpret(simulated("subscription_payment_success"))
    (refund,) = PROVIDER.interpret(simulated("subscription_payment_refunded"))

    assert isinstance(paid, PlanPaid)
    assert isinstance(refund, RefundsCounted)
    assert (refund.names, refund.refunded) == ((paid.key,), paid.total)


# ── What is refused ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("event_type", "field", "value"),
    [
        ("order_created", "status", None),
        ("order_created", "total", "10.00"),
        ("order_created", "subtotal", 9.99),
        ("order_created", "created_at", "soon"),
        ("subscription_created", "status", 1),
        ("subscription_updated", "updated_at", None),
        ("subscription_payment_success", "subscription_id", None),
        ("subscription_payment_success", "currency", None),
    ],
)
def test_a_field_that_decides_about_credits_is_refused_by_its_path(event_type: str, field: str, value: object) -> None:
    payload = simulated(event_type)
    payload["data"]["attributes"][field] = value

    with pytest.raises(MalformedPayloadError, match=rf"data\.attributes\.{field}"):
        PROVIDER.interpret(payload)


def test_an_event_about_another_kind_of_object_is_refused() -> None:
    payload = simulated("order_created")
    payload["data"]["type"] = "subscriptions"

    with pytest.raises(MalformedPayloadError, match=r"data\.type must be 'orders'"):
        PROVIDER.interpret(payload)


def test_a_currency_that_is_none_is_refused() -> None:
    payload = simulated("order_created")
    payload["data"]["attributes"]["currency"] = "dollars"

    with pytest.raises(InvalidInputError, match="currency"):
        PROVIDER.interpret(payload)


def simulated(event_type: str, **changes: Any) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(PROVIDER.simulate(simulation(event_type, **changes)))
    return payload


def invoice_facts(**attributes: Any) -> tuple[Fact, ...]:
    payload = simulated("subscription_payment_success")
    payload["data"]["attributes"] |= attributes
    return PROVIDER.interpret(payload)


def subscription_seen(payload: dict[str, Any]) -> SubscriptionSeen:
    seen = PROVIDER.interpret(payload)[0]
    assert isinstance(seen, SubscriptionSeen)
    return seen


def event_id(meta: dict[str, Any], body: bytes) -> str:
    return PROVIDER.envelope({"meta": meta}, body).event_id
