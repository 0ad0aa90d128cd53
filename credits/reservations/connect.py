"""The gate of an installation: made from its settings, once per process."""

from sqlalchemy import Engine

from credits.clock import Clock, system_clock_ms
from credits.config.settings import Settings
from credits.redis_client import open_redis
from credits.reservations.gate import Gate
from credits.reservations.steps import GateRuntime

_MAX_CONNECTIONS = 1024


def open_gate(settings: Settings, engine: Engine, *, clock: Clock = system_clock_ms) -> GateRuntime:
    """The gate over `settings.redis_url`. Connects on first use; a Redis that is away is found out call by call."""
    return GateRuntime(
        gate=Gate(open_redis(settings.redis_url, max_connections=_MAX_CONNECTIONS)),
        engine=engine,
        clock=clock,
        receipt_ms=settings.receipt_s * 1000,
    )
