"""Time: a wrong clock, of the server or of the caller, ends nothing early and lets nothing lapsed be reserved."""

import time
from typing import Any

import pytest
import redis

from credits.reservations import rules
from tests.support.clock import VirtualClock
from tests.support.gate import A_TYPE, GateDriver, LotSpec

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def server_ms(client: redis.Redis) -> int:
    seconds, micros = client.time()  # type: ignore[misc]
    return int(seconds) * 1000 + int(micros) // 1000


@pytest.fixture
def gate(client: redis.Redis, server_ms: int) -> GateDriver:
    """A gate that takes the time from its server; `clock` is the caller's."""
    driver = GateDriver(client=client, clock=VirtualClock(server_ms), is_virtual=False)
    driver.arm()
    return driver


def test_a_server_clock_a_day_ahead_frees_and_lapses_nothing_but_refuses_what_is_past_its_instant(
    gate: GateDriver,
) -> None:
    # A caller a day behind is to the scripts what a server a day ahead is.
    gate.clock.advance_ms(-DAY_MS)
    soon = gate.clock() + HOUR_MS
    gate.load(LotSpec(grant_id=1, amount=10, expires_at_ms=soon), LotSpec(grant_id=2, amount=5))
    gate.reserve(3, ttl_ms=2 * HOUR_MS)

    assert gate.read() == ("READ", A_TYPE, "2", "3", "0", "0", "0")
    assert gate.reserve(3, hold="h2") == ("INSUFFICIENT", A_TYPE, "3", "2")

    gate.clock.advance_ms(HOUR_MS)
    assert gate.read() == ("READ", A_TYPE, "2", "3", "0", "0", "10")


def test_a_hold_that_is_overdue_by_the_servers_clock_alone_is_kept(gate: GateDriver) -> None:
    gate.load(10)
    _, due = gate.reserve(10, ttl_ms=1)
    while _now_ms(gate) <= int(due):
        time.sleep(0.001)

    # By the server's clock the deadline has passed; this caller's is a day before it.
    gate.clock.advance_ms(-DAY_MS)
    assert gate.reserve(1, hold="h2")[0] == "INSUFFICIENT"
    gate.clock.advance_ms(DAY_MS)

    assert gate.reserve(1, hold="h2")[0] == "HELD"


def test_the_servers_clock_may_be_a_minute_ahead_of_the_callers_and_is_believed(gate: GateDriver) -> None:
    gate.load(LotSpec(grant_id=1, amount=10, expires_at_ms=gate.clock() - 1))
    gate.clock.advance_ms(-50_000)

    assert gate.figures() == (0, 0, 0, 0, 10)


@pytest.mark.parametrize("ahead_ms", [HOUR_MS, DAY_MS])
def test_a_caller_ahead_of_time_ends_nothing_early(ahead_ms: int, gate: GateDriver) -> None:
    gate.load(LotSpec(grant_id=1, amount=10, expires_at_ms=gate.clock() + 60_000))
    gate.reserve(4)
    gate.clock.advance_ms(ahead_ms)

    assert gate.figures() == (6, 4, 0, 0, 0)


def test_a_clock_that_goes_back_brings_nothing_back(gate: GateDriver, server_ms: int) -> None:
    gate.load(LotSpec(grant_id=1, amount=10, expires_at_ms=server_ms + HOUR_MS), LotSpec(grant_id=2, amount=5))
    gate.reserve(2, ttl_ms=60_000)
    # As if the account had been used two hours from now, by a server whose clock was then put right.
    _set_last_seen(gate, server_ms + 2 * HOUR_MS)

    assert gate.reserve(8, hold="h2") == ("INSUFFICIENT", A_TYPE, "8", "5")
    assert gate.figures() == (5, 0, 0, 0, 10)


def test_a_loader_of_the_future_keeps_nobody_from_loading(gate: GateDriver, server_ms: int) -> None:
    gate.client.set(gate.keys.token, f"other|{server_ms + HOUR_MS}")

    assert gate.begin_load() == ("BEGUN",)


def test_a_virtual_clock_does_not_go_back_either(client: redis.Redis, clock: VirtualClock) -> None:
    gate = GateDriver(client=client, clock=clock)
    gate.arm()
    gate.load(LotSpec(grant_id=1, amount=10, expires_at_ms=clock() + 1_000))
    clock.advance_ms(1_000)
    assert gate.figures() == (0, 0, 0, 0, 10)

    clock.advance_ms(-1_000)

    assert gate.reserve(1)[0] == "INSUFFICIENT"


def _now_ms(gate: GateDriver) -> int:
    seconds, micros = gate.client.time()  # type: ignore[misc]
    return int(seconds) * 1000 + int(micros) // 1000


def _set_last_seen(gate: GateDriver, at_ms: int) -> None:
    written: Any = gate.client.hget(gate.keys.account, "w")
    _, _, rest = written.partition("|")
    gate.client.hset(gate.keys.account, "w", f"{at_ms}|{rest}")


@pytest.mark.parametrize(
    ("last", "server", "caller", "now", "sure"),
    [
        (0, 1_000_000, 1_000_000, 1_000_000, 1_000_000),
        (0, 1_000_000, 940_000, 1_000_000, 1_000_000),
        (0, 1_000_000, 939_999, 1_000_000, 999_999),
        (0, 1_000_000, 2_000_000, 1_000_000, 1_000_000),
        (1_500_000, 1_000_000, 1_000_000, 1_500_000, 1_500_000),
        (999_999, 1_000_000, 100_000, 1_000_000, 999_999),
    ],
)
def test_the_twins_moment_is_never_before_what_was_seen_nor_a_minute_ahead_of_the_caller(
    last: int, server: int, caller: int, now: int, sure: int
) -> None:
    assert rules.moment(last, server_ms=server, caller_ms=caller) == rules.Moment(now_ms=now, sure_ms=sure)
