"""Deadlines of open holds: one instant while server and caller agree about the time, two while they do not."""

from dataclasses import replace

from credits.reservations.rules.account import SKEW_MS, Hold, Moment


def with_deadline(hold: Hold, at: Moment, ttl_ms: int, latest_ms: int | None = None) -> Hold:
    """`ttl_ms` from now by either clock, at most at `latest_ms`, never nearer than it was."""
    due, by = at.sure_ms + ttl_ms, at.now_ms + ttl_ms
    if latest_ms is not None:
        due, by = min(due, latest_ms), min(by, latest_ms)
    before = hold.by_ms or hold.due_at_ms
    set_at = at.now_ms if by > before else hold.set_at_ms
    return _certain(replace(hold, due_at_ms=max(hold.due_at_ms, due), by_ms=max(before, by), set_at_ms=set_at))


def is_over(hold: Hold, at: Moment) -> tuple[Hold, bool]:
    """Whether an open hold's time has run out; if the server's clock may yet be right, the hold with what is left."""
    if hold.due_at_ms > at.sure_ms:
        return hold, False
    if hold.by_ms is None or hold.set_at_ms is None or at.now_ms >= hold.by_ms:
        return hold, True
    # The server was ahead when the deadline was set: its clock has been set back since.
    if hold.set_at_ms > at.now_ms + SKEW_MS or hold.set_at_ms <= at.wrong_ms:
        return hold, True
    return _certain(replace(hold, due_at_ms=at.sure_ms + hold.by_ms - at.now_ms)), False


def _certain(hold: Hold) -> Hold:
    return replace(hold, by_ms=None, set_at_ms=None) if hold.by_ms == hold.due_at_ms else hold
