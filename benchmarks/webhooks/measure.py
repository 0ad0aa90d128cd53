"""The measurements: each round of ours beside a round of the yardstick, in turn."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Final

from sqlalchemy import func, select

from benchmarks import empty_task
from benchmarks.load import Load, send
from benchmarks.webhooks.stage import ACCOUNTS, CREDITS_PER_PAYMENT, Stage, account_of
from credits.db import snapshot
from credits.inbox.tables import events
from credits.ledger.tables import entries
from tests.support.installation import Installation
from tests.support.ledger import assert_ledger_is_sound, balances_by_account
from tests.support.processes import wait_until

CONNECTIONS: Final = 8
PACE_PER_S: Final = 200
_MOST_PER_S: Final = 3000
_PATIENCE_S: Final = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepting:
    """Medians over the rounds: webhooks accepted as fast as they come, and latency at a steady pace."""

    per_s: float
    p50_ms: float
    p99_ms: float
    paced_p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One database's figures: ours and the yardstick's."""

    receiver: Accepting
    bare_route: Accepting
    events_per_s: float
    empty_tasks_per_s: float
    payments: int

    @property
    def accepted_ratio(self) -> float:
        return self.receiver.per_s / self.bare_route.per_s

    @property
    def events_ratio(self) -> float:
        return self.events_per_s / self.empty_tasks_per_s


def measure(stage: Stage, *, rounds: int, seconds: float) -> Figures:
    """Measure everything on `stage`, then check that each accepted payment was credited once."""
    receiver, bare_route = _accepting(stage, rounds=rounds, seconds=seconds)
    stage.ours.start_worker(concurrency=1)
    stage.yardstick.start_worker(app=empty_task.APP, concurrency=1)
    stage.ours.start_beat()
    _wait_until_credited(stage)
    count = round(seconds * PACE_PER_S)
    flows, empties = [], []
    for _ in range(rounds):
        empties.append(empty_task.tasks_per_s(stage.broker.url, count, patience_s=_PATIENCE_S))
        flows.append(_events_per_s(stage, count))
    _check(stage)
    return Figures(
        receiver=receiver,
        bare_route=bare_route,
        events_per_s=median(flows),
        empty_tasks_per_s=median(empties),
        payments=sum(stage.accepted),
    )


def _accepting(stage: Stage, *, rounds: int, seconds: float) -> tuple[Accepting, Accepting]:
    _flat_out(stage, stage.yardstick, 1)
    _flat_out(stage, stage.ours, 1)
    flat: dict[Installation, list[Load]] = {stage.yardstick: [], stage.ours: []}
    paced: dict[Installation, list[Load]] = {stage.yardstick: [], stage.ours: []}
    for _ in range(rounds):
        for installation in flat:
            flat[installation].append(_flat_out(stage, installation, seconds))
        for installation in paced:
            paced[installation].append(_paced(stage, installation, seconds))
    return _medians(flat[stage.ours], paced[stage.ours]), _medians(flat[stage.yardstick], paced[stage.yardstick])


def _flat_out(stage: Stage, installation: Installation, seconds: float) -> Load:
    requests = stage.requests(round(_MOST_PER_S * seconds))
    return _counted(
        stage, installation, lambda: send(installation.port, requests, connections=CONNECTIONS, seconds=seconds)
    )


def _paced(stage: Stage, installation: Installation, seconds: float) -> Load:
    requests = stage.requests(round(PACE_PER_S * seconds))
    return _counted(
        stage, installation, lambda: send(installation.port, requests, connections=CONNECTIONS, rate=PACE_PER_S)
    )


def _counted(stage: Stage, installation: Installation, run: Callable[[], Load]) -> Load:
    load = run()
    if load.refused:
        raise AssertionError(f"{load.refused} requests were refused\n{installation.logs()[-2000:]}")
    if installation is stage.ours:
        stage.accepted.append(load.accepted)
    return load


def _medians(flat: list[Load], paced: list[Load]) -> Accepting:
    return Accepting(
        per_s=median(load.per_s for load in flat),
        p50_ms=median(load.percentile_ms(0.5) for load in flat),
        p99_ms=median(load.percentile_ms(0.99) for load in flat),
        paced_p99_ms=median(load.percentile_ms(0.99) for load in paced),
    )


def _events_per_s(stage: Stage, count: int) -> float:
    """From the first post to the last event that is done."""
    requests = stage.requests(count)
    began_s = time.perf_counter()
    _counted(stage, stage.ours, lambda: send(stage.ours.port, requests, connections=CONNECTIONS))
    _wait_until_credited(stage)
    return count / (time.perf_counter() - began_s)


def _wait_until_credited(stage: Stage) -> None:
    wanted = sum(stage.accepted)
    wait_until(lambda: _entries(stage) >= wanted, timeout_s=_PATIENCE_S, what=f"{wanted} payments are credited")


def _entries(stage: Stage) -> int:
    with snapshot(stage.engine) as connection:
        return connection.execute(select(func.max(entries.c.id))).scalar_one() or 0


def _check(stage: Stage) -> None:
    """Each accepted payment was credited once, and nothing else was."""
    with snapshot(stage.engine) as connection:
        stored = connection.execute(select(func.count()).select_from(events)).scalar_one()
        credited = connection.execute(select(func.count()).select_from(entries)).scalar_one()
        payments = connection.execute(select(func.count(func.distinct(entries.c.key)))).scalar_one()
    assert stored == credited == payments == sum(stage.accepted), (stored, credited, payments, sum(stage.accepted))
    assert sum(balances_by_account(stage.engine).values()) == payments * CREDITS_PER_PAYMENT
    assert len(balances_by_account(stage.engine)) <= ACCOUNTS, account_of(0)
    assert_ledger_is_sound(stage.engine)
