"""The queue: task names, which queue each goes to, and the Celery app that producers and workers share."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from celery import Celery
from kombu import Exchange, Queue


class Task(StrEnum):
    """Every task, by the name it is sent under."""

    PROCESS_EVENTS = "creditgate.process_events"
    SWEEP_INBOX = "creditgate.sweep_inbox"
    SETTLE_JOURNALS = "creditgate.settle_journals"
    SWEEP_GATE = "creditgate.sweep_gate"
    DELETE_OLD_LIBRARIES = "creditgate.delete_old_libraries"
    SWEEP_PLANS = "creditgate.sweep_plans"
    SEND_NOTIFICATIONS = "creditgate.send_notifications"
    WATCH_BALANCES = "creditgate.watch_balances"
    SWEEP_TOPUPS = "creditgate.sweep_topups"
    RECONCILE = "creditgate.reconcile"


QUEUE_OF: Final = {
    Task.PROCESS_EVENTS: "events",
    # Apart, so that a flood of events cannot delay the sweep that guards them.
    Task.SWEEP_INBOX: "sweeps",
    Task.SETTLE_JOURNALS: "sweeps",
    Task.SWEEP_GATE: "sweeps",
    Task.DELETE_OLD_LIBRARIES: "sweeps",
    Task.SWEEP_PLANS: "sweeps",
    # Apart, so that a destination which answers slowly delays nobody's credits.
    Task.SEND_NOTIFICATIONS: "notifications",
    Task.WATCH_BALANCES: "sweeps",
    # Beside the notifications: a provider that answers slowly delays nobody's credits.
    Task.SWEEP_TOPUPS: "notifications",
    Task.RECONCILE: "notifications",
}

EVERY_S: Final = {
    Task.SWEEP_INBOX: 5.0,
    Task.SETTLE_JOURNALS: 2.0,
    Task.SWEEP_GATE: 5.0,
    Task.DELETE_OLD_LIBRARIES: 3_600.0,
    Task.SWEEP_PLANS: 5.0,
    Task.SEND_NOTIFICATIONS: 2.0,
    Task.WATCH_BALANCES: 10.0,
    Task.SWEEP_TOPUPS: 10.0,
    Task.RECONCILE: 300.0,
}
"""How often beat sends each of the periodic tasks."""

TASK_TIME_LIMIT_S: Final = 60
VISIBILITY_TIMEOUT_S: Final = 2 * TASK_TIME_LIMIT_S
"""Longer than any task may run, or the broker would hand out a running one a second time."""


_SETTINGS: Final[Mapping[str, Any]] = {
    "task_routes": {task.value: {"queue": queue} for task, queue in QUEUE_OF.items()},
    # A worker that is not told otherwise serves every queue.
    "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in dict.fromkeys(QUEUE_OF.values())],
    "task_default_queue": QUEUE_OF[Task.PROCESS_EVENTS],
    # Only JSON ever enters or leaves: a pickle in the broker would run code here.
    "task_serializer": "json",
    "accept_content": ["json"],
    # Nobody reads results; the event's row is the result.
    "task_ignore_result": True,
    # A task may die with its worker; it is safe to run twice, so it is acknowledged when it is over.
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    # A failure is recorded in SQL, where the next attempt comes from. The message has done its work.
    "task_acks_on_failure": True,
    "task_acks_on_timeout": True,
    "task_time_limit": TASK_TIME_LIMIT_S,
    "task_soft_time_limit": 45,
    # A worker that dies takes one waiting message with it, not a batch.
    "worker_prefetch_multiplier": 1,
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "worker_soft_shutdown_timeout": 10.0,
    # Memory that a library leaks is given back before it hurts.
    "worker_max_tasks_per_child": 10_000,
    "worker_max_memory_per_child": 300_000,
    # No remote control and no event stream: nothing listens, and both cost Redis traffic all day.
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "worker_hijack_root_logger": False,
    # A message that cannot be sent is dropped at once; the sweep finds its event.
    "task_publish_retry": False,
    "broker_pool_limit": 4,
    "broker_connection_timeout": 2,
    # A worker outlives any outage of its broker.
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    # Ticks that nobody took in time are worthless: the next one does their work.
    "beat_schedule": {
        task.value: {
            "task": task.value,
            "schedule": every_s,
            "options": {"expires": 2 * every_s, "queue": QUEUE_OF[task]},
        }
        for task, every_s in EVERY_S.items()
    },
    # Kept in memory: a tick is idempotent per slot in SQL, so there is nothing worth a file.
    "beat_scheduler": "celery.beat:Scheduler",
    "timezone": "UTC",
}
"""What every app has, on whatever broker."""


def make_celery(broker_url: str) -> Celery:
    """
    A Celery app on `broker_url` (Redis, or RabbitMQ with `amqp://`). Connects on first use.

    The broker is a doorbell: it may lose a message or bring it twice, and credits are right all the same. The
    settings above keep both rare and keep a broken broker from holding anybody up.
    """
    app = Celery("creditgate", broker=broker_url, set_as_current=False)
    app.conf.update(_SETTINGS, broker_transport_options=_transport_options(broker_url))
    return app


def _transport_options(broker_url: str) -> dict[str, object]:
    if not broker_url.startswith(("redis", "rediss")):
        # RabbitMQ: publish, and know that it was stored.
        return {"confirm_publish": True}
    return {
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "unacked_restore_interval": 5,
        "unacked_mutex_expire": 30,
        # Without these a half-open connection holds a publisher for minutes.
        "socket_timeout": 5,
        "socket_connect_timeout": 1,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "global_keyprefix": "crdq:",
    }
