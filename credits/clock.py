"""Time as whole milliseconds since 1970-01-01 UTC: one unit in every table, script and message."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], int]
"""Answers the present in milliseconds since the epoch. Services take one as an argument."""


def system_clock_ms() -> int:
    """The machine's wall clock."""
    return time.time_ns() // 1_000_000


def iso(at_ms: int | None) -> str | None:
    """`at_ms` in ISO 8601 with milliseconds and Z, as every JSON answer shows it."""
    if at_ms is None:
        return None
    moment = datetime.fromtimestamp(at_ms / 1000, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(text: str) -> int:
    """Read an ISO 8601 instant; one without an offset is taken as UTC. Raises ValueError for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
