"""Drips that went out before a pause, a change or an end was known, or were counted late: they end as if in time."""

from typing import Any

import pytest

from credits.clock import from_iso
from credits.config.catalogue import Every, Rollover
from credits.config.expiry import NEVER, Expiry, ExpiryKind
from credits.config.policies import ChangePolicy, OnCancel, OnChange, OnPastDue, OnPause
from tests.support.ledger import assert_ledger_is_sound
from tests.support.pipeline import Pipeline
from tests.support.plan_lives import TYPE, Life, images, line, plan

JAN, FEB, MAR = "2026-01-20T00:00Z", "2026-02-20T00:00Z", "2026-03-20T00:00Z"
YEAR = (JAN, "2027-01-20T00:00Z")


@pytest.fixture(autouse=True)
def _sound(pipeline: Pipeline) -> Any:
    yield
    assert_ledger_is_sound(pipeline.runtime.engine)


@pytest.mark.parametrize(
    ("status", "policy", "told_late", "active_again", "ended"),
    [
        # What falls into a pause is left out for good.
        ("paused", {"on_pause": OnPause.STOP_DRIPS}, 100, 100, 100),
        ("paused", {"on_pause": OnPause.KEEP}, 200, 200, 200),
        ("paused", {"on_pause": OnPause.END}, 0, 0, 0),
        # What is unpaid would have been made up for once it is paid: only if it never is, it was too much.
        ("past_due", {"on_past_due": OnPastDue.STOP_DRIPS}, 200, 200, 100),
        ("past_due", {"on_past_due": OnPastDue.KEEP}, 200, 200, 200),
    ],
)
@pytest.mark.parametrize("end", ["active", "canceled"])
def test_a_drip_that_went_out_before_its_pause_or_debt_was_known_follows_the_policy_all_the_same(
    pipeline: Pipeline, status: str, policy: dict[str, Any], told_late: int, active_again: int, ended: int, end: str
) -> None:
    life = Life.of(pipeline, plan("pro", images(100, every=Every.MONTH, expires=NEVER), **policy))
    life.invoice("y", JAN, line("pro", 1200, *YEAR))
    life.advance("2026-02-25T00:00Z")
    before = life.available()

    life.seen("pro", "2026-02-10T00:00Z", *YEAR, status=status)
    known = life.available()
    life.seen("pro", "2026-02-26T00:00Z", *YEAR, kind="updated" if end == "active" else "deleted", status=end)

    assert (before, known) == (200, told_late)
    assert life.available() == (active_again if end == "active" else ended)


@pytest.mark.parametrize("is_pause_late", [False, True])
def test_a_drip_after_a_pause_comes_whenever_its_end_is_told(pipeline: Pipeline, is_pause_late: bool) -> None:
    """Paused from the 10th to the 15th; the drip of the 20th is left out, or taken back, until the latter is known."""
    life = Life.of(pipeline, plan("pro", images(100, every=Every.MONTH, expires=NEVER)))
    life.invoice("y", JAN, line("pro", 1200, *YEAR))
    if is_pause_late:
        life.advance("2026-02-25T00:00Z")
    life.seen("pro", "2026-02-10T00:00Z", *YEAR, status="paused")
    life.advance("2026-02-25T00:00Z")
    before = life.available()

    for _ in range(2):
        life.seen("pro", "2026-02-15T00:00Z", *YEAR, status="active")
        life.advance("2026-02-26T00:00Z")

    assert (before, life.available()) == (100, 200)


def test_a_drip_that_was_spent_before_it_was_known_to_be_unpaid_is_not_owed(pipeline: Pipeline) -> None:
    life = Life.of(pipeline, plan("pro", images(100, every=Every.MONTH, expires=NEVER)))
    life.invoice("y", JAN, line("pro", 1200, *YEAR))
    life.advance("2026-02-25T00:00Z")
    life.spend(150)

    life.seen("pro", "2026-02-10T00:00Z", *YEAR, status="past_due")
    life.seen("pro", "2026-02-26T00:00Z", *YEAR, kind="deleted", status="canceled")

    assert life.available() == 0
    assert life.pipeline.credits.balances("user_1")[TYPE].debt == 0


def test_drips_of_a_plan_that_was_left_meanwhile_go_again_once_the_change_is_known(pipeline: Pipeline) -> None:
    sold = [plan(key, images(amount, every=Every.MONTH, expires=NEVER)) for key, amount in (("pro", 100), ("max", 500))]
    life = Life.of(pipeline, *sold)
    life.seen("pro", JAN, *YEAR, kind="created")
    life.invoice("y", JAN, line("pro", 1200, *YEAR))
    life.advance("2026-04-25T00:00Z")
    before = life.available()

    sides = [
        line(key, sign * price, FEB, YEAR[1], proration=True)
        for key, sign, price in (("pro", -1, 1100), ("max", 1, 5500))
    ]
    life.invoice("up", FEB, *sides)

    # January is pro's; February, March and April are max's, and none of pro's.
    assert (before, life.available()) == (400, 100 + 3 * 500)


def test_a_drip_that_is_counted_after_the_end_was_known_goes_with_it(pipeline: Pipeline) -> None:
    """Beat had stopped for some days; `on_cancel = "end"` leaves nothing unspent."""
    life = Life.of(pipeline, plan("pro", images(100, every=Every.WEEK, expires=NEVER), on_cancel=OnCancel.END))
    life.pipeline.credits.add("user_1", TYPE, 70, key="bought")
    life.invoice("one", JAN, line("pro", 2000, JAN, FEB))
    life.clock.set_ms(life.clock() + 10 * 86_400_000)

    life.seen("pro", "2026-01-30T00:00Z", JAN, FEB, kind="deleted", status="canceled")

    assert life.available() == 70


def test_money_given_back_takes_what_it_paid_for_before_what_an_earlier_period_left(pipeline: Pipeline) -> None:
    grace = Expiry(kind=ExpiryKind.PERIOD_END, grace_days=20)
    life = Life.of(pipeline, plan("pro", images(1000, expires=grace)), plan("max", images(5000, expires=grace)))
    life.seen("max", JAN, JAN, FEB, kind="created")
    life.invoice("one", JAN, line("max", 4000, JAN, FEB))
    life.seen("max", FEB, FEB, MAR)
    life.invoice("two", FEB, line("max", 4000, FEB, MAR))

    half = "2026-03-06T00:00Z"
    life.invoice(
        "down", half, *(line(key, minor, half, MAR, proration=True) for key, minor in (("max", -2000), ("pro", 1000)))
    )

    left = {row["expires_at_ms"]: row["remaining"] for row in life.pipeline.credits.grants("user_1")}
    assert [left[at_ms] for at_ms in sorted(left)] == [5000, 3000]


def test_a_reset_at_the_renewal_carries_nothing_on_though_it_is_told_after_the_old_credits_lapsed(
    pipeline: Pipeline,
) -> None:
    reset = ChangePolicy(up=OnChange.RESET, down=OnChange.RESET)
    sold = [
        plan(key, images(amount, rollover=Rollover(cap_credits=500)), on_change=reset)
        for key, amount in (("pro", 1000), ("max", 5000))
    ]
    life = Life.of(pipeline, *sold)
    life.invoice("one", JAN, line("pro", 2000, JAN, FEB))
    life.advance("2026-02-20T06:00Z")

    life.invoice("two", FEB, line("max", 4000, FEB, MAR))
    life.advance("2026-02-21T00:00Z")

    assert life.available() == 5000


def _resetting(pipeline: Pipeline) -> Life:
    reset = ChangePolicy(up=OnChange.RESET, down=OnChange.RESET)
    return Life.of(pipeline, *(plan(key, images(n), on_change=reset) for key, n in (("pro", 1000), ("max", 5000))))


def _upgrade(life: Life) -> None:
    half = "2026-02-04T12:00Z"
    life.invoice(
        "up", half, *(line(key, minor, half, FEB, proration=True) for key, minor in (("pro", -1000), ("max", 2000)))
    )


def test_a_reset_that_is_told_before_the_payment_of_what_it_ends_takes_nothing_of_the_new_plan(
    pipeline: Pipeline,
) -> None:
    life = _resetting(pipeline)
    life.seen("pro", JAN, JAN, FEB, kind="created")

    _upgrade(life)
    before = life.available()
    life.invoice("one", JAN, line("pro", 2000, JAN, FEB))

    assert (before, life.available()) == (2500, 2500)


def test_of_a_time_that_is_older_than_the_database_nothing_is_taken(pipeline: Pipeline) -> None:
    life = _resetting(pipeline)
    life.seen("pro", "2026-02-01T00:00Z", JAN, FEB)

    _upgrade(life)

    assert life.pipeline.credits.balances("user_1")[TYPE].balance == 2500


def test_a_drip_of_the_instant_of_a_reset_goes_with_it(pipeline: Pipeline) -> None:
    reset = ChangePolicy(up=OnChange.RESET, down=OnChange.RESET)
    sold = [
        plan(key, images(amount, every=Every.WEEK, expires=NEVER), on_change=reset)
        for key, amount in (("pro", 100), ("max", 500))
    ]
    life = Life.of(pipeline, *sold)
    life.seen("pro", JAN, JAN, FEB, kind="created")
    life.invoice("one", JAN, line("pro", 2000, JAN, FEB))

    week = "2026-01-27T00:00Z"
    sides = (("pro", -1550), ("max", 3100))
    life.invoice("up", week, *(line(key, minor, week, FEB, proration=True) for key, minor in sides))

    assert life.available() == 500


@pytest.mark.parametrize(("spent", "left"), [(0, 1000), (4900, 1000 - 1900)])
def test_a_downgrade_that_is_told_after_the_period_owes_only_what_was_spent(
    pipeline: Pipeline, spent: int, left: int
) -> None:
    """Half of the month goes back: 2000 of max's 5000. What lapsed unused of them is gone already."""
    life = Life.of(pipeline, plan("pro", images(1000)), plan("max", images(5000)))
    life.seen("max", JAN, JAN, FEB, kind="created")
    life.invoice("one", JAN, line("max", 4000, JAN, FEB))
    if spent:
        life.spend(spent)
    life.advance("2026-02-25T00:00Z")

    half = "2026-02-04T12:00Z"
    sides = (("max", -2000), ("pro", 1000))
    life.invoice("down", half, *(line(key, minor, half, FEB, proration=True) for key, minor in sides))
    life.invoice("two", FEB, line("pro", 2000, FEB, MAR))

    assert life.pipeline.credits.balances("user_1")[TYPE].balance == left


@pytest.mark.parametrize("is_beat_late", [False, True])
def test_a_yearly_plan_that_is_changed_within_a_month_drips_the_new_plans_months_from_there(
    pipeline: Pipeline, is_beat_late: bool
) -> None:
    """Over a leap day: half of the month from 20 February to 20 March lies behind 5 March, 12:00."""
    year = ("2028-01-20T00:00Z", "2029-01-20T00:00Z")
    sold = [plan(key, images(amount, every=Every.MONTH, expires=NEVER)) for key, amount in (("pro", 100), ("max", 500))]
    life = Life.of(pipeline, *sold)
    life.seen("pro", year[0], *year, kind="created")
    life.invoice("y", year[0], line("pro", 1200, *year))
    if is_beat_late:
        life.clock.set_ms(from_iso("2028-03-05T12:00Z"))
    else:
        life.advance("2028-03-05T12:00Z")

    at = "2028-03-05T12:00Z"
    sides = (("pro", -1050), ("max", 5250))
    life.invoice("up", at, *(line(key, minor, at, year[1], proration=True) for key, minor in sides))
    changed = life.available()
    life.advance("2028-05-25T00:00Z")

    # Two months of pro, half a month's difference; then March, April and May are max's.
    assert (changed, life.available()) == (2 * 100 + 200, 400 + 3 * 500)
