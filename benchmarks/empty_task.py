"""The workers' yardstick: a Celery task that does nothing, on the same broker with the same settings."""

import os
import time
from typing import Final

import redis
from kombu import Exchange, Queue

from credits.queues import make_celery
from tests.support.processes import wait_until
from workers import heartbeat

APP: Final = "benchmarks.empty_task:app"
TASK: Final = "benchmark.empty"
QUEUE: Final = "empty"

app = make_celery(os.environ.get("CREDITGATE_BROKER_URL", ""))
app.conf.task_queues = [Queue(QUEUE, Exchange(QUEUE), routing_key=QUEUE)]
heartbeat.install(app)


@app.task(name=TASK)
def empty(number: int) -> None:
    """Do nothing."""


def tasks_per_s(broker_url: str, count: int, *, patience_s: float) -> float:
    """From the first message sent to the last task acknowledged, by the workers of `APP` that run on this broker."""
    producer = make_celery(broker_url)
    began_s = time.perf_counter()
    for number in range(count):
        producer.send_task(TASK, args=[number], queue=QUEUE, ignore_result=True)
    with redis.Redis.from_url(broker_url) as client:
        prefix = producer.conf.broker_transport_options["global_keyprefix"]
        names = f"{prefix}{QUEUE}", f"{prefix}unacked"
        wait_until(lambda: not client.exists(*names), timeout_s=patience_s, what=f"the empty tasks are done ({names})")
    return count / (time.perf_counter() - began_s)
