"""Fixtures of the tests that run on real databases."""

from collections.abc import Iterator

import pytest

from credits.allocation.model import Runtime
from credits.redis_client import open_redis
from credits.reservations.gate import Gate
from credits.reservations.steps import GateRuntime
from tests.support.pipeline import Pipeline


@pytest.fixture
def gate(runtime: Runtime, redis_url: str) -> Iterator[GateRuntime]:
    """The gate on an empty Redis, at the time of the test's clock."""
    client = open_redis(redis_url)
    yield GateRuntime(gate=Gate(client), engine=runtime.engine, clock=runtime.clock, is_virtual=True)
    client.close()


@pytest.fixture
def pipeline(runtime: Runtime, gate: GateRuntime) -> Pipeline:
    """Inbox, allocation, ledger and gate of the sandbox, once per database."""
    return Pipeline(runtime=runtime, gate=gate)
