"""When drips are due: by the calendar of the period's own anchor, on any wall clock."""

import itertools
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.clock import from_iso, iso
from credits.config.catalogue import Every
from credits.plans.calendar import day_of, period_end_ms, segments

DAY_MS = 86_400_000
BERLIN, NEW_YORK, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")


def starts(start: str, end: str, every: Every, zone: str = "UTC") -> list[str]:
    found = segments(from_iso(start), from_iso(end), every, ZoneInfo(zone))
    return [(iso(one.start_ms) or "").removesuffix(":00.000Z") for one in found]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-01-31T12:00Z", "2026-05-31T12:00Z", ["01-31", "02-28", "03-31", "04-30"]),
        ("2028-01-31T12:00Z", "2028-04-30T12:00Z", ["01-31", "02-29", "03-31"]),
        ("2028-02-29T12:00Z", "2028-05-29T12:00Z", ["02-29", "03-29", "04-29"]),
        ("2026-01-15T12:00Z", "2026-02-15T12:00Z", ["01-15"]),
        # The periods of a subscription that began on a 31st or a 30th: a month each, and not a month and a day.
        ("2026-11-30T09:00Z", "2026-12-31T09:00Z", ["11-30"]),
        ("2026-02-28T09:00Z", "2026-03-31T09:00Z", ["02-28"]),
        ("2028-02-29T09:00Z", "2028-03-30T09:00Z", ["02-29"]),
        ("2026-02-28T09:00Z", "2026-05-31T09:00Z", ["02-28", "03-31", "04-30"]),
    ],
)
def test_a_monthly_drip_keeps_its_day_or_takes_the_months_last(start: str, end: str, expected: list[str]) -> None:
    assert [at[5:10] for at in starts(start, end, Every.MONTH)] == expected


def test_a_yearly_plan_drips_twelve_times_and_the_segments_meet() -> None:
    start_ms = from_iso("2026-08-31T09:30Z")
    end_ms = period_end_ms(start_ms, "1 year")

    found = list(segments(start_ms, end_ms, Every.MONTH, UTC))

    assert len(found) == 12
    assert [one.end_ms for one in found] == [*(one.start_ms for one in found[1:]), end_ms]


def test_a_daily_drip_keeps_its_hour_when_the_clocks_change() -> None:
    """Noon in Berlin is 11:00 UTC in winter and 10:00 in summer; the day of the change has 23 hours."""
    found = starts("2026-03-28T11:00Z", "2026-03-31T10:00Z", Every.DAY, "Europe/Berlin")

    assert found == ["2026-03-28T11:00", "2026-03-29T10:00", "2026-03-30T10:00"]


def test_an_hour_that_the_clocks_leave_out_comes_as_if_they_had_not_changed() -> None:
    found = starts("2026-03-28T01:30Z", "2026-03-31T00:30Z", Every.DAY, "Europe/Berlin")

    assert found == ["2026-03-28T01:30", "2026-03-29T01:30", "2026-03-30T00:30"]


def test_an_hour_that_comes_twice_counts_the_first_time() -> None:
    found = starts("2026-10-24T00:30Z", "2026-10-27T01:30Z", Every.DAY, "Europe/Berlin")

    assert found == ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"]


@pytest.mark.parametrize(("every", "drips"), [(Every.MONTH, 1), (Every.WEEK, 5), (Every.DAY, 31)])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_a_month_in_which_the_clocks_are_put_forward_hands_out_no_second_time(
    every: Every, drips: int, zone: str
) -> None:
    """A provider's month is one of UTC: it ends an hour after the drips' own."""
    start, end = ("2026-09-28", "2026-10-28") if zone.startswith("Australia") else ("2026-03-02", "2026-04-02")

    found = starts(f"{start}T00:00Z", f"{end}T00:00Z", every, zone)

    assert len(found) == drips - (every is Every.DAY and zone.startswith("Australia"))


def test_a_day_has_the_date_of_its_own_wall_clock() -> None:
    assert day_of(from_iso("2026-01-01T03:00Z"), NEW_YORK) == "2025-12-31"


@given(
    st.integers(0, from_iso("2100-01-01")),
    st.integers(1, 400),
    st.sampled_from([Every.DAY, Every.WEEK, Every.MONTH]),
    st.sampled_from([UTC, BERLIN, NEW_YORK, LORD_HOWE]),
)
def test_segments_cover_a_period_without_gap_or_overlap_and_have_dates_of_their_own(
    start_ms: int, days: int, every: Every, zone: ZoneInfo
) -> None:
    end_ms = start_ms + days * DAY_MS

    found = list(segments(start_ms, end_ms, every, zone))

    assert found[0].start_ms == start_ms
    assert found[-1].end_ms == end_ms
    assert all(one.start_ms < (one.end_ms or 0) for one in found)
    assert all(one.end_ms == after.start_ms for one, after in itertools.pairwise(found))
    assert len({day_of(one.start_ms, zone) for one in found}) == len(found)
