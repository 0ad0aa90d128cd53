"""
The calendar of plans: how long a billing period is, and when drips are due within it. Pure functions.

Days, weeks and months are counted on the wall clock of a time zone from the anchor, the start of the period: a drip a
month from the 31st comes on each month's last day, and a daily one at the same hour whatever the clocks do.
"""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from credits.config.catalogue import Every

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# Providers bill by UTC, drips keep the hour of a wall clock: where the clocks were put forward in between, the last
# drip's time ends so much before the period. That is no segment of its own, which would hand out once more.
_CLOCKS_MS: Final = 2 * 3_600_000

# Billing periods as providers sell them: how long one may really last, and its name in the subscriptions table.
_INTERVALS: Final = (
    (timedelta(hours=20), timedelta(hours=28), "1 day"),
    (timedelta(days=6, hours=20), timedelta(days=7, hours=4), "1 week"),
    (timedelta(days=27, hours=20), timedelta(days=31, hours=4), "1 month"),
    (timedelta(days=88), timedelta(days=93), "3 month"),
    (timedelta(days=180), timedelta(days=185), "6 month"),
    (timedelta(days=364), timedelta(days=367), "1 year"),
    (timedelta(days=729), timedelta(days=732), "2 year"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The part of a billing period that one drip is for: from its own instant until the next, or the period's end."""

    number: int
    start_ms: int
    end_ms: int | None
    """None: the period's end is not known, and nothing needs it."""


def segments(start_ms: int, end_ms: int | None, every: Every, zone: tzinfo) -> Iterator[Segment]:
    """The segments of a period, in order. One that is handed out once a period has a single one."""
    if every is Every.PERIOD or end_ms is None:
        yield Segment(number=0, start_ms=start_ms, end_ms=end_ms)
        return
    anchor, day = instant(start_ms, zone), _anchor_day(start_ms, end_ms, zone)
    number, at_ms = 0, start_ms
    while at_ms < end_ms:
        next_ms = to_ms(after(anchor, every, number + 1, day=day))
        if end_ms - next_ms <= _CLOCKS_MS:
            next_ms = end_ms
        yield Segment(number=number, start_ms=at_ms, end_ms=next_ms)
        number, at_ms = number + 1, next_ms


def _anchor_day(start_ms: int, end_ms: int, zone: tzinfo) -> int:
    """
    The day of the month on which a period's months begin.

    A subscription of the 31st begins its period on 30 November and ends it on 31 December: that is one month, and not
    a month and a day.
    """
    start, end = instant(start_ms, zone), instant(end_ms, zone)
    is_last = start.day == calendar.monthrange(start.year, start.month)[1]
    return max(start.day, end.day) if is_last else start.day


def after(anchor: datetime, every: Every, count: int, *, day: int | None = None) -> datetime:
    """`anchor` moved on by `count` days, weeks or months on its own wall clock; `day`: as in `add_months`."""
    match every:
        case Every.DAY:
            return anchor + timedelta(days=count)
        case Every.WEEK:
            return anchor + timedelta(weeks=count)
        case Every.MONTH:
            return add_months(anchor, count, day=day)
        case Every.PERIOD:
            raise ValueError("a period has no length of its own")


def add_months(start: datetime, months: int, *, day: int | None = None) -> datetime:
    """The same day of a later month (or `day` of it), or that month's last day where it is shorter."""
    year, month0 = divmod(start.year * 12 + start.month - 1 + months, 12)
    last = calendar.monthrange(year, month0 + 1)[1]
    return start.replace(year=year, month=month0 + 1, day=min(day or start.day, last))


def instant(at_ms: int, zone: tzinfo) -> datetime:
    """`at_ms` as an aware datetime on the wall clock of `zone`."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone)


def to_ms(moment: datetime) -> int:
    """
    An aware datetime in milliseconds since 1970.

    A wall-clock time that a change of clocks leaves out is taken as if the clocks had not changed yet; of one that
    comes twice, the first.
    """
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)


def day_of(at_ms: int, zone: tzinfo) -> str:
    """The date of an instant on the wall clock of `zone`, as it stands in a drip's key."""
    return instant(at_ms, zone).date().isoformat()


def interval_of(first_period_ms: tuple[int, int]) -> str | None:
    """The billing interval that a first period shows, as `1 month`; None if it is of no length that is sold."""
    length = timedelta(milliseconds=first_period_ms[1] - first_period_ms[0])
    return next((name for shortest, longest, name in _INTERVALS if shortest <= length <= longest), None)


def interval_by_renewal(start_ms: int, renews_at_ms: int | None, *, seen_at_ms: int) -> str | None:
    """
    The billing interval between the start of a period and the next renewal; None if that cannot be known.

    A renewal that was seen long after the start may be several periods away. The second of two periods begins about in
    the middle of the span, or a little sooner where a short month comes first: the first two fifths are safe from it.
    """
    if renews_at_ms is None or abs(seen_at_ms - start_ms) * 5 >= (renews_at_ms - start_ms) * 2:
        return None
    return interval_of((start_ms, renews_at_ms))


def period_end_ms(start_ms: int, interval: str) -> int:
    """The end of a period of `interval` that starts at `start_ms`: the same day of a later month, or its last day."""
    count_text, unit = interval.split()
    count = int(count_text)
    start = instant(start_ms, UTC)
    match unit:
        case "day":
            return to_ms(start + timedelta(days=count))
        case "week":
            return to_ms(start + timedelta(weeks=count))
        case "month":
            return to_ms(add_months(start, count))
        case "year":
            return to_ms(add_months(start, 12 * count))
        case _:
            raise ValueError(f"no billing interval is called {interval!r}")
