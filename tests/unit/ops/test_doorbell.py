"""The command rings for what it made due, and never waits for an answer."""

import json

from credits.ops.cli.doorbell import MOST_RUNG, ring
from credits.queues import QUEUE_OF, Task, make_celery

IN_THIS_PROCESS = "memory://"


def test_the_first_events_of_many_are_rung_for() -> None:
    ring(IN_THIS_PROCESS, list(range(1, 101)))

    with make_celery(IN_THIS_PROCESS).connection() as connection:
        message = connection.SimpleQueue(QUEUE_OF[Task.PROCESS_EVENTS]).get(timeout=1)
    assert message.headers["task"] == Task.PROCESS_EVENTS.value
    assert json.loads(message.body)[0] == [list(range(1, MOST_RUNG + 1))]


def test_a_broker_that_is_away_is_no_error() -> None:
    ring("redis://127.0.0.1:1/0", [1])
