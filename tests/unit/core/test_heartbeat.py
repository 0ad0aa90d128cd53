"""The thread that extends holds sleeps until one is due, and keeps none that ended."""

import threading
from typing import Final

from credits.reservations.heartbeat import Beating, Heartbeat

PATIENCE_S: Final = 90


def beating(ttl_s: float, beaten: threading.Event) -> Beating:
    return Beating("a", ttl_s, beaten.set, lambda: None)


def test_a_hold_that_is_due_before_the_one_slept_for_is_extended_in_time() -> None:
    heart, late, soon = Heartbeat(), threading.Event(), threading.Event()
    heart.start(beating(600, late))

    first = beating(0.03, soon)
    heart.start(first)

    assert soon.wait(PATIENCE_S)
    assert not late.is_set()
    heart.stop(first)


def test_short_jobs_leave_nothing_behind() -> None:
    heart = Heartbeat()
    heart.start(beating(600, threading.Event()))

    for _ in range(100):
        one = beating(60, threading.Event())
        heart.start(one)
        heart.stop(one)

    assert len(heart._due) <= 2
