"""When an event is tried again, when it is given up, and that somebody is told what to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from credits import errors
from credits.allocation.outcomes import combined
from credits.errors import CreditsError, DependencyError, LeaseLostError
from credits.inbox.model import (
    CLAIMABLE,
    FINISHED,
    NEEDS_OPERATOR,
    RETRYABLE,
    EventState,
    Outcome,
    customer_subject,
    subscription_subject,
)
from credits.inbox.rules import (
    FIXES,
    MAX_ATTEMPTS_UNAVAILABLE,
    MAX_ATTEMPTS_UNEXPECTED,
    MAX_CRASHES,
    backoff_ms,
    failure_of,
    fix_of,
    outcome_of_crashes,
    outcome_of_error,
    recheck_at_ms,
)

AWAY = [
    OperationalError("SELECT 'ada'", {}, Exception("row of ada")),
    InterfaceError("SELECT 'ada'", {}, Exception("row of ada")),
    PoolTimeoutError(),
    DependencyError("Redis did not answer"),
    LeaseLostError("taken over"),
]


@pytest.mark.parametrize(
    ("attempts", "delay_s"),
    [(1, 5), (2, 15), (3, 45), (4, 135), (5, 405), (6, 1215), (7, 3600), (24, 3600), (10**6, 3600)],
)
def test_pauses_grow_threefold_up_to_an_hour(attempts: int, delay_s: int) -> None:
    assert backoff_ms(attempts, 0.5) == delay_s * 1000


@given(st.integers(1, 100), st.floats(0, 1))
def test_jitter_moves_a_pause_by_a_quarter_at_most(attempts: int, jitter: float) -> None:
    middle = backoff_ms(attempts, 0.5)

    assert 0.75 * middle - 1 <= backoff_ms(attempts, jitter) <= 1.25 * middle + 1


def test_an_outage_is_bridged_for_many_hours() -> None:
    total_ms = sum(backoff_ms(attempts, 0) for attempts in range(1, MAX_ATTEMPTS_UNAVAILABLE))

    assert total_ms > 12 * 3_600_000


@pytest.mark.parametrize("error", AWAY[:4], ids=lambda error: type(error).__name__)
def test_what_may_pass_is_tried_again_until_its_attempts_are_used_up(error: Exception) -> None:
    early = outcome_of_error(error, attempts=1, now_ms=1000, jitter=0.5)
    last = outcome_of_error(error, attempts=MAX_ATTEMPTS_UNAVAILABLE, now_ms=1000, jitter=0.5)

    assert (early.state, early.code, early.due_at_ms) == (EventState.FAILED, "dependency_unavailable", 6000)
    assert (last.state, last.due_at_ms) == (EventState.DEAD, None)
    assert f"({MAX_ATTEMPTS_UNAVAILABLE} attempts)" in last.detail


@pytest.mark.parametrize("error", [ZeroDivisionError("ada"), IntegrityError("INSERT", {}, Exception("ada"))])
def test_what_nobody_foresaw_is_tried_for_a_while_and_told_by_its_class_alone(error: Exception) -> None:
    early = outcome_of_error(error, attempts=MAX_ATTEMPTS_UNEXPECTED - 1, now_ms=0, jitter=0)
    last = outcome_of_error(error, attempts=MAX_ATTEMPTS_UNEXPECTED, now_ms=0, jitter=0)

    assert (early.state, early.code) == (EventState.FAILED, "unexpected_error")
    assert early.due_at_ms is not None
    assert last.state is EventState.DEAD
    assert type(error).__name__ in early.detail
    assert "ada" not in early.detail + last.detail


@pytest.mark.parametrize("error", AWAY[:3], ids=lambda error: type(error).__name__)
def test_a_drivers_words_are_not_stored(error: Exception) -> None:
    assert "ada" not in failure_of(error).detail


def test_input_that_can_never_be_right_waits_for_an_operator_at_once() -> None:
    outcome = outcome_of_error(errors.UnknownPriceError("price_1"), attempts=1, now_ms=0, jitter=0)

    assert (outcome.state, outcome.code, outcome.due_at_ms) == (EventState.FAILED, "unknown_price", None)
    assert "price_1" in outcome.detail


def test_an_event_that_took_too_many_workers_down_is_quarantined() -> None:
    assert outcome_of_crashes(MAX_CRASHES - 1) is None

    poison = outcome_of_crashes(MAX_CRASHES)

    assert poison is not None
    assert (poison.state, poison.code) == (EventState.DEAD, "poison")


def test_a_waiting_event_is_looked_at_six_times_ever_later() -> None:
    looks = [recheck_at_ms(attempts, 0) for attempts in range(1, 8)]

    assert looks[6] is None
    assert looks[:6] == sorted(look for look in looks[:6] if look is not None)


LEAVES = [error for error in errors.below(CreditsError) if not list(errors.below(error))]
CODES = sorted({error.code for error in LEAVES} | set(FIXES))


@pytest.mark.parametrize("code", CODES)
def test_every_code_that_can_be_stored_says_what_to_do(code: str) -> None:
    assert len(fix_of(code)) > 10


@pytest.mark.parametrize("fix", [fix_of(code) for code in CODES if "events attach" in fix_of(code)])
def test_an_advised_command_has_what_it_requires(fix: str) -> None:
    for command in fix.split("`")[1::2]:
        if command.startswith(("credits events attach ", "credits events skip ")):
            assert "--reason" in command


def test_every_state_is_finished_or_can_be_brought_on() -> None:
    assert FINISHED | RETRYABLE | {EventState.PROCESSING} == set(EventState)
    assert set(EventState) - FINISHED - {EventState.DEAD} == CLAIMABLE
    assert NEEDS_OPERATOR <= RETRYABLE


@pytest.mark.parametrize(
    ("states", "leading"),
    [
        ("done ignored", "done"),
        ("done waiting", "waiting"),
        ("waiting unattributed done", "unattributed"),
        ("ignored ignored", "ignored"),
    ],
)
def test_the_fact_that_most_needs_attention_decides_the_events_state(states: str, leading: str) -> None:
    outcomes = [
        Outcome(state=EventState(state), code=state, detail=state, due_at_ms=number, waits_for=(state,))
        for number, state in enumerate(states.split())
    ]

    whole = combined(outcomes)

    assert (whole.state, whole.code, whole.due_at_ms) == (leading, leading, 0)
    assert all(state in whole.detail for state in states.split())
    assert set(whole.waits_for) == set(states.split())


@pytest.mark.parametrize("subject", [customer_subject, subscription_subject])
def test_subjects_fit_their_column_and_differ_however_long_the_id_is(subject: object) -> None:
    assert callable(subject)
    made = [subject("lemonsqueezy", "x" * 255), subject("lemonsqueezy", "x" * 254), subject("fake", "x" * 255)]

    assert len(set(made)) == 3
    assert max(len(one) for one in made) <= 255
