"""A cluster whose masters die, are replaced, or hand slots on: the fence answers first, and the other shards go on."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.crc import key_slot
from sqlalchemy import Engine

from credits.clock import system_clock_ms
from credits.config.catalogue import Catalogue
from credits.engine import Credits
from credits.errors import GateUnavailableError, InsufficientCreditsError
from credits.ops.audit.service import audit
from credits.redis_client import open_redis, warnings_of
from credits.reservations.keys import account_keys, shard_keys, shard_of
from credits.reservations.scripts import Verb, library
from credits.reservations.sweeps import sweep_gate
from tests.support.cluster import ValkeyCluster, ask
from tests.support.library import TYPE, Shop, figures
from tests.support.processes import wait_until
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.cluster


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    cluster = ValkeyCluster(tmp_path_factory.mktemp("cluster"), replicas=1)
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(servers: ValkeyCluster) -> ValkeyCluster:
    servers.empty()
    return servers


@pytest.fixture
def shop(engine: Engine, cluster: ValkeyCluster, catalogue: Catalogue) -> Shop:
    return Shop(engine=engine, redis_url=cluster.url, catalogue=catalogue)


def accounts_by_master(shop: Shop, cluster: ValkeyCluster, credits_: Credits) -> dict[int, str]:
    """An account on each master, by the number of the master, with 100 credits."""
    found: dict[int, str] = {}
    for number in range(40):
        name = f"user_{number}"
        credits_.add(name, TYPE, 100, key=name)
        account_id = credits_.reservations.account_id(name)
        assert account_id is not None
        server = cluster.of_slot(key_slot(shard_keys(shard_of(account_id)).shard.encode()))
        found.setdefault(cluster.masters.index(server), name)
        if len(found) == 3:
            return found
    raise AssertionError(found)


def test_a_batch_goes_to_every_master_and_the_sweeps_and_the_audit_find_everything(
    shop: Shop, cluster: ValkeyCluster
) -> None:
    from credits import Commit, Reserve

    credits_ = shop.process()
    names = [*accounts_by_master(shop, cluster, credits_).values()]

    holds = credits_.reserve_many([Reserve(account=name, items={TYPE: 10}, reservation_id=name) for name in names])
    answers = credits_.commit_many(
        [Commit(account=name, reservation_id=name, items={TYPE: 4}) for name in names], durability="redis"
    )
    swept = sweep_gate(shop.gate())

    assert [type(hold).__name__ for hold in holds] == ["Hold"] * 3
    assert [getattr(answer, "replayed", answer) for answer in answers] == [False] * 3
    assert swept.settled == 3
    assert [figures(credits_, name) for name in names] == [(96, 0, 0, 96, 0)] * 3
    report = audit(shop.engine, open_redis(shop.redis_url), now_ms=system_clock_ms())
    assert (report.findings, report.gate_accounts >= 3) == ([], True)
    assert warnings_of(shop.redis_url) == [
        "this Redis keeps nothing on disk: a restart forgets open holds and commits that are not settled"
    ]


def test_a_master_without_a_replica_that_dies_is_an_outage_of_its_shards_alone_and_comes_back_empty_and_fenced(
    shop: Shop, cluster: ValkeyCluster
) -> None:
    credits_ = shop.process()
    names = accounts_by_master(shop, cluster, credits_)
    for name in names.values():
        credits_.reserve(name, {TYPE: 60}, reservation_id="job")
    cluster.masters[2].kill()

    with pytest.raises(GateUnavailableError):
        credits_.reserve(names[2], {TYPE: 1}, reservation_id="during")
    assert credits_.spend(names[1], {TYPE: 5}, key="meanwhile").durability == "ledger"
    credits_.add(names[2], TYPE, 7, key="granted meanwhile")
    credits_.add(names[1], TYPE, 7, key="granted meanwhile, too")
    assert sweep_gate(shop.gate()).credits_applied >= 0
    assert figures(credits_, names[1])[:4] == (102, 60, 0, 42)

    cluster.masters[2].start()
    cluster.wait_until_up()
    assert _reserve_there(cluster.masters[2], credits_, names[2]) in ("STALE", "not found")
    wait_until(lambda: _serves(credits_, names[2]), what="the shards are served again")
    assert figures(credits_, names[2]) == (107, 0, 0, 107, 0)
    assert audit(shop.engine, open_redis(shop.redis_url), now_ms=system_clock_ms()).findings == []


def test_a_replica_that_is_promoted_is_stale_before_any_harm_and_keeps_the_holds_it_has(
    shop: Shop, cluster: ValkeyCluster
) -> None:
    credits_ = shop.process()
    name = accounts_by_master(shop, cluster, credits_)[0]
    hold = credits_.reserve(name, {TYPE: 60}, reservation_id="job")
    replica = cluster.replicas[0]
    assert int(ask(cluster.masters[0], "WAIT", 1, 60_000)) == 1
    cluster.masters[0].kill()
    wait_until(lambda: "role:master" in str(ask(replica, "INFO", "replication")), what="it is promoted")

    assert _reserve_there(replica, credits_, name) == "STALE"

    wait_until(lambda: _serves(credits_, name), what="the shard is served again")
    assert figures(credits_, name) == (100, 60, 0, 40, 0)
    with pytest.raises(InsufficientCreditsError):
        credits_.reserve(name, {TYPE: 41})
    assert not hold.commit().rescued
    assert figures(credits_, name) == (40, 0, 0, 40, 0)
    assert audit(shop.engine, open_redis(shop.redis_url), now_ms=system_clock_ms()).findings == []


def _reserve_there(server: ValkeyServer, credits_: Credits, name: str) -> str:
    """What a server answers to a caller who still believes in the epoch of before."""
    account_id = credits_.reservations.account_id(name)
    assert account_id is not None
    keys = account_keys(account_id)
    epoch = credits_.reservations.runtime.gate.epochs[shard_of(account_id)]
    named = (keys.shard, keys.account, keys.lots, keys.holds, keys.due, keys.journal, keys.token)
    args = (epoch, system_clock_ms(), "h", "a1", 1_000, 1_000, "job", "", TYPE, 1)
    try:
        answer: Any = ask(server, "FCALL", library().function(Verb.RESERVE), len(named), *named, *args)
    except redis.ResponseError as error:
        return "not found" if "not found" in str(error).lower() else str(error)
    return str(answer[0])


def _serves(credits_: Credits, name: str) -> bool:
    try:
        return credits_.can_deduct(name, TYPE, 1)
    except GateUnavailableError:
        return False
