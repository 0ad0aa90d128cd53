"""Changes of plan and seats in any order, doubled: they end where the money says, with no more than it buys."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from credits.clock import from_iso, iso
from credits.config.catalogue import Rollover
from tests.support.ledger import assert_ledger_is_sound
from tests.support.pipeline import Pipeline
from tests.support.plan_lives import TYPE, Life, images, line, plan

JAN, FEB = "2026-01-20T00:00Z", "2026-02-20T00:00Z"
JAN_MS, FEB_MS = from_iso(JAN), from_iso(FEB)
AMOUNTS, PRICES = {"pro": 1000, "max": 5000}, {"pro": 2000, "max": 4000}
EXAMPLES = 12
pytestmark = [pytest.mark.timeout(300), pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)]

_numbers = itertools.count(1)
State = tuple[str, int]
"""Plan and seats."""


@dataclass(kw_only=True)
class Subscriber(Life):
    """A life of an account of its own; the clock stands where the test put it."""

    account: str = "user_1"

    def _receive(self, event_type: str, edit: Callable[[dict[str, Any]], None], **said: Any) -> Any:
        return self.pipeline.receive(
            event_type,
            provider="stripe",
            edit=edit,
            account=self.account,
            credit_type=None,
            amount=None,
            subscription=self.name,
            api_version=self.shape,
            **said,
        )

    def owns(self) -> int:
        """What is left, less what is owed."""
        found = self.pipeline.credits.balances(self.account).get(TYPE)
        return 0 if found is None else found.balance


def told(life: Subscriber, states: list[State], instants_ms: list[int]) -> list[Callable[[], Any]]:
    """Every event of a period that begins on the first state and changes to the others, once, in order."""
    (first, seats), at = states[0], [iso(at_ms) or "" for at_ms in instants_ms]
    name = life.account

    def begun() -> Any:
        return life.seen(first, JAN, JAN, FEB, kind="created", quantity=seats)

    def paid() -> Any:
        return life.invoice(f"{name}_0", JAN, line(first, PRICES[first] * seats, JAN, FEB, quantity=seats))

    def change(number: int) -> Callable[[], Any]:
        left = Fraction(FEB_MS - instants_ms[number], FEB_MS - JAN_MS)
        sides = []
        for (key, quantity), sign in ((states[number], -1), (states[number + 1], 1)):
            minor = sign * round(PRICES[key] * quantity * left)
            sides.append(line(key, minor, at[number], FEB, proration=True, quantity=quantity))
        return lambda: life.invoice(f"{name}_{number + 1}", at[number], *sides)

    return [begun, paid, *(change(number) for number in range(len(instants_ms)))]


def bought(states: list[State], instants_ms: list[int]) -> Fraction:
    """The credits that the money kept would buy: each state's, for as long as it was."""
    bounds = [JAN_MS, *instants_ms, FEB_MS]
    return sum(
        (
            Fraction(AMOUNTS[key] * seats * (bounds[index + 1] - bounds[index]), FEB_MS - JAN_MS)
            for index, (key, seats) in enumerate(states)
        ),
        Fraction(0),
    )


def check_with(pipeline: Pipeline, examples: int) -> None:
    sold = [
        plan(key, images(amount, per_seat=True, rollover=Rollover(cap_credits=500))) for key, amount in AMOUNTS.items()
    ]
    base = Life.of(pipeline, *sold)
    base.clock.set_ms(FEB_MS - 60_000)
    state = st.tuples(st.sampled_from(sorted(AMOUNTS)), st.integers(1, 4))

    @settings(
        max_examples=examples,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        drawn = data.draw(st.lists(state, min_size=1, max_size=4), label="states")
        states = [one for one, _ in itertools.groupby(drawn)]
        instants = st.integers(JAN_MS // 1000 + 1, FEB_MS // 1000 - 3600)
        count = len(states) - 1
        at_ms = [1000 * s for s in sorted(data.draw(st.sets(instants, min_size=count, max_size=count), label="at"))]
        number = next(_numbers)
        first, second = (
            Subscriber(
                pipeline=base.pipeline, clock=base.clock, name=f"s{number}{side}", account=f"user_{number}{side}"
            )
            for side in "ab"
        )
        events = told(second, states, at_ms)
        again = data.draw(st.lists(st.sampled_from(range(len(events))), max_size=2), label="again")
        order = data.draw(st.permutations([*range(len(events)), *again]), label="order")

        for event in told(first, states, at_ms):
            event()
        for index in order:
            events[index]()
        first.sweep()

        most = bought(states, at_ms)
        assert first.owns() == second.owns()
        assert most - 2 * count - 1 <= first.owns() <= most

    check()
    assert_ledger_is_sound(pipeline.runtime.engine)


def test_changes_of_plan_and_seats_in_any_order_end_where_the_money_says(pipeline: Pipeline) -> None:
    check_with(pipeline, EXAMPLES)


@pytest.mark.proof
@pytest.mark.timeout(1200)
def test_hundreds_of_lives_of_changes_in_any_order_end_where_the_money_says(pipeline: Pipeline) -> None:
    check_with(pipeline, 500)
