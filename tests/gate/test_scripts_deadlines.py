"""
A deadline is kept, whichever clock is wrong: never early by a caller's, never an hour late by the server's.
"""

from collections.abc import Callable

import pytest
import redis

from credits.reservations.scripts import library
from credits.reservations.torture.world import SERVER_CLOCK_KEY, with_simulated_time
from tests.support.clock import VirtualClock
from tests.support.gate import TTL_MS, GateDriver, Words

# The simulated time is a key of its own, which a cluster's node would have to have.
pytestmark = pytest.mark.one_server

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
HELD = (6, 4, 0, 0, 0)
FREE = (10, 0, 0, 0, 0)


class Clocks:
    """True time, the server's clock, and a caller whose clock may be wrong."""

    def __init__(self, client: redis.Redis) -> None:
        self.now = VirtualClock()
        self.client = client
        self.caller = VirtualClock(self.now())
        self.gate = GateDriver(client=client, clock=self.caller, code=with_simulated_time(library()), is_virtual=False)
        self.server_off_ms = 0
        self.tell()
        self.gate.arm()
        self.gate.load(10)

    def tell(self) -> None:
        seconds, ms = divmod(self.now() + self.server_off_ms, 1000)
        self.client.hset(SERVER_CLOCK_KEY, mapping={"s": seconds, "us": ms * 1000})

    def server(self, off_ms: int) -> None:
        """From now on the server's clock is wrong by so much."""
        self.server_off_ms = off_ms
        self.tell()

    def wait(self, ms: int) -> None:
        self.now.advance_ms(ms)
        self.tell()

    def by(self, off_ms: int, call: Callable[..., Words], *args: int, **more: int) -> Words:
        """A call by somebody whose clock is wrong by so much."""
        self.caller.now_ms = self.now() + off_ms
        return call(*args, **more)

    def figures(self, off_ms: int = 0) -> tuple[int, ...]:
        self.caller.now_ms = self.now() + off_ms
        return self.gate.figures()


@pytest.fixture
def clocks(client: redis.Redis) -> Clocks:
    return Clocks(client)


# ── The server ahead ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ahead_ms", [5 * MINUTE_MS, HOUR_MS, DAY_MS])
def test_a_hold_made_while_the_servers_clock_is_ahead_lasts_as_long_as_any(ahead_ms: int, clocks: Clocks) -> None:
    clocks.server(ahead_ms)
    clocks.by(0, clocks.gate.reserve, 4)

    clocks.wait(TTL_MS - 1)
    assert clocks.figures() == HELD

    clocks.wait(1)
    assert clocks.figures() == FREE


@pytest.mark.parametrize("ahead_ms", [5 * MINUTE_MS, HOUR_MS, DAY_MS])
@pytest.mark.parametrize("ttl_ms", [TTL_MS, 3 * HOUR_MS])
def test_a_hold_made_before_the_servers_clock_is_set_back_ends_within_a_minute_of_its_time(
    ahead_ms: int, ttl_ms: int, clocks: Clocks
) -> None:
    clocks.server(ahead_ms)
    clocks.by(0, clocks.gate.reserve, 4, ttl_ms=ttl_ms)
    clocks.server(0)

    clocks.figures()
    clocks.wait(ttl_ms - 1)
    assert clocks.figures() == HELD

    clocks.wait(1 + MINUTE_MS)
    assert clocks.figures() == FREE


def test_a_hold_made_while_the_servers_clock_was_ahead_and_read_by_another_caller_meanwhile_ends_in_time(
    clocks: Clocks,
) -> None:
    clocks.server(HOUR_MS)
    clocks.by(0, clocks.gate.reserve, 4)

    clocks.wait(TTL_MS - 1_000)
    assert clocks.figures(1_500) == HELD

    clocks.wait(1_000)
    assert clocks.figures(-1_500) == HELD
    assert clocks.figures(1_500) == FREE


def test_an_extension_by_a_server_that_is_ahead_is_no_hour_long(clocks: Clocks) -> None:
    clocks.by(0, clocks.gate.reserve, 4)
    clocks.server(HOUR_MS)
    clocks.wait(1_000)
    clocks.by(0, clocks.gate.extend, ttl_ms=2 * TTL_MS)
    clocks.server(0)

    clocks.wait(2 * TTL_MS - 1)
    assert clocks.figures() == HELD

    clocks.wait(1 + MINUTE_MS)
    assert clocks.figures() == FREE


def test_a_server_that_goes_ahead_after_the_hold_was_made_ends_it_at_most_a_minute_early(clocks: Clocks) -> None:
    clocks.by(0, clocks.gate.reserve, 4, ttl_ms=2 * TTL_MS)
    clocks.server(HOUR_MS)

    clocks.wait(2 * TTL_MS - MINUTE_MS - 1)
    assert clocks.figures() == HELD

    clocks.wait(MINUTE_MS + 1)
    assert clocks.figures() == FREE


# ── The caller behind ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("behind_ms", [5 * MINUTE_MS, HOUR_MS, DAY_MS])
@pytest.mark.parametrize("ttl_ms", [TTL_MS, 3 * HOUR_MS])
def test_a_hold_of_a_caller_whose_clock_is_behind_ends_not_a_moment_early_for_others(
    behind_ms: int, ttl_ms: int, clocks: Clocks
) -> None:
    clocks.by(-behind_ms, clocks.gate.reserve, 4, ttl_ms=ttl_ms)

    assert clocks.figures() == HELD
    clocks.wait(ttl_ms - 1)
    assert clocks.figures() == HELD

    clocks.wait(1)
    assert clocks.figures() == FREE


def test_a_hold_of_a_caller_behind_is_still_its_own_after_an_extension(clocks: Clocks) -> None:
    clocks.by(-HOUR_MS, clocks.gate.reserve, 4)
    clocks.wait(30_000)
    clocks.by(-HOUR_MS, clocks.gate.extend, ttl_ms=TTL_MS)

    clocks.wait(TTL_MS - 1)
    assert clocks.figures() == HELD

    clocks.wait(1)
    assert clocks.figures() == FREE


def test_a_caller_behind_never_brings_an_extension_nearer(clocks: Clocks) -> None:
    clocks.by(0, clocks.gate.reserve, 4, ttl_ms=2 * TTL_MS)
    clocks.by(-HOUR_MS, clocks.gate.extend, ttl_ms=TTL_MS)

    clocks.wait(2 * TTL_MS - 1)

    assert clocks.figures() == HELD


def test_a_hold_of_a_caller_behind_survives_a_reload_of_the_account(clocks: Clocks) -> None:
    clocks.by(-HOUR_MS, clocks.gate.reserve, 4)
    clocks.wait(30_000)
    clocks.gate.arm()
    clocks.caller.now_ms = clocks.now()
    assert clocks.gate.load(10) == ("LOADED", "1")

    clocks.wait(29_999)
    assert clocks.figures() == HELD

    clocks.wait(1)
    assert clocks.figures() == FREE


def test_a_commit_finds_the_hold_that_one_clock_took_for_overdue(clocks: Clocks) -> None:
    clocks.by(-HOUR_MS, clocks.gate.reserve, 4)
    clocks.figures()
    clocks.wait(TTL_MS - 1)

    assert clocks.by(0, clocks.gate.commit)[0] == "COMMITTED"
    assert clocks.gate.seen().figures["image_generation"] == (6, 0, 4, 0, 0)


# ── The caller ahead, the server a moment behind ─────────────────────────────────────────────────────────


@pytest.mark.parametrize("ahead_ms", [HOUR_MS, DAY_MS])
def test_a_caller_ahead_of_time_makes_holds_that_last_as_long_as_any(ahead_ms: int, clocks: Clocks) -> None:
    clocks.by(ahead_ms, clocks.gate.reserve, 4)

    clocks.wait(TTL_MS - 1)
    assert clocks.figures(ahead_ms) == HELD

    clocks.wait(1)
    assert clocks.figures(ahead_ms) == FREE
