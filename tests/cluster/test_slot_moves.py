"""A slot is moved to another master while credits are spent: nothing is lost or doubled, and it goes on there."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis.crc import key_slot
from sqlalchemy import Engine

from credits.clock import system_clock_ms
from credits.config.catalogue import Catalogue
from credits.engine import Credits
from credits.errors import GateUnavailableError
from credits.ops.audit.service import audit
from credits.redis_client import open_redis
from credits.reservations.keys import shard_keys, shard_of
from credits.reservations.sweeps import sweep_gate
from tests.support.cluster import ValkeyCluster, ask
from tests.support.library import TYPE, Shop, figures
from tests.support.processes import PATIENCE_S, wait_until

pytestmark = pytest.mark.cluster

GRANTED = 100_000


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ValkeyCluster]:
    cluster = ValkeyCluster(tmp_path / "cluster")
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def shop(engine: Engine, cluster: ValkeyCluster, catalogue: Catalogue) -> Shop:
    return Shop(engine=engine, redis_url=cluster.url, catalogue=catalogue)


@dataclass
class Spender:
    """Spends one credit after the other from an account, each repeated by its key until it is answered."""

    credits_: Credits
    account: str
    durability: str
    answered: int = 0
    failures: int = 0
    _is_over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._spend)
        self._thread.start()

    def end(self) -> None:
        self._is_over.set()
        self._thread.join(timeout=PATIENCE_S)
        assert not self._thread.is_alive()

    def _spend(self) -> None:
        while not self._is_over.is_set():
            key = f"{self.account} {self.durability} {self.answered}"
            try:
                self.credits_.spend(self.account, {TYPE: 1}, key=key, durability=self.durability)
            except GateUnavailableError:
                self.failures += 1
                time.sleep(0.02)
            else:
                self.answered += 1


def test_a_slot_that_is_moved_under_load_loses_nothing_and_is_served_by_its_new_master(
    shop: Shop, cluster: ValkeyCluster
) -> None:
    credits_ = shop.process()
    moved, stays = _an_account_of(credits_, cluster, 1), _an_account_of(credits_, cluster, 2)
    held = credits_.reserve(moved, {TYPE: 500}, reservation_id="held all the time", ttl_s=600)
    spenders = [
        *(Spender(shop.process(), moved, durability) for durability in ("ledger", "redis")),
        Spender(shop.process(), stays, "ledger"),
    ]
    _wait_for_more(spenders)

    move_slot(cluster, _slot_of(credits_, moved), meanwhile=lambda: _wait_for_a_try(spenders[1]))
    _wait_for_more(spenders)
    for spender in spenders:
        spender.end()
    answer = held.commit({TYPE: 100})

    wait_until(lambda: sweep_gate(shop.gate()).settled == 0, what="everything is booked")
    spent = spenders[0].answered + spenders[1].answered + 100
    assert (answer.is_pending, spenders[2].failures) == (False, 0)
    # Some calls met it half moved: they are told to try again, and do.
    assert spenders[0].failures + spenders[1].failures > 0
    assert figures(credits_, moved) == (GRANTED - spent, 0, 0, GRANTED - spent, 0)
    assert audit(shop.engine, open_redis(shop.redis_url), now_ms=system_clock_ms()).findings == []
    assert ask(cluster.masters[0], "CLUSTER", "COUNTKEYSINSLOT", _slot_of(credits_, moved)) > 0


def move_slot(cluster: ValkeyCluster, slot: int, *, meanwhile: Callable[[], None]) -> None:
    """Move a slot from the second master to the first as `redis-cli --cluster reshard` does; and do this half way."""
    target, source, _ = cluster.masters
    source_id, target_id = (ask(server, "CLUSTER", "MYID") for server in (source, target))
    ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
    ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
    while keys := ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 1):
        ask(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
        meanwhile()
    for server in (target, source, *cluster.masters):
        ask(server, "CLUSTER", "SETSLOT", slot, "NODE", target_id)


def _wait_for_more(spenders: list[Spender]) -> None:
    """Wait until each has been answered twenty times more."""
    before = [spender.answered for spender in spenders]
    wait_until(
        lambda: all(now.answered >= then + 20 for now, then in zip(spenders, before, strict=True)),
        what="everybody goes on",
    )


def _wait_for_a_try(spender: Spender) -> None:
    """Wait until it has tried from beginning to end, in vain or not. (It must be one that waits for no ledger.)"""
    before = spender.answered + spender.failures
    wait_until(lambda: spender.answered + spender.failures >= before + 2, what="it tries again")


def _an_account_of(credits_: Credits, cluster: ValkeyCluster, master: int) -> str:
    for number in range(60):
        name = f"of {master}: {number}"
        credits_.add(name, TYPE, GRANTED, key=name)
        if cluster.of_slot(_slot_of(credits_, name)) is cluster.masters[master]:
            return name
    raise AssertionError(f"no account of master {master}")


def _slot_of(credits_: Credits, account: str) -> int:
    return key_slot(shard_keys(shard_of(credits_.reservations.account_id(account) or 0)).shard.encode())
