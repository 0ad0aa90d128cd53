"""What a supervisor does about a program that ended: when it starts it again, when it gives up."""

import pytest

from credits.ops.supervise.rules import (
    LONGEST_DELAY_AFTER_LIFE_S,
    STEADY_AFTER_S,
    TRIES_BEFORE_FIRST_SIGN,
    Ending,
    GiveUp,
    History,
    Restart,
    is_silent,
    next_step,
)

SHORT_RUN = Ending(ran_s=1.0, detail="exited with status 1")
LONG_RUN = Ending(ran_s=STEADY_AFTER_S, detail="was killed by SIGKILL")


def test_pauses_between_starts_double_up_to_a_bound() -> None:
    history = History(has_shown_life=True)
    delays = []

    for _ in range(10):
        history = history.after(SHORT_RUN, showed_life=False)
        step = next_step(history)
        assert isinstance(step, Restart)
        delays.append(step.delay_s)

    assert delays[:4] == [0.5, 1.0, 2.0, 2.0]
    assert set(delays[4:]) == {LONGEST_DELAY_AFTER_LIFE_S}


def test_a_run_that_went_well_for_long_makes_the_next_failure_the_first_again() -> None:
    history = History(failures_in_a_row=9, has_shown_life=True)

    step = next_step(history.after(LONG_RUN, showed_life=True))

    assert step == Restart(delay_s=0.5)


def test_a_long_run_without_a_sign_of_life_was_no_good_run() -> None:
    history = History(failures_in_a_row=1)

    assert history.after(LONG_RUN, showed_life=False).failures_in_a_row == 2


def test_a_program_that_never_showed_life_is_given_up() -> None:
    history = History()
    steps = []

    for _ in range(TRIES_BEFORE_FIRST_SIGN):
        history = history.after(SHORT_RUN, showed_life=False)
        steps.append(next_step(history))

    assert all(isinstance(step, Restart) for step in steps[:-1])
    assert steps[-1] == GiveUp(tries=TRIES_BEFORE_FIRST_SIGN)


def test_a_program_that_showed_life_once_is_never_given_up() -> None:
    history = History().after(SHORT_RUN, showed_life=True)

    for _ in range(1000):
        history = history.after(SHORT_RUN, showed_life=False)

    assert next_step(history) == Restart(delay_s=LONGEST_DELAY_AFTER_LIFE_S)


@pytest.mark.parametrize(("last_sign_s", "expected"), [(70.0, False), (69.9, True), (100.0, False)])
def test_silence_begins_after_the_limit(last_sign_s: float, expected: bool) -> None:
    assert is_silent(now_s=100.0, last_sign_s=last_sign_s, limit_s=30.0) is expected
