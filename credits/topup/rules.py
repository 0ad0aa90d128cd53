"""Decides whether a saved card is charged now. Pure: the same rows and the same instant, the same answer."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import takewhile
from typing import Final

from credits.checkout.cards import DeclineKind
from credits.topup.model import Attempt, AttemptState, Blocked, Charge, Decision, Policy, Reason, Situation, Wait

BACK_OFF_MS: Final = tuple(hours * 3_600_000 for hours in (1, 6, 24, 72))
"""After the first, second … soft decline in a row. Card networks fine who tries more often."""

PAUSE_MS: Final = 5 * 60_000
"""Between two top-ups that both went well: an amount too small for the shortage drains no card in a minute."""

_FAILED: Final = frozenset({AttemptState.DECLINED, AttemptState.HANDED_OFF, AttemptState.REFUSED, AttemptState.LOST})


def decide(policy: Policy, situation: Situation, *, now_ms: int) -> Decision:
    """
    Whether to charge for `policy` now, and how many credits; or why not, and until when.

    There is no flag that could stay set: what is in flight, and what was declined, is read from the attempts.
    """
    if any(attempt.ended_at_ms is None for attempt in situation.attempts):
        return Wait(Reason.IN_FLIGHT)
    if not policy.is_on:
        return Blocked(Reason.OFF)
    if situation.available >= policy.threshold:
        return Wait(Reason.ENOUGH)
    if situation.is_account_blocked:
        return Blocked(Reason.ACCOUNT_BLOCKED)
    if situation.reversed_at_ms is not None and situation.reversed_at_ms >= policy.confirmed_at_ms:
        # Money went back: to take it again at once is not for a program to decide.
        return Blocked(Reason.REFUNDED)
    return _after(policy, situation.attempts, now_ms) or _within_cap(policy, situation, now_ms)


def amount_of(policy: Policy, available: int) -> int:
    """How many credits a top-up buys."""
    return policy.amount if policy.amount is not None else (policy.target or 0) - available


def month_start_ms(now_ms: int, *, months_on: int = 0) -> int:
    """When the calendar month of `now_ms` began in UTC, or one that many months on."""
    now = datetime.fromtimestamp(now_ms / 1000, tz=UTC)
    months = now.year * 12 + now.month - 1 + months_on
    return int(datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC).timestamp()) * 1000


def _after(policy: Policy, attempts: Sequence[Attempt], now_ms: int) -> Wait | Blocked | None:
    """What the attempts before say; None if nothing is in the way."""
    if not attempts:
        return None
    newest = attempts[0]
    ended_at_ms = newest.ended_at_ms or 0
    if newest.state is AttemptState.GRANTED:
        until_ms = ended_at_ms + PAUSE_MS
        return Wait(Reason.JUST_TOPPED_UP, until_ms) if now_ms < until_ms else None
    failed = list(takewhile(lambda one: _counts(one, policy), attempts))
    if not failed:
        return None
    if newest.state is AttemptState.HANDED_OFF:
        return Blocked(Reason.AUTHENTICATION_NEEDED)
    if newest.kind is DeclineKind.HARD:
        return Blocked(Reason.CARD_DECLINED)
    if len(failed) > len(BACK_OFF_MS):
        return Blocked(Reason.DECLINED_TOO_OFTEN)
    until_ms = ended_at_ms + BACK_OFF_MS[len(failed) - 1]
    return Wait(Reason.BACK_OFF, until_ms) if now_ms < until_ms else None


def _counts(attempt: Attempt, policy: Policy) -> bool:
    return attempt.state in _FAILED and (attempt.ended_at_ms or 0) > policy.confirmed_at_ms


def _within_cap(policy: Policy, situation: Situation, now_ms: int) -> Decision:
    cost_minor = situation.cost_minor or 0
    if cost_minor > policy.cap_minor:
        return Blocked(Reason.CAP_TOO_SMALL)
    if situation.spent_minor + cost_minor > policy.cap_minor:
        return Wait(Reason.MONTHLY_CAP, month_start_ms(now_ms, months_on=1))
    return Charge(amount_of(policy, situation.available))
