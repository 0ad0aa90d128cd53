"""Whoever comes at once, and however often: a payment is granted once."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, select

from credits.allocation.model import Runtime
from credits.allocation.service import process_events, sweep
from credits.config.settings import Tenant
from credits.db import open_engine, snapshot, transaction
from credits.inbox import store
from credits.inbox.model import EventState, NewEvent
from credits.inbox.tables import events
from credits.ledger.tables import entries
from tests.support.ledger import assert_ledger_is_sound, balance_of, balances_by_account
from tests.support.webhooks import simulation
from webhooks.providers import REGISTRY


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine with a connection for each of the many threads here."""
    engine = open_engine(database_url, pool_size=60)
    yield engine
    engine.dispose()


def test_fifty_simultaneous_deliveries_of_one_event_are_stored_once(engine: Engine, runtime: Runtime) -> None:
    event = _purchase(runtime)

    receipts = _at_once([lambda: _deliver(engine, event)] * 50)

    assert len(set(receipts)) == 1
    with snapshot(engine) as connection:
        assert connection.execute(select(events.c.deliveries)).scalars().all() == [50]


def test_fifty_workers_on_one_event_grant_once(engine: Engine, runtime: Runtime) -> None:
    event_id = _deliver(engine, _purchase(runtime))

    taken = _at_once([lambda: process_events(runtime, [event_id])] * 50)

    assert sum(taken) == 1
    assert balance_of(engine, "user_1") == 100
    assert_ledger_is_sound(engine)


def test_fifty_events_of_one_payment_grant_once(engine: Engine, runtime: Runtime) -> None:
    ids = [_deliver(engine, _purchase(runtime, delivery=f"delivery-{number}")) for number in range(50)]

    _at_once([_processing(runtime, [event_id]) for event_id in ids])

    assert balance_of(engine, "user_1") == 100
    assert _states(engine) == {EventState.DONE}
    assert_ledger_is_sound(engine)


def test_two_sweeps_at_once_share_the_events_and_grant_each_payment_once(engine: Engine, runtime: Runtime) -> None:
    for number in range(40):
        _deliver(engine, _purchase(runtime, payment=f"payment-{number}", account=f"user_{number % 4}"))

    taken = _at_once([lambda: sweep(runtime), lambda: sweep(runtime)])

    assert sum(taken) == 40
    assert balances_by_account(engine) == {(f"user_{n}", "image_generation"): 1000 for n in range(4)}
    assert_ledger_is_sound(engine)


def test_many_payments_of_one_account_at_once_leave_no_gap_in_its_entries(engine: Engine, runtime: Runtime) -> None:
    ids = [_deliver(engine, _purchase(runtime, payment=f"payment-{n}", delivery=f"d-{n}")) for n in range(30)]

    _at_once([_processing(runtime, [event_id]) for event_id in ids])

    assert balance_of(engine, "user_1") == 3000
    with snapshot(engine) as connection:
        numbers = connection.execute(select(entries.c.seq).order_by(entries.c.seq)).scalars().all()
    assert numbers == list(range(1, 31))
    assert_ledger_is_sound(engine)


def test_lives_of_one_subscription_in_any_overlap_grant_each_period_once(engine: Engine, runtime: Runtime) -> None:
    ids = []
    for period in range(3):
        for copy in range(3):
            changes = {"payment": f"invoice-{period}", "period": period, "product_id": "pro", "credit_type": None}
            names = {"amount": None, "delivery": f"{period}-{copy}"}
            ids.append(_deliver(engine, _event(runtime, "plan.paid", **changes, **names)))

    _at_once([_processing(runtime, [event_id]) for event_id in reversed(ids)])

    assert balances_by_account(engine) == {("user_1", "image_generation"): 3000, ("user_1", "tokens"): 150_000}
    assert_ledger_is_sound(engine)


def _purchase(runtime: Runtime, **changes: object) -> NewEvent:
    return _event(runtime, "purchase.paid", **{"delivery": str(changes.get("payment", "delivery-1")), **changes})


def _event(runtime: Runtime, event_type: str, **changes: object) -> NewEvent:
    now_ms = runtime.clock()
    body = REGISTRY["fake"].simulate(simulation(event_type, at_ms=now_ms, started_at_ms=now_ms, **changes))
    return NewEvent(
        tenant=Tenant.SANDBOX,
        provider="fake",
        provider_account="",
        endpoint=Tenant.SANDBOX,
        event_id=str(changes.get("delivery")),
        event_type=event_type,
        body=body,
        state=EventState.RECEIVED,
        occurred_at_ms=now_ms,
        received_at_ms=now_ms,
    )


def _deliver(engine: Engine, event: NewEvent) -> int:
    with transaction(engine) as connection:
        return (store.insert_event(connection, event) or store.count_delivery(connection, event)).id


def _processing(runtime: Runtime, event_ids: Sequence[int]) -> Callable[[], int]:
    return lambda: process_events(runtime, event_ids)


def _at_once(calls: Sequence[Callable[[], int]]) -> list[int]:
    """Run every call in a thread of its own, all starting at the same moment; raise what any of them raises."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], int]) -> int:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def _states(engine: Engine) -> set[str]:
    with snapshot(engine) as connection:
        return set(connection.execute(select(events.c.state)).scalars())
