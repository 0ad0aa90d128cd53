"""Tasks of notifications."""

from credits.db import transaction
from credits.job_runs import take_slot
from credits.notifications import service as notifications
from credits.notifications.watch import watch
from credits.queues import EVERY_S, Task
from workers.app import app
from workers.runtime import notify_runtime, runtime, watch_runtime


@app.task(name=Task.SEND_NOTIFICATIONS.value)
def send_notifications() -> None:
    """Deliver what is due. However many beats tick, one worker does it per period."""
    if _is_mine(Task.SEND_NOTIFICATIONS):
        until_ms = runtime().clock() + int(EVERY_S[Task.SEND_NOTIFICATIONS] * 1000)
        notifications.sweep(notify_runtime(), until_ms=until_ms)


@app.task(name=Task.WATCH_BALANCES.value)
def watch_balances() -> None:
    """Note which balances became low or recovered, and what lapses soon. One worker does it per period."""
    if _is_mine(Task.WATCH_BALANCES):
        watch(watch_runtime())


def _is_mine(task: Task) -> bool:
    with transaction(runtime().engine) as connection:
        return take_slot(connection, task.value, period_ms=int(EVERY_S[task] * 1000), now_ms=runtime().clock())
