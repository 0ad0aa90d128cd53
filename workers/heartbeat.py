"""
A worker's and a beat's sign of life: a file that their own loops touch, for the supervisor to look at.

The worker touches it from its consumer's event loop. When the broker's connection is lost the consumer stops and so do
the touches; when it is back the consumer starts and so do they. A thread beside the loop would go on touching while the
loop hangs, which is just what has to be found out.
"""

import os
from pathlib import Path
from typing import Any, Final

from celery import Celery, bootsteps
from celery.beat import Scheduler

from credits.ops.supervise.probes import HEARTBEAT_VARIABLE

_EVERY_S: Final = 1.0


def install(app: Celery) -> None:
    """Let every worker of `app` that has been told of a heartbeat file touch it while it consumes. Safe to repeat."""
    app.steps["consumer"].add(HeartbeatStep)


class HeartbeatStep(bootsteps.StartStopStep):
    """Touches the file for as long as the consumer runs."""

    # Last in line: only after the worker has subscribed to its queues is it any use.
    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer_entry: Any = None

    def start(self, consumer: Any) -> None:
        touch()
        self._timer_entry = consumer.timer.call_repeatedly(_EVERY_S, touch)

    def stop(self, consumer: Any) -> None:
        if self._timer_entry is not None:
            consumer.timer.cancel(self._timer_entry)
            self._timer_entry = None


class BeatScheduler(Scheduler):
    """
    Celery's scheduler without its file, and with a heartbeat.

    When a job last ran is a row in SQL, by which every job is done once per slot; a file beside it could only differ.
    """

    # Wake up at least this often, so that the heartbeat is steady whatever the schedule is.
    max_interval = 5

    def tick(self, *arguments: Any, **options: Any) -> Any:
        touch()
        return super().tick(*arguments, **options)


def touch() -> None:
    """Give a sign of life, if the environment names a file for it."""
    file = os.environ.get(HEARTBEAT_VARIABLE)
    if file:
        Path(file).touch(mode=0o600)
