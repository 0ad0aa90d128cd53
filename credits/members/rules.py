"""
When a day and a month begin in a time zone. Pure functions of the calendar.

A window ends where the next one begins, so that every instant lies in exactly one: no hour is counted twice or by
nobody, whatever the clocks of that zone do.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from credits.errors import InvalidInputError
from credits.ids import checked_text

MAX_ZONE_LENGTH: Final = 64
UTC_ZONE: Final = "UTC"

_LAST_YEAR: Final = 9990
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def checked_zone(value: object, field: str = "time_zone") -> str:
    """`value` if it names a time zone of the IANA database, such as `Europe/Berlin`. Raises InvalidInputError."""
    name = checked_text(value, field, max_length=MAX_ZONE_LENGTH)
    if name not in _zones():
        raise InvalidInputError(field, f"must be a zone of the IANA database, such as Europe/Berlin, got {name!r}")
    return name


def day_starts(zone: str, at_ms: int, *, ahead: int) -> tuple[int, ...]:
    """When the day that `at_ms` is in began in `zone`, and when the next `ahead` days begin, in ms."""
    return _window_starts(_days(zone, at_ms), at_ms, ahead)


def month_starts(zone: str, at_ms: int, *, ahead: int) -> tuple[int, ...]:
    """When the month that `at_ms` is in began in `zone`, and when the next `ahead` months begin, in ms."""
    return _window_starts(_months(zone, at_ms), at_ms, ahead)


def _window_starts(starts: Iterator[int], at_ms: int, ahead: int) -> tuple[int, ...]:
    current = next(starts)
    found: list[int] = []
    for start in starts:
        if start <= at_ms:
            current = start
        # A date that a zone skipped whole (Samoa, 30 December 2011) begins where the next one does: it has no window.
        elif not found or start > found[-1]:
            found.append(start)
        if len(found) == ahead:
            break
    return (current, *found)


def _days(zone: str, at_ms: int) -> Iterator[int]:
    # From a day before: where clocks were set back over midnight, the local date goes back too.
    day = _local_date(zone, at_ms) - timedelta(days=1)
    while True:
        yield _begins_ms(zone, day)
        day += timedelta(days=1)


def _months(zone: str, at_ms: int) -> Iterator[int]:
    today = _local_date(zone, at_ms)
    number = 12 * today.year + today.month - 2
    while True:
        year, month0 = divmod(number, 12)
        yield _begins_ms(zone, date(year, month0 + 1, 1))
        number += 1


def _local_date(zone: str, at_ms: int) -> date:
    instant = _EPOCH + timedelta(milliseconds=at_ms)
    return min(instant, datetime(_LAST_YEAR, 1, 1, tzinfo=UTC)).astimezone(ZoneInfo(zone)).date()


def _begins_ms(zone: str, day: date) -> int:
    # Where a zone skips midnight, this is the instant at which it does so; where midnight comes twice, the first.
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone), fold=0)
    return (midnight.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
