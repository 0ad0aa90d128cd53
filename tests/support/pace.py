"""How long something took on a machine that does other things as well: a bound holds for the product, not for them."""

import threading
import time
from types import TracebackType
from typing import Final

_WORK_S: Final = 0.002
_REST_S: Final = 0.02


class Pace:
    """
    Measures, while its block runs, how much of a processor a thread gets that wants one. Use it as a context manager.

    A thread works for two milliseconds, fifty times a second, and sees how long that takes and how late it wakes. On
    an idle machine all is as it should be; on one that is four times too slow, or stood still meanwhile, a time
    measured in the block counts for as much less.
    """

    def __init__(self) -> None:
        self.took_s = 0.0
        self._wanted_s = self._waited_s = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Pace":
        self._began_s = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.took_s = time.monotonic() - self._began_s
        self._is_over.set()
        self._thread.join()

    @property
    def speed(self) -> float:
        """The part of a processor that a thread got: 1 on an idle machine."""
        return min(1.0, self._wanted_s / self._waited_s)

    @property
    def fair_s(self) -> float:
        """What the block would have taken on an idle machine."""
        return self.fair(self.took_s)

    def fair(self, took_s: float) -> float:
        """What something in the block that took `took_s` would have taken on an idle machine."""
        return took_s * self.speed

    def _run(self) -> None:
        woken_late_s = 0.0
        while True:
            began_s, worked_s = time.monotonic(), time.thread_time()
            while time.thread_time() - worked_s < _WORK_S:
                pass
            ended_s = time.monotonic()
            self._wanted_s += time.thread_time() - worked_s
            self._waited_s += ended_s - began_s + woken_late_s
            if self._is_over.wait(_REST_S):
                return
            woken_late_s = max(0.0, time.monotonic() - ended_s - 2 * _REST_S)
