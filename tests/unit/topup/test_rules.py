"""When a saved card is charged: a table of cases, and whole lives of policies that Hypothesis makes up."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credits.checkout.cards import DeclineKind
from credits.topup.model import (
    IN_FLIGHT,
    TAKEN,
    Attempt,
    AttemptState,
    Blocked,
    Charge,
    Policy,
    Reason,
    Situation,
    Wait,
)
from credits.topup.rules import BACK_OFF_MS, PAUSE_MS, decide, month_start_ms

NOW_MS = 1_760_000_000_000
HOUR_MS = 3_600_000
NOVEMBER_MS = 1_761_955_200_000


def policy(**changes: Any) -> Policy:
    said: dict[str, Any] = {
        "account": "user_1",
        "credit_type": "image_generation",
        "provider": "stripe",
        "is_on": True,
        "threshold": 10,
        "amount": 100,
        "target": None,
        "cap_minor": 5_000,
        "currency": "USD",
        "confirmed_at_ms": 0,
    }
    return Policy(**{**said, **changes})


def ended(state: AttemptState, *, ago_ms: int = 1, kind: DeclineKind | None = None, seq: int = 1) -> Attempt:
    at_ms = NOW_MS - ago_ms
    return Attempt(seq=seq, state=state, begun_at_ms=at_ms - 1, ended_at_ms=at_ms, kind=kind)


def soft(*, ago_ms: int, seq: int = 1) -> Attempt:
    return ended(AttemptState.DECLINED, ago_ms=ago_ms, kind=DeclineKind.SOFT, seq=seq)


def low(*attempts: Attempt, **changes: Any) -> Situation:
    return Situation(**{"available": 9, "attempts": attempts, "cost_minor": 1_000, **changes})


CASES = {
    "a shortage is charged": (policy(), low(), Charge(100)),
    "as many as are missing to a target": (policy(amount=None, target=50), low(), Charge(41)),
    "what is owed is missing, too": (policy(amount=None, target=50), low(available=-30), Charge(80)),
    "as many as the threshold are enough": (policy(), low(available=10), Wait(Reason.ENOUGH)),
    "off is off": (policy(is_on=False), low(), Blocked(Reason.OFF)),
    "a blocked account buys nothing": (policy(), low(is_account_blocked=True), Blocked(Reason.ACCOUNT_BLOCKED)),
    "money that went back is not taken again": (policy(), low(reversed_at_ms=5), Blocked(Reason.REFUNDED)),
    "unless somebody says so": (policy(confirmed_at_ms=6), low(reversed_at_ms=5), Charge(100)),
    "the cap holds": (policy(), low(spent_minor=4_001), Wait(Reason.MONTHLY_CAP, NOVEMBER_MS)),
    "to the last cent": (policy(), low(spent_minor=4_000), Charge(100)),
    "a cap below one top-up": (policy(cap_minor=999), low(), Blocked(Reason.CAP_TOO_SMALL)),
    "a soft decline waits": (
        policy(),
        low(soft(ago_ms=1)),
        Wait(Reason.BACK_OFF, NOW_MS - 1 + BACK_OFF_MS[0]),
    ),
    "and is tried again": (policy(), low(soft(ago_ms=HOUR_MS)), Charge(100)),
    "the second one waits longer": (
        policy(),
        low(soft(ago_ms=HOUR_MS, seq=2), soft(ago_ms=3 * HOUR_MS)),
        Wait(Reason.BACK_OFF, NOW_MS - HOUR_MS + BACK_OFF_MS[1]),
    ),
    "a success in between starts anew": (
        policy(),
        low(soft(ago_ms=HOUR_MS, seq=3), ended(AttemptState.GRANTED, seq=2), soft(ago_ms=HOUR_MS)),
        Charge(100),
    ),
    "too often is enough": (
        policy(),
        low(*(soft(ago_ms=n * 100 * HOUR_MS, seq=9 - n) for n in range(1, 6))),
        Blocked(Reason.DECLINED_TOO_OFTEN),
    ),
    "a lost card is not tried again": (
        policy(),
        low(ended(AttemptState.DECLINED, kind=DeclineKind.HARD, ago_ms=10**10)),
        Blocked(Reason.CARD_DECLINED),
    ),
    "until somebody says so": (
        policy(confirmed_at_ms=NOW_MS),
        low(ended(AttemptState.DECLINED, kind=DeclineKind.HARD)),
        Charge(100),
    ),
    "the bank's question waits for its customer": (
        policy(),
        low(ended(AttemptState.HANDED_OFF, kind=DeclineKind.AUTHENTICATION)),
        Blocked(Reason.AUTHENTICATION_NEEDED),
    ),
    "a top-up waits a while after another": (
        policy(),
        low(ended(AttemptState.GRANTED)),
        Wait(Reason.JUST_TOPPED_UP, NOW_MS - 1 + PAUSE_MS),
    ),
}


@pytest.mark.parametrize(("agreed", "situation", "wanted"), CASES.values(), ids=CASES)
def test_what_is_decided(agreed: Policy, situation: Situation, wanted: object) -> None:
    assert decide(agreed, situation, now_ms=NOW_MS) == wanted


@pytest.mark.parametrize("state", IN_FLIGHT)
@pytest.mark.parametrize("is_on", [True, False])
def test_nothing_begins_beside_what_is_in_flight(state: AttemptState, is_on: bool) -> None:
    flying = Attempt(seq=3, state=state, begun_at_ms=1, ended_at_ms=None)

    assert decide(policy(is_on=is_on), low(soft(ago_ms=1), flying), now_ms=NOW_MS) == Wait(Reason.IN_FLIGHT)


def test_a_month_ends_where_the_next_begins() -> None:
    assert month_start_ms(NOVEMBER_MS) == NOVEMBER_MS
    assert month_start_ms(NOVEMBER_MS - 1, months_on=1) == NOVEMBER_MS
    assert month_start_ms(NOVEMBER_MS, months_on=14) > month_start_ms(NOVEMBER_MS, months_on=13)


def test_a_policy_has_an_amount_or_a_target() -> None:
    with pytest.raises(ValueError, match="an amount or a target"):
        policy(target=5)


steps = st.lists(
    st.tuples(
        st.sampled_from(["sweep", "grant", "soft", "hard", "authentication", "confirm", "spend"]),
        st.integers(1, 30 * 24 * HOUR_MS),
    ),
    max_size=60,
)


@given(steps=steps, cap_minor=st.integers(1_000, 6_000))
@settings(max_examples=200, deadline=None)
def test_no_life_charges_twice_for_one_shortage_or_above_its_cap(steps: list[tuple[str, int]], cap_minor: int) -> None:
    agreed, now_ms, available, attempts, costs = policy(cap_minor=cap_minor), NOW_MS, 0, [], {}
    for step, later_ms in steps:
        now_ms += later_ms
        flying = [one for one in attempts if one.ended_at_ms is None]
        if step == "sweep":
            month_ms = month_start_ms(now_ms)
            spent = sum(costs[one.seq] for one in attempts if one.begun_at_ms >= month_ms and one.state in TAKEN)
            rows = tuple(reversed(attempts))[:8]
            situation = Situation(available=available, attempts=rows, spent_minor=spent, cost_minor=1_000)
            decision = decide(agreed, situation, now_ms=now_ms)
            if isinstance(decision, Charge):
                assert flying == []
                assert available < agreed.threshold
                assert spent + 1_000 <= cap_minor
                seq = len(attempts) + 1
                attempts.append(Attempt(seq=seq, state=AttemptState.OPEN, begun_at_ms=now_ms, ended_at_ms=None))
                costs[seq] = 1_000
        elif step == "confirm":
            agreed = policy(cap_minor=cap_minor, confirmed_at_ms=now_ms)
        elif step == "spend":
            available = 0
        elif flying:
            state = {
                "grant": AttemptState.GRANTED,
                "authentication": AttemptState.HANDED_OFF,
            }.get(step, AttemptState.DECLINED)
            kind = None if step == "grant" else DeclineKind(step)
            available += 100 if step == "grant" else 0
            one = flying[0]
            attempts[one.seq - 1] = Attempt(
                seq=one.seq, state=state, begun_at_ms=one.begun_at_ms, ended_at_ms=now_ms, kind=kind
            )
        assert sum(one.ended_at_ms is None for one in attempts) <= 1
