"""
A worker that has gone deaf ends itself: connected to nothing, with messages waiting, it would sit there for ever.

Celery does that: when Redis is killed while a worker acknowledges a task, the error is logged, the connection is gone,
and the consumer never learns of it. Its event loop turns as before, so a heartbeat alone says that all is well. What
counts is whether messages wait that nobody takes. Ending is safe at any time (tasks are rebuilt from SQL), and whoever
started the worker starts it again.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from celery import Celery, bootsteps
from celery.worker import state as worker_state
from kombu import Queue
from kombu.exceptions import KombuError

from credits.log import get_logger
from credits.queues import TASK_TIME_LIMIT_S

IDLE_S: Final = 10.0
"""Having received nothing for so long, with nothing in hand, a worker asks whether there is anything to receive."""

BUSY_S: Final = TASK_TIME_LIMIT_S + 15.0
"""The same with work in hand: by then each task is over or has been killed."""

ASK_EVERY_S: Final = 5.0
"""How often the broker is asked while nothing changes."""

_LOOK_EVERY_S: Final = 1.0
_CERTAIN_AFTER: Final = 2

log = get_logger(__name__)


def install(app: Celery) -> None:
    """Let every worker of `app` listen to itself. Safe to repeat."""
    app.steps["consumer"].add(HearingStep)


@dataclass(slots=True, kw_only=True)
class Hearing:
    """What a worker knows about its own hearing."""

    seen: tuple[int, int]
    """How many tasks it has received in all, and how many it has in hand."""
    changed_s: float
    asked_s: float
    unheard: int = 0
    """How many times in a row messages were waiting and nothing had changed."""

    def is_due(self, seen: tuple[int, int], now_s: float) -> bool:
        """Note what is seen now; whether it is time to ask the broker if messages wait."""
        if seen != self.seen:
            self.seen, self.changed_s, self.unheard = seen, now_s, 0
        _received, in_hand = seen
        is_quiet = now_s - self.changed_s >= (BUSY_S if in_hand else IDLE_S)
        return is_quiet and now_s - self.asked_s >= ASK_EVERY_S

    def is_deaf(self, *, messages_wait: bool, now_s: float) -> bool:
        """Note the broker's answer. One answer proves nothing: a message may just be on its way to somebody."""
        self.asked_s = now_s
        self.unheard = self.unheard + 1 if messages_wait else 0
        return self.unheard >= _CERTAIN_AFTER


class HearingStep(bootsteps.StartStopStep):
    """Looks once a second, from the consumer's event loop."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer_entry: Any = None

    def start(self, consumer: Any) -> None:
        now_s = time.monotonic()
        hearing = Hearing(seen=_seen(), changed_s=now_s, asked_s=now_s)
        self._timer_entry = consumer.timer.call_repeatedly(_LOOK_EVERY_S, _listen, (consumer, hearing))

    def stop(self, consumer: Any) -> None:
        if self._timer_entry is not None:
            consumer.timer.cancel(self._timer_entry)
            self._timer_entry = None


def _listen(consumer: Any, hearing: Hearing) -> None:
    if not hearing.is_due(_seen(), time.monotonic()):
        return
    waiting = messages_wait(consumer.app, consumer.task_consumer.queues)
    if hearing.is_deaf(messages_wait=waiting, now_s=time.monotonic()):
        log.error("worker.deaf", action="messages wait and none arrives: ending, to be started again")
        # The event loop ends on this, and the worker with it, without waiting for a connection it has lost.
        # (The stubs know its first value only.)
        worker_state.should_terminate = 1  # type: ignore[assignment]


def messages_wait(app: Celery, queues: Iterable[Queue]) -> bool:
    """Whether any of `queues` holds a message, asked over a connection of its own. False if the broker is away."""
    connection: Any = app.connection_for_read()
    try:
        return any(_length(connection.default_channel, queue) > 0 for queue in queues)
    except (KombuError, *connection.connection_errors, *connection.channel_errors, OSError):
        return False
    finally:
        connection.release()


def _length(channel: Any, queue: Queue) -> int:
    # Declared as it is, a queue answers its length on every broker. Asking passively fails on Redis with a key prefix.
    declared = channel.queue_declare(
        queue=queue.name,
        durable=queue.durable,
        exclusive=queue.exclusive,
        auto_delete=queue.auto_delete,
        arguments=queue.queue_arguments,
    )
    return int(declared.message_count)


def _seen() -> tuple[int, int]:
    return sum(worker_state.total_count.values()), len(worker_state.reserved_requests)
