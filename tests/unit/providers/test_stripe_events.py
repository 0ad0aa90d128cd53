"""Stripe's envelopes, its table of readers, the simulator's promises, and JSON that nobody documented."""

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.config.settings import Tenant
from credits.errors import CreditsError, InvalidInputError, MalformedPayloadError
from credits.facts import Fact, PlanPaid
from credits.payload import parse
from tests.support.stripe_payloads import SHAPES, Payload, facts, payload
from tests.support.webhooks import NOW_S, simulation
from webhooks.providers.stripe import PROVIDER
from webhooks.providers.stripe.interpret import READERS
from webhooks.providers.stripe.simulate.common import Names, Shape, period_start_s

EVENT = {"id": "evt_1", "type": "invoice.paid", "livemode": False, "created": NOW_S}
NOTHING_WHATEVER_THEY_CARRY = {"invoice.payment_succeeded", "invoice.payment_failed", "payment_intent.succeeded"}
UNREAD = ["customer.deleted", "radar.early_fraud_warning.created", "invoice.upcoming", "invoice.created"]


# ── Envelopes ────────────────────────────────────────────────────────────────────────────────────────────


def test_an_envelope_holds_id_type_mode_account_and_time() -> None:
    delivery = PROVIDER.envelope({**EVENT, "account": "acct_7", "livemode": True}, b"{}")

    assert (delivery.event_id, delivery.event_type, delivery.tenant) == ("evt_1", "invoice.paid", Tenant.LIVE)
    assert (delivery.provider_account, delivery.occurred_at_ms) == ("acct_7", NOW_S * 1000)


def test_an_event_of_our_own_account_has_no_account_and_one_without_a_mode_no_tenant() -> None:
    delivery = PROVIDER.envelope({"id": "evt_1", "type": "ping"}, b"{}")

    assert (delivery.provider_account, delivery.tenant, delivery.occurred_at_ms) == ("", None, None)


def test_an_event_without_an_id_is_known_by_its_body() -> None:
    anonymous = {**EVENT, "id": None}

    one, same, other = (PROVIDER.envelope(anonymous, body).event_id for body in (b"{1}", b"{1}", b"{2}"))

    assert one == same
    assert one != other


def test_a_thin_event_has_an_envelope_and_is_not_read() -> None:
    body = PROVIDER.simulate(simulation("v1.billing.meter.error_report_triggered", delivery="d1"))

    delivery = PROVIDER.envelope(parse(body), body)

    assert "data" not in parse(body)
    assert (delivery.tenant, delivery.occurred_at_ms) == (Tenant.SANDBOX, NOW_S * 1000)
    assert not PROVIDER.reads(delivery.event_type)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"type": None}, "type"),
        ({"type": "x" * 101}, "type"),
        ({"id": 5}, "id"),
        ({"livemode": "yes"}, "livemode"),
        ({"account": "a" * 65}, "account"),
    ],
    ids=repr,
)
def test_an_envelope_of_another_kind_is_refused_by_the_fields_name(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(MalformedPayloadError, match=named):
        PROVIDER.envelope({**EVENT, **fields}, b"{}")


@pytest.mark.parametrize("created", ["soon", -5, 10**30, True, []], ids=repr)
def test_an_odd_time_is_no_reason_to_refuse_the_envelope(created: object) -> None:
    assert PROVIDER.envelope({**EVENT, "created": created}, b"{}").occurred_at_ms is None


@pytest.mark.parametrize("event_type", UNREAD)
def test_events_that_move_no_credits_are_not_read(event_type: str) -> None:
    assert not PROVIDER.reads(event_type)


@pytest.mark.parametrize("event_type", sorted(set(READERS) - NOTHING_WHATEVER_THEY_CARRY))
@pytest.mark.parametrize("data", [{}, {"object": None}, {"object": []}, None, 7], ids=repr)
def test_an_event_that_carries_no_object_is_refused(event_type: str, data: object) -> None:
    with pytest.raises(MalformedPayloadError, match="data"):
        PROVIDER.interpret({**EVENT, "type": event_type, "data": data})


# ── The simulator ────────────────────────────────────────────────────────────────────────────────────────


def test_every_type_that_is_read_can_be_simulated() -> None:
    assert set(READERS) <= set(PROVIDER.event_types())


@pytest.mark.parametrize("event_type", READERS)
@pytest.mark.parametrize("period", [0, 1, 13])
def test_every_shape_of_an_event_states_the_same(event_type: str, period: int) -> None:
    stated = {_without_other_names(facts(payload(event_type, shape, period=period))) for shape in SHAPES}

    assert len(stated) == 1


def _without_other_names(stated: tuple[Fact, ...]) -> tuple[Fact, ...]:
    # Since basil an invoice's event does not carry its payments, nor that there is none.
    known = {"also_known_as": (), "is_out_of_band": False}
    return tuple(replace(fact, **known) if isinstance(fact, PlanPaid) else fact for fact in stated)


@pytest.mark.parametrize(
    ("version", "shape"),
    [
        (None, Shape.BASIL),
        ("", Shape.BASIL),
        ("2019-05-16", Shape.OLD),
        ("2022-08-01", Shape.OLD),
        ("2022-11-15", Shape.ACACIA),
        ("2025-02-24.acacia", Shape.ACACIA),
        ("2026-07-29.dahlia", Shape.BASIL),
    ],
)
def test_the_api_version_decides_the_shape(version: str | None, shape: Shape) -> None:
    body = PROVIDER.simulate(simulation("invoice.paid", api_version=version))

    invoice = parse(body)["data"]["object"]

    assert ("parent" in invoice, "subscription_details" in invoice) == (shape is Shape.BASIL, shape is Shape.ACACIA)


@pytest.mark.parametrize("version", ["basil", "2025", "2025-3-31", "٢٠٢٥-03-31", "2025-03-31.basil\n"])
def test_what_is_no_api_version_is_refused(version: str) -> None:
    with pytest.raises(InvalidInputError, match="api_version"):
        PROVIDER.simulate(simulation("invoice.paid", api_version=version))


def test_a_trial_is_simulated_by_an_invoice_over_nothing() -> None:
    assert [type(fact).__name__ for fact in facts(payload("invoice.paid", paid_minor=0))] == ["PlanPaid"]


def test_a_promotion_is_simulated_by_a_purchase_for_nothing() -> None:
    session = payload("checkout.session.completed", paid_minor=0)["data"]["object"]

    assert (session["payment_status"], session["payment_intent"]) == ("no_payment_required", None)


@pytest.mark.parametrize(
    ("period", "day"),
    [
        (0, "2024-01-31"),
        (1, "2024-02-29"),
        (2, "2024-03-31"),
        (3, "2024-04-30"),
        (13, "2025-02-28"),
        (-1, "2023-12-31"),
    ],
)
def test_a_period_begins_on_the_first_ones_day_or_the_months_last(period: int, day: str) -> None:
    started = datetime(2024, 1, 31, 22, 30, 5, tzinfo=UTC)

    start_s = period_start_s(simulation("invoice.paid", started_at_ms=int(started.timestamp() * 1000)), period)

    assert datetime.fromtimestamp(start_s, tz=UTC).isoformat() == f"{day}T22:30:05+00:00"


@pytest.mark.parametrize("name", ["", "a b", "é", "x" * 61, "a/b", "😀"])
def test_a_name_that_cannot_stand_in_an_id_is_digested(name: str) -> None:
    names = Names(simulation("invoice.paid", payment=name))

    assert names.payment_intent.isascii()
    assert len(names.payment_intent) < 40
    assert names.payment_intent == Names(simulation("invoice.paid", payment=name)).payment_intent


def test_no_simulated_event_carries_anybodys_address() -> None:
    bodies = [PROVIDER.simulate(simulation(event_type)) for event_type in PROVIDER.event_types()]

    assert [body for body in bodies if b"@" in body] == []


# ── JSON that nobody documented ──────────────────────────────────────────────────────────────────────────


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
TELLING: st.SearchStrategy[object] = st.sampled_from(
    [None, True, False, 0, -1, 2**53, 2**200, 1.5, "", "x", "\x00", "\ud800", [], {}, [{}], [1]]
)


@given(st.data())
def test_whatever_becomes_of_a_payload_only_our_own_errors_are_raised(data: st.DataObject) -> None:
    event_type = data.draw(st.sampled_from(sorted(READERS)))
    event = payload(event_type, data.draw(st.sampled_from(SHAPES)), period=1)
    for _ in range(data.draw(st.integers(1, 4))):
        _mutate(event, data)

    try:
        stated = PROVIDER.interpret(event)
    except CreditsError:
        return
    assert len(stated) >= 1


@given(event_type=st.sampled_from(sorted(READERS)), content=ANY_JSON)
def test_whatever_an_event_is_about_only_our_own_errors_are_raised(event_type: str, content: object) -> None:
    for event in ({**EVENT, "type": event_type, "data": content}, {**EVENT, "data": {"object": content}}):
        try:
            stated = PROVIDER.interpret(event)
        except CreditsError:
            continue
        assert len(stated) >= 1


def _mutate(event: Payload, data: st.DataObject) -> None:
    """Replace or take away one value somewhere in the event, whose type stays."""
    places = [place for place in _places(event) if place[1] != "type" or place[0] is not event]
    holder, name = data.draw(st.sampled_from(places))
    if isinstance(holder, dict) and data.draw(st.booleans()):
        del holder[name]
    else:
        # A copy, since a later mutation may change it, and Hypothesis hands the same one out again.
        holder[name] = copy.deepcopy(data.draw(TELLING | ANY_JSON))


def _places(value: Any) -> list[tuple[Any, Any]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in [(value, key), *_places(value[key])]]


def test_a_simulated_body_is_json_as_the_receiver_demands_it() -> None:
    for event_type in PROVIDER.event_types():
        body = PROVIDER.simulate(simulation(event_type))
        assert parse(body) == json.loads(body)
