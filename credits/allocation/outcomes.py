"""How the outcomes of an event's facts add up to the event's own."""

from collections.abc import Sequence
from typing import Final

from credits.inbox.model import EventState, Outcome

# The state that most needs attention wins: a paid line that waits must not hide behind one that is done.
_RANK: Final = (
    EventState.UNATTRIBUTED,
    EventState.WAITING,
    EventState.FAILED,
    EventState.DONE,
    EventState.IGNORED,
)


def done(detail: str, *, account: str | None = None, payment: str | None = None) -> Outcome:
    """The fact has had its effect, now or before."""
    return Outcome(state=EventState.DONE, detail=detail, account=account, payment=payment)


def ignored(detail: str) -> Outcome:
    """The fact moves no credits."""
    return Outcome(state=EventState.IGNORED, detail=detail)


def combined(outcomes: Sequence[Outcome]) -> Outcome:
    """One outcome for an event of several facts. Those that are done stay done, by their keys, when it is retried."""
    leading = min(outcomes, key=lambda outcome: _RANK.index(outcome.state))
    due = [outcome.due_at_ms for outcome in outcomes if outcome.due_at_ms is not None]
    return Outcome(
        state=leading.state,
        code=leading.code,
        detail="; ".join(dict.fromkeys(outcome.detail for outcome in outcomes if outcome.detail)),
        due_at_ms=min(due, default=None),
        account=next((outcome.account for outcome in outcomes if outcome.account), None),
        payment=next((outcome.payment for outcome in outcomes if outcome.payment), None),
        waits_for=tuple(dict.fromkeys(subject for outcome in outcomes for subject in outcome.waits_for)),
    )
