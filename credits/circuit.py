"""A server that did not answer in time is left alone for a moment, so that others need not find out one by one."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

PAUSE_S: Final = 0.5
"""How long nobody is let through after a failure; so much later at most is it noticed that the server is back."""

TRIAL_S: Final = 2.5
"""How long the one that is let through then may take, before another one is."""


@dataclass(slots=True)
class Circuit:
    """
    Lets everybody through while the server answers; after a failure only one at a time, to try it. Safe to share.

    Without it, every thread would wait for the timeout of a server that hangs, and the requests behind them for more.
    """

    pause_s: float = PAUSE_S
    monotonic: Callable[[], float] = time.monotonic
    _shut_until_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def lets_through(self) -> bool:
        """Whether to ask the server. Who is let through reports `answered` or `failed`."""
        if not self._shut_until_s:
            return True
        with self._lock:
            now_s = self.monotonic()
            if now_s < self._shut_until_s:
                return False
            self._shut_until_s = now_s + TRIAL_S
            return True

    def answered(self) -> None:
        """The server is there."""
        if self._shut_until_s:
            self._shut_until_s = 0.0

    def failed(self) -> None:
        """The server did not answer in time."""
        if self.pause_s:
            with self._lock:
                self._shut_until_s = self.monotonic() + self.pause_s
