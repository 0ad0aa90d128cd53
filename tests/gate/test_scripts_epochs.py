"""Epochs: a Redis that may have lost its memory refuses first; versions of the library take over from each other."""

import pytest
import redis

from credits.reservations.scripts import Verb, library, library_of, source
from tests.support.clock import VirtualClock
from tests.support.cluster import servers_of
from tests.support.gate import GateDriver


@pytest.fixture
def newer(gate: GateDriver) -> GateDriver:
    """The next version of the library beside the one of `gate`, not armed."""
    code = library_of(source() + "\n-- the next version\n")
    return GateDriver(client=gate.client, clock=gate.clock, code=code, epoch=gate.epoch)


def test_only_a_higher_epoch_is_armed(gate: GateDriver) -> None:
    assert gate.arm(1) == ("OLD",)
    assert gate.arm(0) == ("OLD",)
    assert gate.arm(10) == ("ARMED",)
    assert gate.arm(9) == ("OLD",)
    assert gate.arm(11) == ("ARMED",)


def test_a_library_that_starts_anew_refuses_although_every_key_is_there(gate: GateDriver) -> None:
    gate.load(10)

    gate.client.function_load(library().code, replace=True)

    assert gate.reserve() == ("STALE",)
    assert gate.settled() == ("STALE",)


def test_shards_are_armed_one_by_one(gate: GateDriver) -> None:
    other = GateDriver(client=gate.client, clock=gate.clock, account_id=2, epoch=1, is_loading=False)
    gate.load(10)
    assert other.begin_load() == ("STALE",)

    other.arm(7)

    assert other.load(5) == ("LOADED", "0")
    assert gate.figures() == (10, 0, 0, 0, 0)


def test_a_new_version_serves_beside_the_old_one_after_the_handover(gate: GateDriver, newer: GateDriver) -> None:
    gate.load(10)
    gate.reserve(4)
    assert newer.reserve(4) == ("STALE",)

    assert gate.handover() == ("HANDED",)
    assert newer.adopt() == ("ADOPTED",)

    assert newer.commit(3) == ("COMMITTED", "3", "0")
    assert gate.reserve(2, hold="h2")[0] == "HELD"
    assert newer.figures() == gate.figures() == (5, 2, 3, 0, 0)


def test_a_new_version_adopts_only_on_the_mark_of_one_that_is_armed(gate: GateDriver, newer: GateDriver) -> None:
    assert newer.adopt() == ("STALE",)
    assert newer.handover() == ("STALE",)
    assert newer.adopt() == ("STALE",)

    assert newer.begin_load() == ("STALE",)


def test_a_mark_serves_once(gate: GateDriver, newer: GateDriver) -> None:
    gate.handover()
    newer.adopt()

    newer.client.function_load(newer.code.code, replace=True)

    assert newer.adopt() == ("STALE",)


def test_a_mark_of_another_epoch_is_none(gate: GateDriver, newer: GateDriver) -> None:
    gate.handover()
    gate.client.hset(gate.keys.shard, "ep", "2")
    newer.epoch = 2

    assert newer.adopt() == ("STALE",)


def test_both_versions_are_put_out_by_a_new_epoch_of_either(gate: GateDriver, newer: GateDriver) -> None:
    gate.handover()
    newer.adopt()

    newer.arm()

    assert gate.begin_load() == ("STALE",)
    gate.epoch = newer.epoch
    assert gate.begin_load() == ("STALE",)
    assert newer.load(10) == ("LOADED", "0")


def test_handing_over_costs_one_transaction_and_no_hold(gate: GateDriver, newer: GateDriver) -> None:
    gate.load(10)
    gate.reserve(4)
    names = [gate.code.function(Verb.HANDOVER), newer.code.function(Verb.ADOPT)]

    with gate.client.pipeline(transaction=True) as pipeline:
        for name in names:
            pipeline.fcall(name, 1, gate.keys.shard, gate.epoch)  # type: ignore[arg-type]
        answers = pipeline.execute()

    assert answers == [["HANDED"], ["ADOPTED"]]
    assert newer.commit(4)[0] == "COMMITTED"


def test_a_full_redis_takes_nothing_new_and_still_finishes_what_was_begun(
    gate: GateDriver, client: redis.Redis
) -> None:
    gate.load(100)
    gate.reserve(10)
    gate.reserve(10, hold="h2")
    gate.reserve(10, hold="h3")
    for server in servers_of(client):
        server.config_set("maxmemory", "1")
    try:
        for refused in (gate.spend, lambda: gate.reserve(hold="h4"), lambda: gate.take_lots(1, 1), gate.begin_load):
            with pytest.raises(redis.ResponseError, match="maxmemory"):
                refused()
        assert gate.commit(10)[0] == "COMMITTED"
        assert gate.release("h2") == ("RELEASED",)
        assert gate.extend("h3")[0] == "EXTENDED"
        assert gate.settle_all() == ("SETTLED", "1")
        assert gate.figures() == (80, 10, 0, 0, 0)
        assert gate.arm() == ("ARMED",)
    finally:
        for server in servers_of(client):
            server.config_set("maxmemory", "0")


def test_no_name_of_two_versions_is_the_same(gate: GateDriver, newer: GateDriver) -> None:
    assert {gate.code.function(verb) for verb in Verb} & {newer.code.function(verb) for verb in Verb} == set()
    assert library() is library()


def test_a_gate_armed_on_the_servers_clock_takes_no_time_from_a_caller(client: redis.Redis) -> None:
    gate = GateDriver(client=client, clock=VirtualClock(), is_virtual=False)
    gate.arm()
    seconds, _ = client.time()  # type: ignore[misc]
    gate.clock.set_ms(int(seconds) * 1000)
    gate.load(10)

    _, due = gate.reserve(1, ttl_ms=5_000)

    assert abs(int(due) - int(seconds) * 1000 - 5_000) < 5_000
