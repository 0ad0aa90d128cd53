"""What a change of plan does to credits: tables of invoices, and any sequence of changes at all."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.config.catalogue import Every, Plan, PlanCredits
from credits.config.policies import ChangePolicy, OnChange
from credits.facts import PlanLine
from credits.plans.changes import Billed, Decided, Split, Stay, decide, splits_of
from credits.plans.model import Period, PeriodKind
from credits.plans.rules import first_handouts, next_drip_ms, parts_of
from credits.units import Money

DAY_MS = 86_400_000
END_MS = 30 * DAY_MS
HALF_MS = END_MS // 2


def plan(key: str, amount: int, *, policy: ChangePolicy | None = None, **said: object) -> Plan:
    part = PlanCredits(credit_type="image_generation", amount=amount, **said)  # type: ignore[arg-type]
    return Plan(key=key, name=key, on_change=policy or ChangePolicy(), credits=(part,))


def billed(
    one: Plan, minor: int, *, name: str, since_ms: int = HALF_MS, end_ms: int = END_MS, quantity: int = 1
) -> Billed:
    is_whole = since_ms == 0 or end_ms != END_MS
    line = PlanLine(
        key=name,
        product_id=one.key,
        period_start_ms=since_ms,
        period_end_ms=end_ms,
        quantity=quantity,
        amount=Money(amount_minor=minor, currency="USD"),
        is_proration=not is_whole,
    )
    period = Period(
        account="user_1",
        provider="stripe",
        subscription_id="s1",
        key=name,
        source_ref="stripe:inv:1",
        plan=one.key,
        kind=PeriodKind.PERIOD if is_whole else PeriodKind.CHANGE,
        anchor_ms=since_ms if is_whole else 0,
        since_ms=since_ms,
        cut_ms=since_ms,
        end_ms=end_ms,
        usable_until_ms=None,
        parts=parts_of(one, quantity),
    )
    return Billed(line=line, plan=one, period=period)


def on(*plans: Plan, has_credits: bool = True) -> list[Stay]:
    """The whole period on each of `plans`."""
    return [Stay(plan=one.key, since_ms=0, end_ms=END_MS, has_credits=has_credits) for one in plans]


def decided(lines: list[Billed], stays: Iterable[Stay], *, whole: tuple[Billed, ...] = ()) -> Decided:
    """What one invoice leads to, its whole periods with it."""
    (split,) = splits_of(whole, lines)
    one = decide([split], list(stays))[split.key]
    return replace(one, periods=(*(each.period for each in whole), *one.periods))


def moved(decided: Decided) -> tuple[int, int]:
    """(credits granted at once, credits taken back)."""
    came = sum(one.order.amount for period in decided.periods for one in first_handouts(period))
    return came, sum(amount for change in decided.changes for _, amount in change.amounts)


@pytest.mark.parametrize(
    ("word", "up", "down"),
    [
        (OnChange.PRORATE, (2000, 0), (0, 2000)),
        (OnChange.KEEP_AND_ADD, (2000, 0), (0, 2000)),
        (OnChange.RESET, (2500, 500), (500, 2500)),
        (OnChange.AT_RENEWAL, (0, 0), (0, 2000)),
    ],
)
def test_a_change_in_the_middle_of_a_period_moves_what_its_policy_says(
    word: OnChange, up: tuple[int, int], down: tuple[int, int]
) -> None:
    """1000 credits for 2000, 5000 for 4000, half of the month left: −1000 / +2000, and the other way round."""
    policy = ChangePolicy(up=word, down=word)
    pro, max_ = plan("pro", 1000, policy=policy), plan("max", 5000, policy=policy)
    upgrade = [billed(pro, -1000, name="a"), billed(max_, 2000, name="b")]
    downgrade = [billed(max_, -2000, name="c"), billed(pro, 1000, name="d")]

    assert moved(decided(upgrade, on(pro))) == up
    assert moved(decided(downgrade, on(pro, max_))) == down


def test_up_and_down_may_follow_different_policies() -> None:
    policy = ChangePolicy(up=OnChange.RESET, down=OnChange.PRORATE)
    pro, max_ = plan("pro", 1000, policy=policy), plan("max", 5000, policy=policy)

    up = decided([billed(pro, -1000, name="a"), billed(max_, 2000, name="b")], ())
    down = decided([billed(max_, -2000, name="c"), billed(pro, 1000, name="d")], ())

    assert [change.takes_rest for change in (*up.changes, *down.changes)] == [True, False]


def test_a_new_interval_is_granted_in_full_and_takes_back_what_was_unused_of_the_old_one() -> None:
    monthly, yearly = plan("monthly", 1000), plan("yearly", 12_000)
    whole = billed(yearly, 20_000, name="w", since_ms=HALF_MS, end_ms=400 * DAY_MS)

    assert moved(decided([billed(monthly, -1000, name="a")], (), whole=(whole,))) == (12_000, 500)


def up_and_down(*plans: Plan, minors: tuple[int, ...] = (-1500, 3000, -2000, 1000)) -> list[Split]:
    """From the first plan to the second one, and half way on from there to the last."""
    first, second, last = (*plans, plans[0])[:3]
    quarter_ms = HALF_MS // 2
    up = [
        billed(first, minors[0], name="a", since_ms=quarter_ms),
        billed(second, minors[1], name="b", since_ms=quarter_ms),
    ]
    down = [billed(second, minors[2], name="c"), billed(last, minors[3], name="d")]
    return [*splits_of((), up), *splits_of((), down)]


def test_what_never_came_is_not_taken_back() -> None:
    """An upgrade that waits for the renewal, undone before it."""
    late = ChangePolicy(up=OnChange.AT_RENEWAL, down=OnChange.AT_RENEWAL)
    pro, max_ = plan("pro", 1000, policy=late), plan("max", 5000, policy=late)

    up, down = decide(up_and_down(pro, max_), on(pro)).values()

    assert (moved(up), moved(down)) == ((0, 0), (0, 0))


@pytest.mark.parametrize("down", list(OnChange))
def test_of_an_upgrade_that_waited_for_the_renewal_and_was_left_go_the_credits_that_stood_for_it(
    down: OnChange,
) -> None:
    """Pro stayed until its renewal; half of its month goes back with max's money, and mini's comes."""
    late = ChangePolicy(up=OnChange.AT_RENEWAL, down=down)
    mini, pro, max_ = (plan(key, amount, policy=late) for key, amount in (("mini", 100), ("pro", 1000), ("max", 5000)))
    came, went = (50, 500) if down is OnChange.RESET else (0, 450)

    _, left = decide(up_and_down(pro, max_, mini), on(pro)).values()

    assert (moved(left), [change.plan for change in left.changes]) == ((came, went), ["pro"])


def test_of_a_time_on_a_plan_that_is_not_known_of_it_is_decided_once_it_is() -> None:
    late = ChangePolicy(up=OnChange.PRORATE, down=OnChange.AT_RENEWAL)
    pro, max_ = plan("pro", 1000, policy=late), plan("max", 5000, policy=late)
    up, down = up_and_down(pro, max_)

    assert moved(decide([down], on(pro))[down.key]) == (0, 0)
    assert moved(decide([down, up], on(pro))[down.key]) == (0, 2000)
    assert moved(decide([down], on(pro, max_))[down.key]) == (0, 2000)


def test_a_plan_that_was_left_before_is_left_again_only_once_it_is_known_how_it_was_come_back_to() -> None:
    late = ChangePolicy(up=OnChange.AT_RENEWAL, down=OnChange.AT_RENEWAL)
    mini, pro = plan("mini", 100, policy=late), plan("pro", 1000, policy=late)
    down, up, again = (
        splits_of(
            (),
            [
                billed(old, -minor, name=f"{day}a", since_ms=day * DAY_MS),
                billed(new, price, name=f"{day}b", since_ms=day * DAY_MS),
            ],
        )[0]
        for day, old, minor, new, price in (
            (5, pro, 1000, mini, 100),
            (10, mini, 80, pro, 800),
            (15, pro, 600, mini, 60),
        )
    )

    told = [
        {key: moved(one) for key, one in decide(order, on(pro)).items()} for order in permutations((down, up, again))
    ]

    # Nine tenths of five sixths of the month went at first; what stood for pro after that were mini's credits.
    assert all(one == {"5a": (0, 750), "10a": (0, 0), "15a": (0, 0)} for one in told)
    assert moved(decide([down, again], on(pro))["15a"]) == (0, 0)


def test_changes_of_one_instant_are_decided_in_the_order_in_which_they_can_have_come() -> None:
    policy = ChangePolicy(up=OnChange.PRORATE, down=OnChange.AT_RENEWAL)
    pro, max_ = plan("pro", 1000, policy=policy), plan("max", 5000, policy=policy)
    up = splits_of((), [billed(pro, -1000, name="y"), billed(max_, 2000, name="z")])
    down = splits_of((), [billed(max_, -2000, name="a"), billed(pro, 1000, name="b")])

    found = decide([*down, *up], on(pro))

    assert {key: moved(one) for key, one in found.items()} == {"y": (2000, 0), "a": (0, 2000)}


def test_of_seats_that_were_never_told_of_what_is_known_of_the_plan_has_to_do() -> None:
    late = ChangePolicy(up=OnChange.AT_RENEWAL, down=OnChange.AT_RENEWAL)
    team = plan("team", 100, policy=late, per_seat=True)
    fewer = [
        replace(one, period=replace(one.period, quantity=seats))
        for one, seats in (
            (billed(team, -4000, name="a", quantity=4), 4),
            (billed(team, 3000, name="b", quantity=3), 3),
        )
    ]
    three, four = (
        replace(on(team)[0], quantity=3),
        replace(on(team, has_credits=False)[0], quantity=4, since_ms=1, stood=("team", parts_of(team, 3))),
    )

    assert moved(decided(fewer, [three])) == (0, 50)
    assert moved(decided(fewer, [three, four])) == (0, 0)


def test_more_seats_add_only_credits_per_seat() -> None:
    team = replace(
        plan("team", 100, per_seat=True),
        credits=(
            PlanCredits(credit_type="image_generation", amount=100, per_seat=True),
            PlanCredits(credit_type="tokens", amount=777),
        ),
    )
    more = [billed(team, -100, name="a", quantity=2), billed(team, 250, name="b", quantity=5)]
    fewer = [billed(team, -250, name="c", quantity=5), billed(team, 100, name="d", quantity=2)]

    assert moved(decided(more, on(team))) == (150, 0)
    assert moved(decided(fewer, on(team))) == (0, 150)


def test_drips_after_the_change_are_the_new_plans() -> None:
    daily = plan("daily", 10, every=Every.DAY)
    old, new = plan("old", 4, every=Every.DAY), billed(daily, 100, name="b")

    found = decided([billed(old, -40, name="a"), new], on(old))

    # The day that the change falls into is over by nothing: it begins at the change.
    assert moved(found) == (6, 0)
    assert next_drip_ms(found.periods[0], after_ms=HALF_MS) == HALF_MS + DAY_MS


PLANS = [plan("a", 1000), plan("b", 5000), plan("c", 500), plan("d", 1)]
PRICES = {"a": 1000, "b": 4000, "c": 2500, "d": 9000}


@given(
    st.integers(0, 3),
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, END_MS // 8)), min_size=1, max_size=7),
)
def test_no_sequence_of_changes_leaves_more_credits_than_the_time_on_each_plan_is_worth(
    first: int, changes: list[tuple[int, int]]
) -> None:
    """Whatever it is that is upgraded, burnt, downgraded and repeated: the sum of amount × time on the plan."""
    now, at_ms, held, warranted = PLANS[first], 0, Fraction(PLANS[first].credits[0].amount), Fraction(0)
    for index, (to, pause_ms) in enumerate(changes):
        warranted += Fraction(now.credits[0].amount * pause_ms, END_MS)
        at_ms, new = at_ms + pause_ms, PLANS[to]
        if new is now:
            continue
        back, price = (PRICES[one.key] * (END_MS - at_ms) // END_MS for one in (now, new))
        lines = [
            billed(now, -back, name=f"{index}a", since_ms=at_ms),
            billed(new, price, name=f"{index}b", since_ms=at_ms),
        ]
        came, went = moved(decided(lines, on(*PLANS)))
        held, now = held + came - went, new
    warranted += Fraction(now.credits[0].amount * (END_MS - at_ms), END_MS)

    assert warranted - 2 * len(changes) <= held <= warranted
