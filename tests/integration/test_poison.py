"""An event that kills every worker that takes it is quarantined, and takes no other event with it."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine, select

from credits.allocation.model import Runtime
from credits.allocation.service import process_events, sweep
from credits.db import snapshot
from credits.facts import Fact
from credits.inbox.model import EventState
from credits.inbox.provider import Payload
from credits.inbox.rules import LEASE_MS, MAX_CRASHES
from credits.inbox.tables import events
from tests.support.clock import VirtualClock
from tests.support.ledger import assert_ledger_is_sound, balances_by_account
from tests.support.pipeline import Pipeline
from webhooks.providers.assembly import AssembledProvider
from webhooks.providers.fake import PROVIDER


class _WorkerDied(BaseException):
    """Stands for SIGKILL: nothing catches it, and nothing after it runs."""


def _poisonous(payload: Payload) -> tuple[Fact, ...]:
    if payload["data"]["metadata"]["creditgate_account"] == "poison":
        raise _WorkerDied
    return PROVIDER.interpret(payload)


@pytest.fixture
def pipeline(runtime: Runtime) -> Pipeline:
    """Workers that die of the events of the account `poison`."""
    provider: AssembledProvider = replace(PROVIDER, readers=dict.fromkeys(PROVIDER.readers, _poisonous))
    return Pipeline(runtime=replace(runtime, providers={"fake": provider}))


def test_a_poison_event_is_quarantined_alone(pipeline: Pipeline, clock: VirtualClock, engine: Engine) -> None:
    accounts = ["user_1", "poison", "user_2", "user_3"]
    ids = [_pay(pipeline, account) for account in accounts]

    deaths = _work_until_nobody_dies(pipeline.runtime, clock, ids)

    assert deaths == MAX_CRASHES
    assert _states(engine) == {
        ids[0]: EventState.DONE,
        ids[1]: EventState.DEAD,
        ids[2]: EventState.DONE,
        ids[3]: EventState.DONE,
    }
    assert balances_by_account(engine) == {(f"user_{n}", "image_generation"): 100 for n in (1, 2, 3)}
    assert_ledger_is_sound(engine)


def test_events_that_arrive_while_a_poison_event_kills_workers_are_not_held_up(
    pipeline: Pipeline, clock: VirtualClock, engine: Engine
) -> None:
    poison = _pay(pipeline, "poison")
    with pytest.raises(_WorkerDied):
        process_events(pipeline.runtime, [poison])
    clock.advance_ms(LEASE_MS + 1)
    fresh = _pay(pipeline, "user_1")

    with pytest.raises(_WorkerDied):
        sweep(pipeline.runtime)

    assert _states(engine) == {poison: EventState.PROCESSING, fresh: EventState.DONE}


def _pay(pipeline: Pipeline, account: str) -> int:
    return pipeline.deliver("purchase.paid", account=account, payment=account, delivery=account)


def _work_until_nobody_dies(runtime: Runtime, clock: VirtualClock, event_ids: list[int]) -> int:
    """A worker gets the message, then one sweeps after each lease; answers how many died."""
    deaths = 0
    try:
        process_events(runtime, event_ids)
    except _WorkerDied:
        deaths += 1
    while deaths < 3 * MAX_CRASHES:
        clock.advance_ms(LEASE_MS + 1)
        try:
            if sweep(runtime) == 0:
                return deaths
        except _WorkerDied:
            deaths += 1
    return deaths


def _states(engine: Engine) -> dict[int, str]:
    with snapshot(engine) as connection:
        return {row.id: row.state for row in connection.execute(select(events.c.id, events.c.state))}
