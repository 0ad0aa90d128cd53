"""When days and months begin, whatever a zone's clocks do: every instant is in one window, and in one only."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.errors import InvalidInputError
from credits.members.rules import checked_zone, day_starts, month_starts

HOUR_MS = 3_600_000
ODD_ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "America/Havana",
    "America/St_Johns",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Cairo",
)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def shown(starts: tuple[int, ...]) -> list[str]:
    return [datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M") for at in starts]


@pytest.mark.parametrize(
    ("zone", "at", "expected"),
    [
        ("UTC", "2026-07-01 00:00", ["2026-07-01 00:00", "2026-07-02 00:00"]),
        ("Asia/Kathmandu", "2026-07-01 18:14", ["2026-06-30 18:15", "2026-07-01 18:15"]),
        ("Europe/Berlin", "2026-03-29 12:00", ["2026-03-28 23:00", "2026-03-29 22:00"]),
        ("Europe/Berlin", "2026-10-25 12:00", ["2026-10-24 22:00", "2026-10-25 23:00"]),
        # Its clocks skip midnight: the day begins at one.
        ("America/Sao_Paulo", "2018-11-04 12:00", ["2018-11-04 03:00", "2018-11-05 02:00"]),
        # Midnight comes twice: the day begins the first time.
        ("America/Havana", "2026-11-01 05:30", ["2026-11-01 04:00", "2026-11-02 05:00"]),
        # A minute after midnight the clocks go back to 23:01: it is the new day all the same.
        ("America/St_Johns", "2009-11-01 02:45", ["2009-11-01 02:30", "2009-11-02 03:30"]),
        # Samoa had no 30 December 2011.
        ("Pacific/Apia", "2011-12-30 09:59", ["2011-12-29 10:00", "2011-12-30 10:00"]),
    ],
)
def test_a_day_begins_at_the_zones_first_midnight_of_the_date(zone: str, at: str, expected: list[str]) -> None:
    assert shown(day_starts(zone, ms(at), ahead=1)) == expected


def test_months_have_their_own_lengths_and_offsets() -> None:
    starts = month_starts("Europe/Berlin", ms("2027-12-31 23:30"), ahead=3)

    assert shown(starts) == ["2027-12-31 23:00", "2028-01-31 23:00", "2028-02-29 23:00", "2028-03-31 22:00"]


@given(
    zone=st.sampled_from(ODD_ZONES),
    at_ms=st.integers(ms("2005-01-01"), ms("2040-01-01")),
    later_ms=st.integers(0, 40 * 24 * HOUR_MS),
)
def test_windows_follow_each_other_and_any_instant_of_one_names_the_same(zone: str, at_ms: int, later_ms: int) -> None:
    for starts_of in (day_starts, month_starts):
        starts = starts_of(zone, at_ms, ahead=3)
        later = starts_of(zone, at_ms + later_ms, ahead=1)

        assert starts[0] <= at_ms < starts[1] < starts[2] < starts[3]
        assert starts_of(zone, starts[0], ahead=3) == starts
        assert starts_of(zone, starts[1] - 1, ahead=3) == starts
        assert later[0] == starts[0] or later[0] >= starts[1]


@given(zone=st.sampled_from(ODD_ZONES), at_ms=st.integers(ms("2005-01-01"), ms("2040-01-01")))
def test_a_month_begins_with_one_of_its_days(zone: str, at_ms: int) -> None:
    [month, _] = month_starts(zone, at_ms, ahead=1)

    assert month <= day_starts(zone, at_ms, ahead=1)[0]
    assert day_starts(zone, month, ahead=1)[0] == month
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=month)).astimezone(ZoneInfo(zone))
    assert local.day == 1


@pytest.mark.parametrize("name", ["", "Berlin", "Mars/Olympus", "../etc/passwd", "right/UTC", "x" * 65, None, 7])
def test_a_zone_that_is_none_is_refused_by_name(name: object) -> None:
    with pytest.raises(InvalidInputError, match="time_zone"):
        checked_zone(name)
