"""The worker's yardstick: a Celery task that does nothing, on the same broker with the same settings."""

import os

from kombu import Exchange, Queue

from credits.queues import make_celery
from workers import heartbeat

TASK = "benchmark.empty"
QUEUE = "empty"

app = make_celery(os.environ.get("CREDITGATE_BROKER_URL", ""))
app.conf.task_queues = [Queue(QUEUE, Exchange(QUEUE), routing_key=QUEUE)]
heartbeat.install(app)


@app.task(name=TASK)
def empty(number: int) -> None:
    """Do nothing."""
