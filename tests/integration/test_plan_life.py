"""The life of a plan, over inbox, ledger, gate and sweeps: drips, changes, rollover, trials, pauses, the end."""

from itertools import permutations
from typing import Any

import pytest

from credits.clock import from_iso
from credits.config.catalogue import Every, Rollover
from credits.config.expiry import NEVER
from credits.config.policies import ChangePolicy, OnCancel, OnChange, OnPastDue, OnPause, ZeroInvoice
from credits.db import transaction
from credits.inbox.model import EventState
from credits.plans import drips, periods_store
from tests.support.ledger import assert_ledger_is_sound
from tests.support.pipeline import Pipeline
from tests.support.plan_lives import TYPE, Life, images, line, plan

JAN, FEB, MAR, APR = "2026-01-20T00:00Z", "2026-02-20T00:00Z", "2026-03-20T00:00Z", "2026-04-20T00:00Z"
YEAR = ("2026-01-20T00:00Z", "2027-01-20T00:00Z")


@pytest.fixture(autouse=True)
def _sound(pipeline: Pipeline) -> Any:
    yield
    assert_ledger_is_sound(pipeline.runtime.engine)


# ── Drips ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_yearly_plan_drips_monthly_however_late_and_often_the_sweep_runs(pipeline: Pipeline) -> None:
    life = Life.of(pipeline, plan("pro", images(100, every=Every.MONTH)))
    life.seen("pro", JAN, *YEAR, kind="created")
    life.invoice("y", JAN, line("pro", 1200, *YEAR))
    at_first = life.available()

    life.advance("2026-03-25T00:00Z")
    life.sweep()

    assert (at_first, life.available()) == (100, 100)
    base = f"stripe:inv:in_y:si_s1:1768867200:{TYPE}"
    assert life.keys() == [base, f"{base}:2026-02-20", f"{base}:2026-03-20"]
    assert life.entries() == [("grant", 100), ("grant", 100), ("grant", 100), ("expire", -100), ("expire", -100)]


def test_a_killed_sweep_grants_the_same_when_it_runs_again(pipeline: Pipeline) -> None:
    life = Life.of(pipeline, plan("pro", images(100, every=Every.WEEK, expires=NEVER)))
    life.invoice("y", JAN, line("pro", 1200, *YEAR))
    life.clock.advance_ms(20 * 86_400_000)
    runtime = life.pipeline.runtime

    class KilledError(Exception):
        pass

    def killed() -> None:
        with transaction(runtime.engine) as connection:
            (period_id,) = periods_store.due_ids(connection, now_ms=life.clock(), limit=5)
            assert drips.drip(connection, period_id, runtime.catalogue, now_ms=life.clock()) == 2
            raise KilledError

    with pytest.raises(KilledError):
        killed()
    life.sweep()

    assert life.available() == 300


@pytest.mark.parametrize(
    ("status", "policy", "february", "later"),
    [
        ({"status": "paused"}, {"on_pause": OnPause.STOP_DRIPS}, 0, 0),
        ({"status": "paused"}, {"on_pause": OnPause.KEEP}, 100, 100),
        ({"status": "past_due"}, {"on_past_due": OnPastDue.STOP_DRIPS}, 0, 100),
        ({"status": "past_due"}, {"on_past_due": OnPastDue.KEEP}, 100, 100),
    ],
)
def test_drips_while_paused_or_unpaid_follow_the_policy(
    pipeline: Pipeline, status: dict[str, Any], policy: dict[str, Any], february: int, later: int
) -> None:
    life = Life.of(pipeline, plan("pro", images(100, every=Every.MONTH), **policy))
    life.invoice("y", JAN, line("pro", 1200, *YEAR))
    life.seen("pro", "2026-02-01T00:00Z", *YEAR, **status)

    life.advance("2026-02-25T00:00Z")
    during = life.available()
    life.seen("pro", "2026-03-01T00:00Z", *YEAR, status="active")

    assert (during, life.available()) == (february, later)


def test_drips_stop_when_the_subscription_has_ended_even_if_that_is_learnt_late(pipeline: Pipeline) -> None:
    life = Life.of(pipeline, plan("pro", images(100, every=Every.MONTH, expires=NEVER)))
    life.invoice("y", JAN, line("pro", 1200, *YEAR))
    life.advance("2026-02-25T00:00Z")
    before = life.available()

    life.seen("pro", "2026-02-10T00:00Z", *YEAR, kind="deleted", status="canceled")
    life.advance("2026-05-25T00:00Z")

    assert (before, life.available()) == (200, 100)


# ── Changes ──────────────────────────────────────────────────────────────────────────────────────────────

HALF = "2026-02-04T12:00Z"


def two_plans(policy: ChangePolicy | None = None) -> tuple[Any, Any]:
    said = {} if policy is None else {"on_change": policy}
    return plan("pro", images(1000), **said), plan("max", images(5000), **said)


def upgraded(life: Life, name: str = "up") -> Any:
    up = [
        line("pro", -1000, HALF, FEB, proration=True),
        line("max", 2000, HALF, FEB, proration=True),
    ]
    life.seen("max", HALF, JAN, FEB)
    return life.invoice(name, HALF, *up)


def downgraded(life: Life, name: str = "down") -> Any:
    down = [
        line("max", -2000, HALF, FEB, proration=True),
        line("pro", 1000, HALF, FEB, proration=True),
    ]
    life.seen("pro", HALF, JAN, FEB)
    return life.invoice(name, HALF, *down)


def test_an_upgrade_adds_the_difference_for_the_rest_of_the_period(pipeline: Pipeline) -> None:
    life = Life.of(pipeline, *two_plans())
    life.seen("pro", JAN, JAN, FEB, kind="created")
    life.invoice("first", JAN, line("pro", 2000, JAN, FEB))

    upgraded(life)

    assert life.entries() == [("grant", 1000), ("grant", 2000)]
    assert life.keys()[1] == f"stripe:inv:in_up:il_1:{TYPE}"


def test_upgrade_burn_downgrade_repeat_gains_nothing(pipeline: Pipeline) -> None:
    """Upgrade, burn, downgrade, repeat (Polar #5826)."""
    life = Life.of(pipeline, *two_plans(ChangePolicy(up=OnChange.PRORATE, down=OnChange.AT_RENEWAL)))
    life.seen("pro", JAN, JAN, FEB, kind="created")
    life.invoice("first", JAN, line("pro", 2000, JAN, FEB))
    for turn in range(3):
        upgraded(life, f"up{turn}")
        if life.available():
            life.spend(life.available(), f"burn{turn}")
        downgraded(life, f"down{turn}")

    balance = life.pipeline.credits.balances("user_1")[TYPE]
    spent = -sum(amount for kind, amount in life.entries() if kind == "deduct")
    # The first burn took 3000, of which 2000 were given back in money: they are owed.
    assert (spent, balance.available, balance.balance, balance.debt) == (3000, 0, -2000, 2000)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("up", [OnChange.PRORATE, OnChange.AT_RENEWAL])
def test_what_money_given_back_at_renewal_takes_depends_on_no_order(
    pipeline: Pipeline, up: OnChange, order: tuple[int, ...]
) -> None:
    life = Life.of(pipeline, *two_plans(ChangePolicy(up=up, down=OnChange.AT_RENEWAL)))
    life.seen("pro", JAN, JAN, FEB, kind="created")
    tell = (
        lambda: life.invoice("first", JAN, line("pro", 2000, JAN, FEB)),
        lambda: upgraded(life),
        lambda: downgraded(life),
    )

    for index in order:
        tell[index]()

    assert life.available() == 1000
    assert {kind for kind, _ in life.entries()} == ({"grant"} if up is OnChange.AT_RENEWAL else {"grant", "reset"})


@pytest.mark.parametrize("is_refunded_first", [False, True])
@pytest.mark.parametrize(("refunded_minor", "left"), [(2000, 500), (4000, 0)])
def test_a_refund_and_a_downgrade_each_take_what_their_money_stands_for_whichever_comes_first(
    pipeline: Pipeline, refunded_minor: int, left: int, is_refunded_first: bool
) -> None:
    life = Life.of(pipeline, *two_plans())
    life.seen("max", JAN, JAN, FEB, kind="created")
    life.invoice("first", JAN, line("max", 4000, JAN, FEB))
    life.advance(HALF)

    if is_refunded_first:
        life.refund("first", refunded_minor)
    downgraded(life)
    if not is_refunded_first:
        life.refund("first", refunded_minor)

    # 5000 came for 40.00; the downgrade gave 10.00 back and took 2000, and the refund takes its share of all that came,
    # as far as that is there: who spent nothing owes nothing.
    balance = life.pipeline.credits.balances("user_1")[TYPE]
    assert (balance.available, balance.debt) == (left, 0)


def test_the_original_period_may_be_told_after_its_changes(pipeline: Pipeline) -> None:
    life = Life.of(pipeline, *two_plans())
    downgraded(life)
    upgraded(life)

    life.invoice("first", JAN, line("pro", 2000, JAN, FEB))

    assert life.available() == 1000


def test_a_reset_takes_the_old_plans_unspent_credits_and_never_bought_ones(pipeline: Pipeline) -> None:
    """A subscription's reset wipes purchased credits (Polar #8451)."""
    life = Life.of(pipeline, *two_plans(ChangePolicy(up=OnChange.RESET, down=OnChange.RESET)))
    life.pipeline.credits.add("user_1", TYPE, 70, key="bought")
    life.seen("pro", JAN, JAN, FEB, kind="created")
    life.invoice("first", JAN, line("pro", 2000, JAN, FEB))

    upgraded(life)

    assert life.available() == 2500 + 70


def test_a_reset_leaves_credits_under_hold_to_their_job(pipeline: Pipeline) -> None:
    life = Life.of(pipeline, *two_plans(ChangePolicy(up=OnChange.RESET, down=OnChange.RESET)))
    life.seen("pro", JAN, JAN, FEB, kind="created")
    life.invoice("first", JAN, line("pro", 2000, JAN, FEB))
    life.clock.set_ms(from_iso(HALF))
    hold = life.pipeline.credits.reserve("user_1", ttl_s=600, image_generation=300)

    upgraded(life)
    hold.commit()

    assert life.available() == 2500


# ── Rollover ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rollover", "spent", "carried"),
    [
        (Rollover(cap_credits=500), 300, 500),
        (Rollover(cap_percent=50), 900, 100),
        (Rollover(periods=1), 300, 700),
    ],
)
def test_what_is_left_over_is_carried_into_the_next_period_once_it_is_paid(
    pipeline: Pipeline, rollover: Rollover, spent: int, carried: int
) -> None:
    life = Life.of(pipeline, plan("pro", images(1000, rollover=rollover)))
    life.invoice("one", JAN, line("pro", 2000, JAN, FEB))
    life.spend(spent)

    life.advance("2026-02-20T01:00Z")
    lapsed = life.available()
    life.invoice("two", "2026-02-22T00:00Z", line("pro", 2000, FEB, MAR))
    renewed = life.available()
    life.invoice("two", "2026-02-23T00:00Z", line("pro", 2000, FEB, MAR))

    assert (lapsed, renewed, life.available()) == (0, 1000 + carried, 1000 + carried)


@pytest.mark.parametrize("is_refunded_first", [False, True])
def test_what_was_carried_on_goes_back_with_the_money_that_bought_it(
    pipeline: Pipeline, is_refunded_first: bool
) -> None:
    life = Life.of(pipeline, plan("pro", images(1000, rollover=Rollover(cap_credits=500))))
    life.invoice("one", JAN, line("pro", 2000, JAN, FEB))
    life.spend(300)
    life.advance("2026-02-20T01:00Z")

    if is_refunded_first:
        life.refund("one", 2000)
    life.invoice("two", FEB, line("pro", 2000, FEB, MAR))
    if not is_refunded_first:
        life.refund("one", 2000)

    # Of the first thousand, 300 were spent and are owed; the 500 carried on are gone.
    assert life.available() == 700
    assert sum(amount for kind, amount in life.entries() if kind == "clawback") == -800


def test_a_credit_is_carried_as_often_as_its_periods_say(pipeline: Pipeline) -> None:
    life = Life.of(pipeline, plan("pro", images(1000, rollover=Rollover(periods=1))))
    life.invoice("one", JAN, line("pro", 2000, JAN, FEB))
    life.advance("2026-02-20T01:00Z")
    life.invoice("two", FEB, line("pro", 2000, FEB, MAR))
    life.advance("2026-03-20T01:00Z")
    life.invoice("three", MAR, line("pro", 2000, MAR, APR))

    assert life.available() == 2000


def test_credits_under_hold_when_they_lapse_are_carried_when_the_hold_ends(pipeline: Pipeline) -> None:
    life = Life.of(pipeline, plan("pro", images(1000, rollover=Rollover(cap_credits=800))))
    life.invoice("one", JAN, line("pro", 2000, JAN, FEB))
    life.clock.set_ms(from_iso("2026-02-19T23:59Z"))
    hold = life.pipeline.credits.reserve("user_1", ttl_s=3600, image_generation=300)
    life.advance("2026-02-20T00:10Z")
    life.invoice("two", FEB, line("pro", 2000, FEB, MAR))
    before = life.available()

    hold.release()
    life.advance("2026-02-20T00:20Z")

    assert (before, life.available()) == (1700, 1800)


# ── Trials, free invoices, the end ───────────────────────────────────────────────────────────────────────


def test_a_trial_earns_its_own_credits_which_lapse_with_it(pipeline: Pipeline) -> None:
    life = Life.of(pipeline, plan("pro", images(1000, trial=50, expires=NEVER)))
    trial_end = "2026-01-27T00:00Z"
    waits = life.invoice("t", JAN, line("pro", 0, JAN, trial_end))
    life.seen("pro", JAN, JAN, trial_end, kind="created", status="trialing", trial_end=from_iso(trial_end) // 1000)
    on_trial = life.available()

    life.advance(trial_end)

    assert waits["state"] == EventState.WAITING
    assert (on_trial, life.available()) == (50, 0)
    life.invoice("first", trial_end, line("pro", 2000, trial_end, FEB))
    assert life.available() == 1000


@pytest.mark.parametrize(
    ("fields", "policy", "expected"),
    [
        ({"total": 0, "amount_due": 0}, ZeroInvoice(), 1000),
        ({"total": 0, "amount_due": 0}, ZeroInvoice(coupon="skip"), 0),
        ({"amount_due": 0}, ZeroInvoice(), 1000),
        ({"amount_due": 0}, ZeroInvoice(balance="skip"), 0),
        ({"amount_paid_off_stripe": 2000}, ZeroInvoice(coupon="skip", balance="skip", free="skip"), 1000),
        ({"amount_paid_off_stripe": 2000}, ZeroInvoice(out_of_band="skip"), 0),
    ],
    ids=["coupon", "coupon skipped", "balance", "balance skipped", "out of band", "out of band skipped"],
)
def test_an_invoice_that_charged_no_card_follows_its_policy(
    pipeline: Pipeline, fields: dict[str, Any], policy: ZeroInvoice, expected: int
) -> None:
    life = Life.of(pipeline, plan("pro", images(1000), zero_invoice=policy))

    life.invoice("one", JAN, line("pro", 2000, JAN, FEB), **fields)

    assert life.available() == expected


@pytest.mark.parametrize(("policy", "left"), [(OnCancel.KEEP_TO_EXPIRY, 1070), (OnCancel.END, 70)])
def test_the_end_of_a_subscription_follows_its_policy_and_leaves_bought_credits(
    pipeline: Pipeline, policy: OnCancel, left: int
) -> None:
    life = Life.of(pipeline, plan("pro", images(1000), on_cancel=policy))
    life.pipeline.credits.add("user_1", TYPE, 70, key="bought")
    life.invoice("one", JAN, line("pro", 2000, JAN, FEB))

    life.seen("pro", "2026-01-25T00:00Z", JAN, FEB, kind="deleted", status="canceled")

    assert life.available() == left


def test_seats_multiply_what_is_per_seat(pipeline: Pipeline) -> None:
    life = Life.of(pipeline, plan("team", images(100, per_seat=True)))
    life.seen("team", JAN, JAN, FEB, kind="created", quantity=3)
    life.invoice("one", JAN, line("team", 3000, JAN, FEB, quantity=3))
    before = life.available()

    more = [
        line("team", -1500, HALF, FEB, proration=True, quantity=3),
        line("team", 2500, HALF, FEB, proration=True, quantity=5),
    ]
    life.invoice("more", HALF, *more)

    assert (before, life.available()) == (300, 400)
