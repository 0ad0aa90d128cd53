"""The measurements: the rush of renewals beside empty tasks, and the cost of an event as the ledger grows."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Final

from sqlalchemy import func, select, text

from benchmarks import empty_task
from benchmarks.renewals.stage import GRANTS_PER_PERIOD, WORKERS, Stage, put_into_inbox, subscribers
from credits.allocation.model import Runtime
from credits.allocation.service import process_events
from credits.clock import system_clock_ms
from credits.config.load import load_catalogue
from credits.config.settings import Tenant
from credits.db import snapshot
from credits.inbox.model import CLAIMABLE, EventState
from credits.inbox.tables import events
from credits.ledger.tables import accounts, entries, grants
from credits.queues import QUEUE_OF, Task, make_celery
from tests.support.installation import CONFIG_FILE
from tests.support.ledger import assert_ledger_is_sound
from tests.support.processes import wait_until
from webhooks.doorbell import MAX_BATCH
from webhooks.providers import REGISTRY

_PATIENCE_S: Final = 900
_ENTRIES_PER_IDLE_ACCOUNT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Rush:
    """Renewals in the same minute."""

    subscriptions: int
    events: int
    seconds: float
    empty_tasks_per_s: float

    @property
    def events_per_s(self) -> float:
        return self.events / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Milliseconds of one process for one event of a renewal, by how many entries there were before."""

    ms_per_event: dict[int, float]


def measure_rush(stage: Stage, subscriptions: int) -> Rush:
    """Let `subscriptions` renew at once; check that each account was credited once for each period."""
    people = subscribers(subscriptions, "rush")
    with _workers(stage):
        _flow(stage, put_into_inbox(stage.engine, people.begun))
        numbers = put_into_inbox(stage.engine, people.renewed)
        seconds = _flow(stage, numbers)
    _check(stage, subscriptions, periods=2)
    stage.yardstick.start_worker(app=empty_task.APP, concurrency=WORKERS)
    empty_per_s = empty_task.tasks_per_s(stage.broker.url, min(len(numbers), 5000), patience_s=_PATIENCE_S)
    stage.yardstick.stop()
    return Rush(subscriptions=subscriptions, events=len(numbers), seconds=seconds, empty_tasks_per_s=empty_per_s)


def measure_growth(stage: Stage, sizes: list[int], *, rounds: int, subscriptions: int) -> Growth:
    """Renew a few subscriptions again and again in this process, with more and more entries of others there."""
    runtime = Runtime(
        engine=stage.engine,
        catalogue=load_catalogue(CONFIG_FILE),
        providers=REGISTRY,
        secret_key="",
        clock=system_clock_ms,
    )
    found: dict[int, float] = {}
    for size in sizes:
        _fill(stage, size)
        taken = []
        for number in range(rounds + 1):
            people = subscribers(subscriptions, f"growth-{size}-{number}")
            _process(runtime, put_into_inbox(stage.engine, people.begun))
            numbers = put_into_inbox(stage.engine, people.renewed)
            began_s = time.perf_counter()
            _process(runtime, numbers)
            taken.append(1000 * (time.perf_counter() - began_s) / len(numbers))
        # The first round warms up.
        found[size] = median(taken[1:])
    return Growth(ms_per_event=found)


@contextmanager
def _workers(stage: Stage) -> Iterator[None]:
    stage.ours.start_worker(concurrency=WORKERS)
    stage.ours.start_beat()
    try:
        yield
    finally:
        stage.ours.stop()


def _flow(stage: Stage, numbers: list[int]) -> float:
    """Ring for the events as the receiver does; seconds until the last one is done."""
    producer = make_celery(stage.broker.url)
    began_s = time.perf_counter()
    for at in range(0, len(numbers), MAX_BATCH):
        producer.send_task(
            Task.PROCESS_EVENTS.value,
            args=[numbers[at : at + MAX_BATCH]],
            queue=QUEUE_OF[Task.PROCESS_EVENTS],
            ignore_result=True,
        )
    wait_until(lambda: not _is_one_left(stage), timeout_s=_PATIENCE_S, what="every event is done")
    return time.perf_counter() - began_s


def _is_one_left(stage: Stage) -> bool:
    """Asked often, so it looks no further than the first, by the index of states."""
    unfinished = select(events.c.id).where(
        events.c.tenant == Tenant.SANDBOX, events.c.state.in_([*CLAIMABLE, EventState.DEAD])
    )
    with snapshot(stage.engine) as connection:
        return connection.execute(unfinished.limit(1)).first() is not None


def _process(runtime: Runtime, numbers: list[int]) -> None:
    for at in range(0, len(numbers), MAX_BATCH):
        process_events(runtime, numbers[at : at + MAX_BATCH])


def _check(stage: Stage, subscriptions: int, *, periods: int) -> None:
    """Each account has one lot for each period and credit type, and the ledger adds up."""
    query = (
        select(accounts.c.external_id, func.count(func.distinct(grants.c.key)), func.count())
        .join(grants, grants.c.account_id == accounts.c.id)
        .where(accounts.c.external_id.like("rush-%"))
        .group_by(accounts.c.external_id)
    )
    with snapshot(stage.engine) as connection:
        found = connection.execute(query).all()
    wanted = periods * GRANTS_PER_PERIOD
    wrong = [tuple(row) for row in found if (row[1], row[2]) != (wanted, wanted)]
    assert not wrong, wrong[:5]
    assert len(found) == subscriptions, (len(found), subscriptions)
    assert_ledger_is_sound(stage.engine)


def _fill(stage: Stage, size: int) -> None:
    """Bring the ledger to `size` entries: accounts that were granted credits once and spent them one by one."""
    with snapshot(stage.engine) as connection:
        have = connection.execute(select(func.count()).select_from(entries)).scalar_one()
    idle = max(0, size - have) // _ENTRIES_PER_IDLE_ACCOUNT
    with stage.engine.begin() as connection:
        for statement in _FILL.split(";"):
            connection.execute(text(statement), {"group": f"idle-{size}-", "count": idle})
    with stage.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


_FILL: Final = """
    INSERT INTO accounts (tenant, external_id, sv, mv, time_zone, created_at_ms)
        SELECT 'sandbox', :group || n, 0, 0, 'UTC', 0 FROM generate_series(1, :count) n;
    INSERT INTO balances (account_id, credit_type, tenant, balance, debt, seq)
        SELECT id, 'tokens', tenant, 901, 0, 100 FROM accounts WHERE external_id LIKE :group || '%';
    INSERT INTO grants (tenant, account_id, credit_type, amount, remaining, frozen, source, source_ref, priority,
                        effective_at_ms, key, created_at_ms)
        SELECT tenant, id, 'tokens', 1000, 901, 0, 'manual', '', 200, 0, 'fill:' || external_id, 0
        FROM accounts WHERE external_id LIKE :group || '%';
    INSERT INTO entries (tenant, account_id, credit_type, seq, kind, amount, balance_after, debt_after, key,
                         fingerprint, actor, reason, meta, at_ms)
        SELECT tenant, id, 'tokens', n, CASE WHEN n = 1 THEN 'grant' ELSE 'spend' END,
               CASE WHEN n = 1 THEN 1000 ELSE -1 END, 1001 - n, 0, 'fill:' || external_id || ':' || n, '', 'fill', '',
               '{}', 0
        FROM accounts, generate_series(1, 100) n WHERE external_id LIKE :group || '%';
    INSERT INTO entry_lots (entry_id, grant_id, tenant, amount)
        SELECT e.id, g.id, e.tenant, e.amount
        FROM entries e JOIN grants g ON g.account_id = e.account_id WHERE e.key LIKE 'fill:' || :group || '%'
"""
"""For PostgreSQL. `count` accounts with a hundred entries each."""
