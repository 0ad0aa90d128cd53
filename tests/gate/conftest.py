"""Fixtures of the tests of the gate's scripts."""

from collections.abc import Iterator

import pytest
import redis

from tests.support.clock import VirtualClock
from tests.support.cluster import connected
from tests.support.gate import GateDriver


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of an empty server."""
    with connected(redis_url) as client:
        client.function_flush()
        yield client


@pytest.fixture
def gate(client: redis.Redis, clock: VirtualClock) -> GateDriver:
    """A gate in its first epoch, at the time of `clock`, with no account loaded."""
    driver = GateDriver(client=client, clock=clock)
    assert driver.arm() == ("ARMED",)
    return driver
