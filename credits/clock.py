"""Time as whole milliseconds since 1970-01-01 UTC: one unit in every table, script and message."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from credits.errors import InvalidInputError
from credits.errors.tree import shown

MAX_INSTANT_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999: the last one that ISO 8601 can show."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Clock = Callable[[], int]
"""Answers the present in milliseconds since the epoch. Services take one as an argument."""


def system_clock_ms() -> int:
    """The machine's wall clock."""
    return time.time_ns() // 1_000_000


def iso(at_ms: int | None) -> str | None:
    """`at_ms` in ISO 8601 with milliseconds and Z, as every JSON answer shows it."""
    if at_ms is None:
        return None
    at_s, ms = divmod(at_ms, 1000)
    return f"{_iso_second(at_s)}.{ms:03d}Z"


# Answers of one moment mostly have the same deadline, to the second.
@lru_cache(maxsize=256)
def _iso_second(at_s: int) -> str:
    return (_EPOCH + timedelta(seconds=at_s)).isoformat()[:19]


def from_iso(text: str) -> int:
    """Read an ISO 8601 instant; one without an offset is taken as UTC. Raises ValueError for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    # In whole numbers throughout: a float loses the millisecond of an instant some centuries away.
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def checked_instant_ms(value: object, field: str) -> int:
    """Return `value` if it is an instant of the years 1970 to 9999 in milliseconds; raise InvalidInputError if not."""
    if type(value) is not int or not 0 <= value <= MAX_INSTANT_MS:
        raise InvalidInputError(field, f"must be milliseconds since 1970, up to {MAX_INSTANT_MS}, got {shown(value)}")
    return value
