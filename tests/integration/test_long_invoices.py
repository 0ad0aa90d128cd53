"""Invoices with more lines than their event carries: the rest is fetched first, or the event is kept."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from credits.allocation.service import sweep
from credits.checkout.invoice_lines import invoice_completer
from credits.config.settings import ProviderAccess, Settings, Tenant
from credits.inbox.model import EventState
from tests.support.market import KEYS, Market, market
from tests.support.pipeline import Pipeline
from tests.support.plan_lives import Life, images, line, plan

JAN, FEB = "2026-01-20T00:00Z", "2026-02-20T00:00Z"
CARRIED, LINES = 10, 150


@pytest.fixture
def fakes(engine: Engine, settings: Settings, tmp_path: Path) -> Iterator[Market]:
    with market(engine, settings, tmp_path) as made:
        yield made


def life_with(pipeline: Pipeline, api_base: str | None) -> Life:
    """A life whose worker asks Stripe at `api_base`; None: it has no API key."""
    access = {} if api_base is None else {(Tenant.SANDBOX, "stripe"): ProviderAccess(api_key="sk_test_1")}
    access = {name: replace(one, api_key=KEYS["stripe"], api_base=api_base) for name, one in access.items()}
    ask, engine = invoice_completer(access), pipeline.runtime.engine

    def outside_transactions(tenant: Tenant, payload: Any) -> Any:
        assert engine.pool.checkedout() == 0, "Stripe is asked inside a transaction"  # type: ignore[attr-defined]
        return ask(tenant, payload)

    runtime = replace(pipeline.runtime, completers={"stripe": outside_transactions})
    return Life.of(replace(pipeline, runtime=runtime), plan("pro", images(10, per_seat=True)))


def long_invoice(life: Life, fakes: Market) -> Any:
    """An invoice for 150 seats, in as many lines, of which the event carries ten."""
    seats = [line("pro", 100, JAN, FEB) for _ in range(LINES)]
    stored = [life._line(index, one) for index, one in enumerate(seats)]
    fakes.store.put("stripe", "invoice", "in_long", {"id": "in_long", "lines": {"data": stored}}, created_s=1)
    cut_off = {"data": [], "has_more": True}
    return life.invoice("long", JAN, *seats[:CARRIED], lines=cut_off, total=100 * LINES)


def test_the_lines_that_an_event_leaves_out_are_fetched_and_granted_once(pipeline: Pipeline, fakes: Market) -> None:
    life = life_with(pipeline, fakes.fakes_url)

    event = long_invoice(life, fakes)
    again = long_invoice(life, fakes)

    assert (event["state"], again["id"]) == (EventState.DONE, event["id"])
    assert life.entries() == [("grant", 10 * LINES)]


def test_without_an_api_key_the_event_is_kept_and_says_what_to_do(pipeline: Pipeline, fakes: Market) -> None:
    life = life_with(pipeline, None)

    kept = long_invoice(life, fakes)

    assert (kept["state"], kept["code"], kept["due_at_ms"]) == (EventState.FAILED, "incomplete_payload", None)
    assert life.entries() == []
    with_key = life_with(pipeline, fakes.fakes_url)
    with_key.pipeline.retry(kept["id"])
    sweep(with_key.pipeline.runtime)
    assert life.entries() == [("grant", 10 * LINES)]


def test_while_stripe_is_away_the_event_is_tried_again(pipeline: Pipeline, fakes: Market) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    failed = long_invoice(life_with(pipeline, nobody), fakes)
    back = life_with(pipeline, fakes.fakes_url)

    back.clock.advance_ms(60_000)
    sweep(back.pipeline.runtime)

    assert (failed["state"], failed["code"]) == (EventState.FAILED, "provider_unavailable")
    assert failed["due_at_ms"] is not None
    assert back.entries() == [("grant", 10 * LINES)]


def test_an_invoice_that_stripe_does_not_know_is_shown_to_an_operator(pipeline: Pipeline, fakes: Market) -> None:
    life = life_with(pipeline, fakes.fakes_url)

    event = life.invoice("x", JAN, line("pro", 100, JAN, FEB), lines={"data": [], "has_more": True})

    assert (event["state"], event["code"]) == (EventState.FAILED, "provider_refused")
    assert life.entries() == []
