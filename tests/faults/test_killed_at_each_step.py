"""A process killed before, inside or after a transaction loses nothing and doubles nothing."""

import json
import signal
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from credits.allocation.model import Runtime
from credits.allocation.service import sweep
from credits.clock import system_clock_ms
from credits.config.catalogue import Catalogue
from credits.config.settings import Tenant
from credits.db import snapshot, transaction
from credits.failpoints import VARIABLE
from credits.inbox import store
from credits.inbox.model import EventState, NewEvent
from credits.inbox.rules import LEASE_MS
from credits.inbox.tables import events
from credits.pricing.store import NewPurchase, insert_purchase
from credits.pricing.tables import purchases
from credits.units import Money
from tests.support.clock import VirtualClock
from tests.support.forked import run_forked
from tests.support.installation import Installation, signed_purchase
from tests.support.ledger import assert_ledger_is_sound, balance_of
from tests.support.webhooks import simulation
from webhooks.providers import REGISTRY

_WORK = "from credits.allocation.service import sweep; from workers.runtime import runtime; sweep(runtime())"


@pytest.mark.parametrize(
    ("failpoint", "credits_at_once"),
    [
        ("allocation.claimed", 0),
        ("allocation.before_finish", 0),
        ("allocation.before_commit", 0),
        ("allocation.after_commit", 100),
    ],
)
def test_a_worker_killed_at_any_step_leaves_its_event_to_the_next(
    installation: Installation, engine: Engine, catalogue: Catalogue, failpoint: str, credits_at_once: int
) -> None:
    """A locked flag never clears (fal #1163): here a lease ends by the time."""
    installation.start_receiver()
    assert installation.post(signed_purchase("payment-1")).status == 200

    worker = _run_worker(installation, {VARIABLE: f"{failpoint}=kill"})
    left = balance_of(engine, "user_1")
    later = Runtime(
        engine=engine,
        catalogue=catalogue,
        providers=REGISTRY,
        secret_key="",
        clock=VirtualClock(system_clock_ms() + LEASE_MS + 1),
    )
    sweep(later)

    assert worker == -signal.SIGKILL
    assert left == credits_at_once
    assert balance_of(engine, "user_1") == 100
    assert _states(engine) == [EventState.DONE]
    assert_ledger_is_sound(engine)


@pytest.mark.parametrize(("failpoint", "rows"), [("receiver.before_store", 0), ("receiver.after_store", 1)])
def test_a_receiver_killed_before_it_answers_gets_the_event_again_and_stores_it_once(
    installation: Installation, engine: Engine, tmp_path: Path, failpoint: str, rows: int
) -> None:
    installation.set_failpoints(f"{failpoint}=kill-once:{tmp_path / 'killed'}")
    installation.start_receiver()

    first = installation.post(signed_purchase("payment-1"))
    stored = len(_states(engine))
    # gunicorn starts the killed process again; the provider sends the event again.
    second = installation.post_until_stored(signed_purchase("payment-1"))

    assert first.status == 0
    assert stored == rows
    assert second.status == 200
    assert _states(engine) == [EventState.RECEIVED]


def test_a_worker_killed_while_it_matches_an_order_credits_its_quote_once(
    installation: Installation, engine: Engine, catalogue: Catalogue
) -> None:
    _put_in_nameless_order(engine, system_clock_ms())

    worker = _run_worker(installation, {VARIABLE: "allocation.before_commit=kill"})
    left = balance_of(engine, "user_1")
    clock = VirtualClock(system_clock_ms() + LEASE_MS + 1)
    later = Runtime(engine=engine, catalogue=catalogue, providers=REGISTRY, secret_key="", clock=clock)
    sweep(later)

    assert worker == -signal.SIGKILL
    assert (left, balance_of(engine, "user_1")) == (0, 100)
    with snapshot(engine) as connection:
        [row] = connection.execute(select(purchases)).mappings()
    assert (row["state"], row["quote_id"], row["key"][:9]) == ("credited", "quote-7f3a9c1e", "ls:order:")
    assert_ledger_is_sound(engine)


def _put_in_nameless_order(engine: Engine, now_ms: int) -> None:
    """A quote, and the order that paid it as a backfill found it: what it was called is all that names the quote."""
    price = Money(amount_minor=1000, currency="USD")
    quote = NewPurchase(
        quote_id="quote-7f3a9c1e",
        request_key=None,
        fingerprint="",
        provider="lemonsqueezy",
        account="user_1",
        credit_type="image_generation",
        amount=100,
        asked=price,
        success_url="",
        cancel_url="",
        expires_at_ms=now_ms + 3_600_000,
    )
    said = simulation("order_created", paid_minor=1000, at_ms=now_ms, started_at_ms=now_ms, tenant=Tenant.SANDBOX)
    body = json.loads(REGISTRY["lemonsqueezy"].simulate(said))
    body["meta"].pop("custom_data", None)
    body["data"]["attributes"]["first_order_item"]["product_name"] = "100 credits · 7f3a9c1e"
    body["creditgate"] = {"made_by": "backfill", "sold_by_us": True}
    event = NewEvent(
        tenant=Tenant.SANDBOX,
        provider="lemonsqueezy",
        provider_account="",
        endpoint=Tenant.SANDBOX,
        event_id="backfill:1",
        event_type="order_created",
        body=json.dumps(body).encode(),
        state=EventState.RECEIVED,
        occurred_at_ms=now_ms,
        received_at_ms=now_ms,
    )
    with transaction(engine) as connection:
        insert_purchase(connection, Tenant.SANDBOX, quote, now_ms=now_ms)
        store.insert_event(connection, event)


def _run_worker(installation: Installation, variables: dict[str, str]) -> int:
    """Sweep once in a process of its own; answers how it ended."""
    env = {**installation.env, **variables}
    return run_forked(_WORK, env=env, cwd=installation.folder)


def _states(engine: Engine) -> list[str]:
    with snapshot(engine) as connection:
        return list(connection.execute(select(events.c.state)).scalars())
