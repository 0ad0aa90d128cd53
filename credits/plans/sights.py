"""Which look at a subscription tells what an invoice was for, where the invoice does not say. Pure functions."""

from collections.abc import Sequence
from typing import Final

from credits.plans.model import Sight

# A renewal shows in its subscription a moment later; a change of plan shows at about the time of its invoice.
JUST_AFTER_MS: Final = 3_600_000
JUST_BEFORE_MS: Final = 60_000


def sight_at(sights: Sequence[Sight], at_ms: int) -> Sight | None:
    """The last of `sights`, in their order, that the provider showed by `at_ms`."""
    return next((sight for sight in reversed(sights) if sight.stamp_ms <= at_ms), None)


def is_seen_since(sights: Sequence[Sight], at_ms: int) -> bool:
    """
    Whether the subscription was seen as it was when an invoice was made, so that no older event can tell otherwise.

    Its provider shows it whenever it renews: at about that time, or with the end of the period that was paid.
    """
    return any(
        sight.stamp_ms >= at_ms - JUST_BEFORE_MS or (sight.period_end_ms or 0) > at_ms + JUST_AFTER_MS
        for sight in sights
    )


def sight_for(sights: Sequence[Sight], at_ms: int, *, is_initial: bool) -> Sight | None:
    """How the subscription looked when the invoice was made, as well as is known."""
    if is_initial:
        first = next((sight for sight in sights if sight.is_first), None)
        if first is not None:
            return first
    own = next((sight for sight in sights if at_ms <= sight.stamp_ms <= at_ms + JUST_AFTER_MS), None)
    return own or sight_at(sights, at_ms) or next(iter(sights), None)
