"""The heartbeat of holds: one thread of a process extends them all while their jobs run."""

import heapq
import itertools
import math
import os
import threading
import time
from collections.abc import Callable
from typing import Final

from credits.errors import CreditsError, HoldEndedError
from credits.log import get_logger

BEATS_PER_TTL: Final = 3
"""Two beats may be lost before a hold is."""

RETRIES_PER_TTL: Final = 10

log = get_logger(__name__)


class Beating:
    """One thing that is kept alive. `extend` is called every third of its time to live, by the heartbeat's thread."""

    def __init__(self, name: str, ttl_s: float, extend: Callable[[], object], on_end: Callable[[], None]) -> None:
        self.name = name
        self.ttl_s = ttl_s
        self._extend = extend
        self._on_end = on_end
        self.is_stopped = False

    def beat(self) -> float | None:
        """Extend once; answers in how many seconds to come again, None if it is over."""
        try:
            self._extend()
        except HoldEndedError:
            self._on_end()
            return None
        except CreditsError as error:
            log.warning("hold.not_extended", hold=self.name, code=error.code)
            return self.ttl_s / RETRIES_PER_TTL
        # A job must not lose its hold to a surprise in here; the next beat may do better.
        except Exception as error:
            log.warning("hold.not_extended", hold=self.name, exc_info=error)
            return self.ttl_s / RETRIES_PER_TTL
        return self.ttl_s / BEATS_PER_TTL


class Heartbeat:
    """A thread that starts with the first hold of a process and sleeps until the next one is due."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._reset()

    def start(self, beating: Beating) -> None:
        """Keep `beating` alive until it is stopped or over."""
        if os.getpid() != self._process:
            # The thread did not come along when the process forked, and the parent keeps its own holds alive.
            self._reset()
        with self._changed:
            self._drop_stopped()
            due_s = self._push(beating, beating.ttl_s / BEATS_PER_TTL)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="credits-heartbeat", daemon=True)
                self._thread.start()
            if due_s < self._wakes_at_s:
                # Woken for each hold, it would cost a short job more than all the rest of its hold.
                self._changed.notify()

    def stop(self, beating: Beating) -> None:
        """Leave `beating` alone from now on. A beat that is under way may still arrive."""
        beating.is_stopped = True

    def _reset(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Beating]] = []
        self._order = itertools.count()
        self._thread = None
        self._wakes_at_s = math.inf

    def _push(self, beating: Beating, in_s: float) -> float:
        due_s = time.monotonic() + in_s
        heapq.heappush(self._due, (due_s, next(self._order), beating))
        return due_s

    def _drop_stopped(self) -> None:
        while self._due and self._due[0][2].is_stopped:
            heapq.heappop(self._due)

    def _run(self) -> None:
        while True:
            beating = self._next()
            in_s = beating.beat()
            if in_s is not None and not beating.is_stopped:
                with self._changed:
                    self._push(beating, in_s)

    def _next(self) -> Beating:
        with self._changed:
            while True:
                self._drop_stopped()
                self._wakes_at_s = self._due[0][0] if self._due else math.inf
                wait_s = self._wakes_at_s - time.monotonic()
                if wait_s <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait_s if self._due else None)


heartbeat: Final = Heartbeat()
"""The one of this process."""
