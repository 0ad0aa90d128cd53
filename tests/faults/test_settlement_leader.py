"""Of those who wait for the ledger one settles for all; killed or stopped anywhere, it is replaced, all booked once."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import Popen

import pytest
from sqlalchemy import event, func, select

from credits.clock import system_clock_ms
from credits.config.settings import Tenant
from credits.db import open_engine, snapshot
from credits.engine import Credits
from credits.failpoints import VARIABLE
from credits.ledger.tables import accounts, entries
from credits.ops.audit.service import audit
from credits.redis_client import open_redis
from credits.reservations import settlement
from credits.reservations.keys import shard_keys, shard_of
from credits.reservations.scripts import Verb
from credits.reservations.settlement import settle_shards
from credits.reservations.steps import run
from tests.conftest import CONFIG_FILE
from tests.support.library import TYPE, Shop, figures
from tests.support.pace import Pace
from tests.support.processes import PATIENCE_S, start, wait_until

REPOSITORY = Path(__file__).parents[2]
REPLACED_WITHIN_S = 3.0
"""A lease of 0.3 s, and at most 1.5 s more where it stopped inside a transaction."""
JOB = """
from credits import Credits
with Credits.from_env().reserve("user_1", image_generation=1, reservation_id="of the leader") as hold:
    hold.commit()
"""


@pytest.fixture
def database_kind() -> str:
    return "postgresql"


@pytest.fixture
def leader(shop: Shop, database_url: str, tmp_path: Path) -> Iterator["Leader"]:
    shop.process().add("user_1", TYPE, 100, key="a")
    leader = Leader(shop, database_url, tmp_path / "leader.log")
    yield leader
    leader.end()


class Leader:
    """An app's process that commits, leads the settlement, and gets no further than a failpoint."""

    def __init__(self, shop: Shop, database_url: str, log: Path) -> None:
        self._shop, self._database_url, self._log = shop, database_url, log
        self.process: Popen[bytes] | None = None

    def run(self, failpoint: str) -> None:
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY),
            "CREDITGATE_DATABASE_URL": self._database_url,
            "CREDITGATE_REDIS_URL": self._shop.redis_url,
            "CREDITGATE_CONFIG": str(CONFIG_FILE),
            "CREDITGATE_TENANT": "sandbox",
            VARIABLE: failpoint,
        }
        self.process = start([sys.executable, "-c", JOB], log=self._log, env=env, cwd=REPOSITORY)
        wait_until(self._is_stopped_or_dead, what=f"the leader at {failpoint}")

    def go_on(self) -> int:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)
        return self.process.wait(timeout=PATIENCE_S)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=PATIENCE_S)

    def _is_stopped_or_dead(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            return True
        state = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "T"


@pytest.mark.parametrize("point", ["after_lead", "before_sql_commit", "before_settled", "before_tell"])
def test_a_killed_leader_is_replaced_within_a_fraction_of_a_second(shop: Shop, leader: Leader, point: str) -> None:
    library = shop.process()
    hold = library.reserve("user_1", image_generation=2, reservation_id="of another")
    leader.run(f"gate.{point}=kill")

    with Pace() as pace:
        answer = hold.commit()

    assert (answer.is_pending, pace.fair_s < REPLACED_WITHIN_S) == (False, True)
    assert_each_is_booked_once(shop, library)


@pytest.mark.parametrize("point", ["after_lead", "before_sql_commit", "before_settled", "before_tell"])
def test_a_stopped_leader_is_replaced_and_does_no_harm_when_it_goes_on(shop: Shop, leader: Leader, point: str) -> None:
    library = shop.process()
    hold = library.reserve("user_1", image_generation=2, reservation_id="of another")
    leader.run(f"gate.{point}=stop")

    with Pace() as pace:
        answer = hold.commit()
    ended = leader.go_on()

    assert (answer.is_pending, pace.fair_s < REPLACED_WITHIN_S, ended) == (False, True, 0)
    assert_each_is_booked_once(shop, library)


def test_who_is_told_by_the_leader_asks_the_database_for_nothing(
    shop: Shop, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow it is, nobody replaces this one.
    monkeypatch.setattr(settlement, "LEASE_MS", 60_000)
    engine, another = open_engine(database_url), shop.gate()
    library = Credits(engine=engine, catalogue=shop.catalogue, tenant=Tenant.SANDBOX, gate=shop.gate())
    library.add("user_1", TYPE, 100, key="a")
    hold = library.reserve("user_1", image_generation=2)
    shard = shard_of(library.reservations.account_id("user_1") or 0)
    keys, taken_out = shard_keys(shard), list[object]()
    another.gate.epochs.update(library.reservations.runtime.gate.epochs)
    named = (keys.shard, keys.journal, keys.lead, keys.told)
    # It leads before anybody commits, and settles once somebody waits to be told.
    lead = (another.gate.epochs[shard], system_clock_ms(), "another", settlement.LEASE_MS)
    assert another.gate.call(Verb.LEAD, named, lead) == ["LEADING", "0"]

    def settle() -> None:
        wait_until(lambda: open_redis(shop.redis_url).hexists(keys.lead, "n"), what="somebody waits")
        run(another, settle_shards(another, [shard], leader="another"))

    with ThreadPoolExecutor(1) as thread:
        settled = thread.submit(settle)
        event.listen(engine, "checkout", lambda *words: taken_out.append(words[0]))
        answer = hold.commit()
        settled.result()

    assert (answer.is_pending, taken_out) == (False, [])
    engine.dispose()


def test_an_account_that_is_locked_keeps_no_other_waiting(shop: Shop) -> None:
    library = shop.process()
    accounts_of = {}
    for number in range(6):
        library.add(f"user_{number}", TYPE, 10, key=f"a-{number}")
        accounts_of[shard_of(library.reservations.account_id(f"user_{number}") or 0)] = f"user_{number}"
    (_, locked), *others = sorted(accounts_of.items())
    holds = {name: library.reserve(name, image_generation=1) for name in (locked, *(name for _, name in others))}

    with shop.engine.begin() as connection, ThreadPoolExecutor(8) as threads:
        account_id = library.reservations.account_id(locked)
        connection.execute(select(accounts.c.id).where(accounts.c.id == account_id).with_for_update())
        waiting = threads.submit(holds[locked].commit)
        time.sleep(0.05)
        with Pace() as pace:
            answers = list(threads.map(lambda pair: holds[pair[1]].commit(), others))
        connection.rollback()
        answers.append(waiting.result())

    assert len(others) >= 2
    assert [answer.is_pending for answer in answers] == [False] * len(answers)
    assert pace.fair_s < 1.5


def assert_each_is_booked_once(shop: Shop, library: Credits) -> None:
    wait_until(lambda: figures(library, "user_1") == (97, 0, 0, 97, 0), what="both are booked")
    with snapshot(shop.engine) as connection:
        spends = connection.execute(select(func.count()).where(entries.c.amount < 0)).scalar_one()
    assert spends == 2
    assert audit(shop.engine, open_redis(shop.redis_url), now_ms=system_clock_ms()).findings == []
