"""Decisions of the inbox: whether and when to try an event again. Pure functions."""

from dataclasses import dataclass
from typing import Final

from credits.db import is_unavailable
from credits.errors import AllocationError, CreditsError, DependencyError, LeaseLostError
from credits.inbox.model import PAYMENT_UNKNOWN, SUBSCRIPTION_UNKNOWN, EventState, Outcome

LEASE_MS: Final = 10_000
"""An attempt takes milliseconds; a worker that is silent for longer than this is taken for dead."""

MAX_CRASHES: Final = 5
"""An event that took this many workers down with it is quarantined."""

MAX_ATTEMPTS_UNAVAILABLE: Final = 24
"""With the delays below: about 18 hours of a database or provider being away."""

MAX_ATTEMPTS_UNEXPECTED: Final = 8
"""An error nobody foresaw is mostly a bug; it is tried for an hour and a half."""

_FIRST_DELAY_MS: Final = 5_000
_LONGEST_DELAY_MS: Final = 3_600_000
_RECHECKS_MS: Final = (2_000, 10_000, 60_000, 600_000, 3_600_000, 21_600_000)

MAX_RECHECKS: Final = len(_RECHECKS_MS)
"""Looks at an event that waits for another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error as an operator will read it."""

    code: str
    detail: str


def backoff_ms(attempts: int, jitter: float) -> int:
    """
    The pause after `attempts` attempts: 5 s, 15 s, 45 s … up to an hour, times 0.75 to 1.25.

    `jitter` is from 0 to 1; it keeps events that failed together from coming back together.
    """
    delay_ms: int = min(_FIRST_DELAY_MS * 3 ** min(attempts - 1, 10), _LONGEST_DELAY_MS)
    return round(delay_ms * (0.75 + jitter / 2))


def recheck_at_ms(attempts: int, now_ms: int) -> int | None:
    """
    When to look again at an event that waits for another one; None after six looks.

    What it waits for wakes it up in the same transaction that brings it; looking again covers the one case where
    both were under way at the same instant.
    """
    if attempts > len(_RECHECKS_MS):
        return None
    return now_ms + _RECHECKS_MS[attempts - 1]


def failure_of(error: BaseException) -> Failure:
    """What to store of `error`. Other people's errors are named by class alone: their texts may carry row contents."""
    if isinstance(error, CreditsError):
        return Failure(code=error.code, detail=str(error))
    if is_unavailable(error):
        return Failure(code=DependencyError.code, detail=f"the database is unavailable ({type(error).__name__})")
    return Failure(code="unexpected_error", detail=f"{type(error).__name__}; the worker's log has the stack")


def outcome_of_error(error: BaseException, *, attempts: int, now_ms: int, jitter: float) -> Outcome:
    """
    Decide what becomes of an event whose attempt number `attempts` raised `error`.

    An error of ours that says the input or configuration is wrong goes to an operator at once (`failed`, not due);
    what may pass by itself is tried again with growing pauses and then quarantined (`dead`).
    """
    failure = failure_of(error)
    if isinstance(error, CreditsError) and not isinstance(error, DependencyError | LeaseLostError):
        return Outcome(state=EventState.FAILED, code=failure.code, detail=failure.detail)
    limit = MAX_ATTEMPTS_UNAVAILABLE if is_unavailable(error) else MAX_ATTEMPTS_UNEXPECTED
    if attempts >= limit:
        return Outcome(state=EventState.DEAD, code=failure.code, detail=f"{failure.detail} ({attempts} attempts)")
    return Outcome(
        state=EventState.FAILED,
        code=failure.code,
        detail=failure.detail,
        due_at_ms=now_ms + backoff_ms(attempts, jitter),
    )


def outcome_of_crashes(crashes: int) -> Outcome | None:
    """Quarantine an event whose workers keep dying; None while it may be tried."""
    if crashes < MAX_CRASHES:
        return None
    return Outcome(
        state=EventState.DEAD,
        code="poison",
        detail=f"{crashes} workers that took this event died or were silent for {LEASE_MS // 1000} s",
    )


_UNREADABLE: Final = (
    "The event cannot be read; the message names the field. Grant by hand with `credits grant` and run "
    "`credits events skip`; then set right what writes the metadata, or report the new shape."
)

FIXES: Final = {
    "poison": "Look at the workers' logs around its attempts; fix the cause, then run `credits events retry`.",
    "unexpected_error": "Look at the worker's log for the stack; fix the cause, then run `credits events retry`.",
    "nobody_to_credit": "Find out whose payment it is and run `credits events attach EVENT ACCOUNT --reason WHY`.",
    "quote_open": (
        "Nothing: it is credited by itself when the time of the quote that fits is over. If you know better, "
        "`credits events attach`."
    ),
    "credits_unknown": (
        "The payment does not say which credits it bought: run `credits events attach EVENT ACCOUNT "
        "--credit-type TYPE --amount N --reason WHY`; or `credits events skip EVENT --reason WHY` if it bought "
        "something else."
    ),
    "unknown_credit_type": (
        "Declare the credit type in credits.toml, restart the workers and run `credits events retry`; or say what was "
        "bought: `credits events attach EVENT ACCOUNT --credit-type TYPE --amount N --reason WHY`."
    ),
    "idempotency_conflict": (
        "This payment's credits were granted before, with other content; compare both with `credits entries`. "
        "If the first grant is right, run `credits events skip`; if not, `credits deduct` what it gave, "
        "`credits grant` what this one names, then skip."
    ),
    "malformed_payload": _UNREADABLE,
    "invalid_input": _UNREADABLE,
    "invalid_amount": _UNREADABLE,
    "invalid_currency": _UNREADABLE,
    "invalid_id": _UNREADABLE,
    SUBSCRIPTION_UNKNOWN: "Nothing: it goes on when the subscription's own event arrives; resend that if it is lost.",
    PAYMENT_UNKNOWN: (
        "Nothing: it goes on when the payment's own event arrives; resend that if it is lost. If the payment bought "
        "nothing here, run `credits events skip EVENT --reason WHY`."
    ),
    "mode_mismatch": "Compare the endpoint's secret: a test event came with a live secret, or the other way round.",
    "unread_type": "Nothing: events of this type move no credits.",
    "skipped": "Nothing: somebody dealt with it otherwise; the audit log says who and why.",
}
"""What to do about an event with this code; other codes are those of errors, which carry their own fix."""


def fix_of(code: str | None) -> str:
    """What an operator can do about an event with `code`; empty if there is nothing to do."""
    if code is None:
        return ""
    return FIXES.get(code) or _FIX_BY_ERROR_CODE.get(code, "")


def _fixes_below(error: type[CreditsError]) -> dict[str, str]:
    fixes = {error.code: error.fix}
    for child in error.__subclasses__():
        fixes |= _fixes_below(child)
    return fixes


_FIX_BY_ERROR_CODE: Final = _fixes_below(CreditsError) | {AllocationError.code: AllocationError.fix}
