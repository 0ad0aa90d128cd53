"""The doorbell: tells the workers that events are there, without a request ever waiting for the broker."""

import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Final

from credits.log import get_logger

MAX_BATCH: Final = 20
MAX_WAITING: Final = 10_000

# A message costs half as much CPU as the request it tells of. The first event goes out at once; those that come within
# the pause after it share the next message.
_PAUSE_S: Final = 0.02

log = get_logger(__name__)


class Doorbell:
    """
    Sends event ids to the queue from a thread of its own, several in one message when they come fast.

    A ring may be lost (broker away, too many waiting, process killed): the sweep finds its event within seconds.
    """

    def __init__(self, send: Callable[[list[int]], None]) -> None:
        self._send = send
        self._waiting: queue.Queue[int] = queue.Queue(MAX_WAITING)
        self._start_lock = threading.Lock()
        self._started_in_pid: int | None = None

    def ring(self, event_id: int) -> None:
        """Ask for `event_id` to be processed soon. Never blocks and never raises."""
        # Threads don't survive a fork: the first ring in each process starts one.
        if self._started_in_pid != os.getpid():
            self._start()
        try:
            self._waiting.put_nowait(event_id)
        except queue.Full:
            log.warning("doorbell.full", inbox_id=event_id)

    def _start(self) -> None:
        with self._start_lock:
            if self._started_in_pid == os.getpid():
                return
            self._waiting = queue.Queue(MAX_WAITING)
            threading.Thread(target=self._run, name="doorbell", daemon=True).start()
            self._started_in_pid = os.getpid()

    def _run(self) -> None:
        while True:
            batch = [self._waiting.get()]
            while len(batch) < MAX_BATCH:
                try:
                    batch.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            try:
                self._send(batch)
            # A broker fails in as many ways as its client has exceptions; all mean the same here.
            except Exception as error:  # noqa: BLE001
                log.warning("doorbell.not_sent", events=len(batch), error=type(error).__name__)
            if len(batch) < MAX_BATCH:
                time.sleep(_PAUSE_S)
