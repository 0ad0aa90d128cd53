"""Invoices with more lines than their event carries: the rest is fetched first; without a key, what is told counts."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from credits.allocation.service import sweep
from credits.checkout.stripe_invoices import invoice_completers
from credits.config.settings import ProviderAccess, Settings, Tenant
from credits.inbox.model import EventState
from credits.inbox.provider import SettledBy
from credits.ops.cli.simulated_object import tell_fake
from tests.support.market import KEYS, Market, market
from tests.support.pipeline import Pipeline
from tests.support.plan_lives import TYPE, Life, images, line, plan
from tests.support.processes import free_port
from tests.support.webhooks import simulation

JAN, HALF, FEB = "2026-01-20T00:00Z", "2026-02-04T12:00Z", "2026-02-20T00:00Z"
CARRIED, LINES = 10, 150
CUT_OFF = {"data": [], "has_more": True}


@pytest.fixture
def fakes(engine: Engine, settings: Settings, tmp_path: Path) -> Iterator[Market]:
    with market(engine, settings, tmp_path) as made:
        yield made


def asking(pipeline: Pipeline, api_base: str | None) -> Pipeline:
    """The same pipeline whose worker asks Stripe at `api_base`; None: it has no API key."""
    access = {} if api_base is None else {(Tenant.SANDBOX, "stripe"): ProviderAccess(api_key="sk_test_1")}
    access = {name: replace(one, api_key=KEYS["stripe"], api_base=api_base) for name, one in access.items()}
    engine = pipeline.runtime.engine

    def outside_transactions(payload: Any, gaps: Any) -> Any:
        assert engine.pool.checkedout() == 0, "Stripe is asked inside a transaction"  # type: ignore[attr-defined]
        return invoice_completers(access)[Tenant.SANDBOX, "stripe"](payload, gaps)

    return replace(pipeline, runtime=replace(pipeline.runtime, completers=dict.fromkeys(access, outside_transactions)))


def life_with(pipeline: Pipeline, api_base: str | None) -> Life:
    """A life of plans per seat and without, over a worker that asks there."""
    plans = plan("pro", images(10, per_seat=True)), plan("max", images(5000)), plan("yearly", images(9000))
    return Life.of(asking(pipeline, api_base), *plans)


def long_invoice(life: Life, fakes: Market, *lines: Any, name: str = "long") -> Any:
    """An invoice of which the event carries ten lines; 150 seats, in as many lines, if none are given."""
    lines = lines or tuple(line("pro", 100, JAN, FEB) for _ in range(LINES))
    stored = [life._line(index, one) for index, one in enumerate(lines)]
    fakes.store.put("stripe", "invoice", f"in_{name}", {"id": f"in_{name}", "lines": {"data": stored}}, created_s=1)
    asked = sum(one["amount"] for one in lines)
    said = {"lines": dict(CUT_OFF), "total": asked, "subtotal": asked, "amount_due": max(asked, 0)}
    return life.invoice(name, HALF if name == "change" else JAN, *lines[:CARRIED], **said)


def retried(pipeline: Pipeline, fakes: Market, event: Any, *, times: int = 2) -> Life:
    """The life after an operator set the key and retried the event."""
    life = life_with(pipeline, fakes.fakes_url)
    for _ in range(times):
        life.pipeline.retry(event["id"])
        sweep(life.pipeline.runtime)
        life.sweep()
    return life


def test_the_lines_that_an_event_leaves_out_are_fetched_and_granted_once(pipeline: Pipeline, fakes: Market) -> None:
    life = life_with(pipeline, fakes.fakes_url)

    event = long_invoice(life, fakes)
    again = long_invoice(life, fakes)

    assert (event["state"], again["id"]) == (EventState.DONE, event["id"])
    assert life.entries() == [("grant", 10 * LINES)]


def test_without_an_api_key_the_lines_that_are_told_are_granted_and_the_others_once_there_is_one(
    pipeline: Pipeline, fakes: Market
) -> None:
    life = life_with(pipeline, None)

    event = long_invoice(life, fakes)

    assert (event["state"], event["code"], event["due_at_ms"]) == (EventState.WAITING, "incomplete_payload", None)
    assert "more lines" in event["detail"]
    assert life.entries() == [("grant", 10 * CARRIED)]
    assert retried(pipeline, fakes, event).entries() == [("grant", 10 * CARRIED), ("grant", 10 * (LINES - CARRIED))]


def test_a_retry_without_a_key_grants_nothing_twice(pipeline: Pipeline, fakes: Market) -> None:
    life = life_with(pipeline, None)
    event = long_invoice(life, fakes)

    life.pipeline.retry(event["id"])
    sweep(life.pipeline.runtime)

    assert life.entries() == [("grant", 10 * CARRIED)]
    assert life.pipeline.event(event["id"])["state"] == EventState.WAITING


def test_credits_that_are_not_per_seat_are_whole_by_their_first_line(pipeline: Pipeline, fakes: Market) -> None:
    life = life_with(pipeline, None)

    event = long_invoice(life, fakes, *(line("max", 100, JAN, FEB) for _ in range(LINES)))

    assert life.entries() == [("grant", 5000)]
    assert retried(pipeline, fakes, event).entries() == [("grant", 5000)]


def test_half_of_a_change_is_held_back_until_all_of_it_is_known(pipeline: Pipeline, fakes: Market) -> None:
    life = life_with(pipeline, None)
    life.invoice("first", JAN, line("pro", 1000, JAN, FEB, quantity=10))
    # Ten times a seat is added: what is charged for comes before what is given back.
    steps = range(10, 20)
    charged = [line("pro", 50 * (seats + 1), HALF, FEB, proration=True, quantity=seats + 1) for seats in steps]
    given = [line("pro", -50 * seats, HALF, FEB, proration=True, quantity=seats) for seats in steps]

    event = long_invoice(life, fakes, *charged, *given, name="change")

    assert (event["state"], event["code"], life.available()) == (EventState.FAILED, "incomplete_payload", 100)
    assert "change of plan" in event["detail"]
    assert retried(pipeline, fakes, event).available() == 150


def test_a_period_is_held_back_whose_invoice_gives_money_back_in_a_line_that_is_not_told(
    pipeline: Pipeline, fakes: Market
) -> None:
    life = life_with(pipeline, None)
    life.invoice("first", JAN, line("max", 4000, JAN, FEB))
    fees = [line("fee", 0, JAN, FEB) for _ in range(CARRIED - 1)]
    back = line("max", -2000, HALF, FEB, proration=True)

    event = long_invoice(life, fakes, line("yearly", 20_000, HALF, "2027-02-04T12:00Z"), *fees, back, name="change")

    assert (event["state"], event["code"], life.available()) == (EventState.FAILED, "incomplete_payload", 5000)
    assert "give money back" in event["detail"]
    # The year in full, and of the month only the half that was used.
    assert retried(pipeline, fakes, event).available() == 2500 + 9000


def test_while_stripe_is_away_the_event_is_tried_again(pipeline: Pipeline, fakes: Market) -> None:
    failed = long_invoice(life_with(pipeline, f"http://127.0.0.1:{free_port()}"), fakes)
    back = life_with(pipeline, fakes.fakes_url)

    back.clock.advance_ms(60_000)
    sweep(back.pipeline.runtime)

    assert (failed["state"], failed["code"]) == (EventState.FAILED, "provider_unavailable")
    assert failed["due_at_ms"] is not None
    assert back.entries() == [("grant", 10 * LINES)]


def test_an_invoice_that_stripe_does_not_know_is_shown_to_an_operator(pipeline: Pipeline, fakes: Market) -> None:
    life = life_with(pipeline, fakes.fakes_url)

    event = life.invoice("x", JAN, line("pro", 100, JAN, FEB), lines=dict(CUT_OFF))

    assert (event["state"], event["code"]) == (EventState.FAILED, "provider_refused")
    assert life.entries() == []


# ── Paid out of band ─────────────────────────────────────────────────────────────────────────────────────


def out_of_band(pipeline: Pipeline, api_base: str | None, policy: str, *, shape: str, **said: Any) -> Life:
    """A life whose one invoice Stripe was not paid, under a policy; `said` is of the invoice."""
    skipping = replace(plan("pro", images(1000)).zero_invoice, out_of_band=policy)
    sold = plan("pro", images(1000), zero_invoice=skipping)
    life = Life.of(asking(pipeline, api_base), sold, shape=shape)
    life.invoice("cheque", JAN, line("pro", 2000, JAN, FEB), metadata={"creditgate_account": "user_1"}, **said)
    return life


@pytest.mark.parametrize(("policy", "expected"), [("grant", 1000), ("skip", 0)])
@pytest.mark.parametrize(("past_minor", "charged"), [(2000, False), (500, True), (0, True)])
def test_an_invoice_paid_out_of_band_follows_its_policy_by_what_the_api_tells(
    pipeline: Pipeline, fakes: Market, policy: str, expected: int, past_minor: int, charged: bool
) -> None:
    stored = {"id": "in_cheque", "object": "invoice", "amount_paid_off_stripe": past_minor}
    fakes.store.put("stripe", "invoice", "in_cheque", stored, created_s=1)

    life = out_of_band(pipeline, fakes.fakes_url, policy, shape="2025-03-31.basil")

    assert life.available(TYPE) == (1000 if charged else expected)


def test_the_fake_stripe_knows_of_an_invoice_that_is_simulated(pipeline: Pipeline, fakes: Market) -> None:
    skipping = replace(plan("pro").zero_invoice, out_of_band="skip")
    life = Life.of(asking(pipeline, fakes.fakes_url), plan("pro", images(1000), zero_invoice=skipping))
    access = ProviderAccess(api_key=KEYS["stripe"], api_base=fakes.fakes_url)
    for name, settled_by in (("card", SettledBy.CARD), ("cheque", SettledBy.OUT_OF_BAND)):
        said = {"payment": name, "subscription": name, "product_id": "price_pro", "settled_by": settled_by}
        told = simulation("invoice.paid", delivery=name, **said)
        body = life.pipeline.runtime.providers["stripe"].simulate(told)

        tell_fake(access, told, body)
        event = life.pipeline.event(life.pipeline.deliver_body("stripe", body))
        life.pipeline.process()

        assert life.pipeline.event(event["id"])["state"] in {EventState.DONE, EventState.IGNORED}
    life.sweep()
    assert life.available() == 1000


def test_without_an_api_key_an_event_since_basil_counts_as_charged(pipeline: Pipeline) -> None:
    assert out_of_band(pipeline, None, "skip", shape="2025-03-31.basil").available() == 1000


def test_nothing_is_asked_where_the_answer_makes_no_difference(pipeline: Pipeline) -> None:
    nobody = "http://127.0.0.1:9"

    assert out_of_band(pipeline, nobody, "grant", shape="2025-03-31.basil").available() == 1000


@pytest.mark.parametrize(("policy", "expected"), [("grant", 1000), ("skip", 0)])
@pytest.mark.parametrize("shape", ["2020-08-27", "2024-06-20"])
def test_an_older_event_says_by_itself_that_it_was_paid_out_of_band(
    pipeline: Pipeline, policy: str, expected: int, shape: str
) -> None:
    life = out_of_band(pipeline, None, policy, shape=shape, paid_out_of_band=True, amount_paid=0)

    assert life.available() == expected
