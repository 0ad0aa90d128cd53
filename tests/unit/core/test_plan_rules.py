"""How long a billing period is, and what a plan earns in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.clock import from_iso, iso
from credits.config.catalogue import Catalogue
from credits.config.expiry import Expiry, ExpiryKind
from credits.plans.calendar import interval_by_renewal, interval_of, period_end_ms
from credits.plans.rules import first_handouts, needs_period_end, own_period

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("start", "interval", "end"),
    [
        ("2026-01-15T12:00:00Z", "1 month", "2026-02-15T12:00:00"),
        ("2026-01-31T12:00:00Z", "1 month", "2026-02-28T12:00:00"),
        ("2028-01-31T12:00:00Z", "1 month", "2028-02-29T12:00:00"),
        ("2026-12-31T23:59:59Z", "1 month", "2027-01-31T23:59:59"),
        ("2026-11-30T00:00:00Z", "3 month", "2027-02-28T00:00:00"),
        ("2026-08-31T00:00:00Z", "6 month", "2027-02-28T00:00:00"),
        ("2028-02-29T08:00:00Z", "1 year", "2029-02-28T08:00:00"),
        ("2028-02-29T08:00:00Z", "2 year", "2030-02-28T08:00:00"),
        ("2026-03-28T12:00:00Z", "1 week", "2026-04-04T12:00:00"),
        ("2026-03-29T00:30:00Z", "1 day", "2026-03-30T00:30:00"),
    ],
)
def test_a_period_ends_on_the_same_day_of_a_later_month_or_on_its_last(start: str, interval: str, end: str) -> None:
    assert iso(period_end_ms(from_iso(start), interval)) == f"{end}.000Z"


def test_an_interval_that_is_not_sold_is_refused() -> None:
    with pytest.raises(ValueError, match="1 fortnight"):
        period_end_ms(0, "1 fortnight")


@given(
    st.integers(0, from_iso("2200-01-01")),
    st.sampled_from(["1 day", "1 week", "1 month", "3 month", "6 month", "1 year", "2 year"]),
)
def test_the_length_of_any_period_tells_its_interval(start_ms: int, interval: str) -> None:
    assert interval_of((start_ms, period_end_ms(start_ms, interval))) == interval


@pytest.mark.parametrize("days", [0, 2, 10, 20, 45, 75, 100, 200, 400])
def test_a_length_that_nobody_sells_has_no_interval(days: int) -> None:
    assert interval_of((0, days * DAY_MS)) is None


@pytest.mark.parametrize(
    ("seen_after_days", "interval"), [(0, "1 month"), (11, "1 month"), (-1, "1 month"), (28, None)]
)
def test_a_renewal_tells_the_interval_only_while_it_must_be_the_next_one(
    seen_after_days: int, interval: str | None
) -> None:
    start_ms = from_iso("2026-01-15T12:00:00Z")
    renews_at_ms = period_end_ms(start_ms, "1 month")

    assert interval_by_renewal(start_ms, renews_at_ms, seen_at_ms=start_ms + seen_after_days * DAY_MS) == interval
    assert interval_by_renewal(start_ms, None, seen_at_ms=start_ms) is None


@given(st.integers(0, 1000), st.integers(2, 12))
def test_a_renewal_several_periods_away_is_never_taken_for_the_next(start_day: int, periods: int) -> None:
    start_ms = start_day * DAY_MS
    last_began_ms = period_end_ms(start_ms, f"{periods - 1} month")
    renews_at_ms = period_end_ms(start_ms, f"{periods} month")

    assert interval_by_renewal(start_ms, renews_at_ms, seen_at_ms=last_began_ms) is None


def test_a_plan_earns_each_credit_type_once_under_a_key_of_its_own(catalogue: Catalogue) -> None:
    period = own_period(
        catalogue.plan("pro"),
        account="user_1",
        payment_id="in_1",
        start_ms=0,
        end_ms=30 * DAY_MS,
        quantity=None,
        zone="UTC",
        actor="test",
        sent=(),
    )

    orders = [handout.order for handout in first_handouts(period)]

    assert {(order.key, order.amount, order.expires_at_ms) for order in orders} == {
        ("plan:in_1:image_generation", 1000, 30 * DAY_MS),
        ("plan:in_1:tokens", 50_000, None),
    }
    assert len({order.fingerprint for order in orders}) == 2
    assert needs_period_end(period.parts)


@pytest.mark.parametrize(
    ("expiry", "at_ms"),
    [
        (Expiry(kind=ExpiryKind.NEVER), None),
        (Expiry(kind=ExpiryKind.AFTER, after_days=2), 5 + 2 * DAY_MS),
        (Expiry(kind=ExpiryKind.PERIOD_END, grace_days=1), 100 + DAY_MS),
    ],
)
def test_credits_lapse_as_their_expiry_says(expiry: Expiry, at_ms: int | None) -> None:
    assert expiry.lapses_at_ms(granted_at_ms=5, period_end_ms=100) == at_ms
