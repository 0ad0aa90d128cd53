"""The inbox: no event is lost, each is done once, and whatever needs a person says why and what to do."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from credits.allocation.model import Runtime
from credits.allocation.service import process_events, sweep
from credits.db import snapshot, transaction
from credits.errors import DependencyError
from credits.facts import Fact, NothingToDo
from credits.inbox import store
from credits.inbox.model import EventState
from credits.inbox.provider import Payload
from credits.inbox.rules import LEASE_MS, MAX_ATTEMPTS_UNAVAILABLE, MAX_ATTEMPTS_UNEXPECTED, backoff_ms, fix_of
from credits.inbox.tables import events
from tests.support.clock import VirtualClock
from tests.support.ledger import assert_ledger_is_sound
from tests.support.pipeline import Pipeline
from webhooks.providers.fake import PROVIDER

NOBODY: dict[str, Any] = {"account": None}


class Unwell:
    """The fake provider, whose readers raise what they are told to until they are told nothing."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def __call__(self, payload: Payload) -> tuple[Fact, ...]:
        if self.error is not None:
            raise self.error
        return PROVIDER.interpret(payload)


def unwell(runtime: Runtime, error: Exception) -> tuple[Pipeline, Unwell]:
    """A pipeline whose fake provider is unwell."""
    reader = Unwell(error)
    provider = replace(PROVIDER, readers=dict.fromkeys(PROVIDER.readers, reader))
    return Pipeline(runtime=replace(runtime, providers={"fake": provider})), reader


DATABASE_AWAY = [
    pytest.param(OperationalError("SELECT 1", {}, Exception("password of user_1")), id="driver"),
    pytest.param(DependencyError("Redis did not answer"), id="ours"),
]


@pytest.mark.parametrize("error", DATABASE_AWAY)
def test_a_dependency_that_is_away_is_tried_again_later_with_the_reason_in_the_row(
    runtime: Runtime, clock: VirtualClock, error: Exception
) -> None:
    pipeline, reader = unwell(runtime, error)

    failed = pipeline.receive("purchase.paid")
    reader.error = None
    clock.set_ms(failed["due_at_ms"] - 1)
    too_early = pipeline.process()
    clock.advance_ms(1)
    pipeline.process()

    assert (failed["state"], failed["code"]) == (EventState.FAILED, "dependency_unavailable")
    assert "password" not in failed["detail"]
    assert backoff_ms(1, 0) <= failed["due_at_ms"] - failed["received_at_ms"] <= backoff_ms(1, 1)
    assert too_early == 0
    assert pipeline.states() == [EventState.DONE]
    assert pipeline.balance("user_1") == 100


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (DependencyError("away"), MAX_ATTEMPTS_UNAVAILABLE),
        (ZeroDivisionError("a bug"), MAX_ATTEMPTS_UNEXPECTED),
    ],
)
def test_an_error_that_stays_is_quarantined_and_a_late_retry_still_grants(
    runtime: Runtime, clock: VirtualClock, error: Exception, attempts: int
) -> None:
    pipeline, reader = unwell(runtime, error)
    event_id = pipeline.deliver("purchase.paid")
    while pipeline.process():
        clock.set_ms(pipeline.event(event_id)["due_at_ms"] or clock())

    dead = pipeline.event(event_id)
    reader.error = None
    pipeline.retry(event_id)
    pipeline.process()

    assert (dead["state"], dead["attempts"], dead["due_at_ms"]) == (EventState.DEAD, attempts, None)
    assert "a bug" not in dead["detail"]
    assert pipeline.states() == [EventState.DONE]
    assert pipeline.balance("user_1") == 100


def test_a_duplicate_of_a_dead_event_leaves_it_dead(runtime: Runtime) -> None:
    pipeline, reader = unwell(runtime, ZeroDivisionError())
    event_id = pipeline.deliver("purchase.paid")
    with transaction(runtime.engine) as connection:
        connection.execute(update(events).values(state=EventState.DEAD, due_at_ms=None))
    reader.error = None

    again = pipeline.receive("purchase.paid")

    assert (again["id"], again["state"], again["deliveries"]) == (event_id, EventState.DEAD, 2)


def test_a_worker_that_lost_its_lease_leaves_nothing_behind(runtime: Runtime, clock: VirtualClock) -> None:
    """The slower of two workers rolls back, and the quicker one's credits stand alone."""
    quick = Pipeline(runtime=runtime)

    def overtaken(payload: Payload) -> tuple[Fact, ...]:
        clock.advance_ms(LEASE_MS + 1)
        quick.process()
        return PROVIDER.interpret(payload)

    provider = replace(PROVIDER, readers=dict.fromkeys(PROVIDER.readers, overtaken))
    slow = Pipeline(runtime=replace(runtime, providers={"fake": provider}))

    slow.receive("purchase.paid")

    assert quick.states() == [EventState.DONE]
    assert quick.balance("user_1") == 100
    assert len(quick.posted()) == 1
    assert_ledger_is_sound(runtime.engine)


def test_an_event_in_the_hands_of_one_worker_is_not_taken_by_another(pipeline: Pipeline, clock: VirtualClock) -> None:
    event_id = pipeline.deliver("purchase.paid")
    with transaction(pipeline.runtime.engine) as connection:
        first = store.claim(connection, [event_id], now_ms=clock(), lease_ms=LEASE_MS, lease_token="first")
    clock.advance_ms(LEASE_MS - 1)

    with transaction(pipeline.runtime.engine) as connection:
        second = store.claim(connection, [event_id], now_ms=clock(), lease_ms=LEASE_MS, lease_token="second")

    assert [event.lease_token for event in first] == ["first"]
    assert second == []


def test_an_event_that_is_woken_is_looked_at_again_as_often_as_a_new_one(
    pipeline: Pipeline, clock: VirtualClock
) -> None:
    said: dict[str, Any] = {"product_id": None, "credit_type": None, "amount": None}
    event_id = pipeline.deliver("plan.paid", **said)
    while pipeline.process():
        clock.set_ms(pipeline.event(event_id)["due_at_ms"] or clock())
    tired = pipeline.event(event_id)

    pipeline.receive("subscription.seen", **said)

    woken = pipeline.event(event_id)
    assert (tired["state"], tired["due_at_ms"]) == (EventState.WAITING, None)
    assert woken["state"] == EventState.WAITING
    assert woken["due_at_ms"] > clock()


def test_a_sweep_takes_what_is_due_and_no_more_than_its_limit(pipeline: Pipeline) -> None:
    for number in range(5):
        pipeline.deliver("purchase.paid", delivery=str(number), payment=str(number))

    taken = [sweep(pipeline.runtime, limit=3) for _ in range(3)]

    assert taken == [3, 2, 0]
    assert pipeline.balance("user_1") == 500


def test_events_that_nobody_knows_or_that_are_done_are_passed_over(pipeline: Pipeline) -> None:
    event_id = pipeline.receive("purchase.paid")["id"]

    assert process_events(pipeline.runtime, [event_id, 10**9]) == 0


def test_an_event_of_a_provider_that_is_gone_fails_visibly(pipeline: Pipeline) -> None:
    pipeline.deliver("purchase.paid")

    sweep(replace(pipeline.runtime, providers={}))

    (event_id,) = store_ids(pipeline)
    event = pipeline.event(event_id)
    assert (event["state"], event["code"]) == (EventState.FAILED, "unknown_provider")
    assert fix_of(event["code"])


def test_an_event_that_says_nothing_is_ignored(runtime: Runtime) -> None:
    provider = replace(PROVIDER, readers={"purchase.paid": lambda _: (NothingToDo(reason="all quiet"),)})
    pipeline = Pipeline(runtime=replace(runtime, providers={"fake": provider}))

    event = pipeline.receive("purchase.paid")

    assert (event["state"], event["detail"]) == (EventState.IGNORED, "all quiet")


def store_ids(pipeline: Pipeline) -> list[int]:
    with snapshot(pipeline.runtime.engine) as connection:
        return list(connection.execute(select(events.c.id)).scalars())
