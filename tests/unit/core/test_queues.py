"""The queue: every task has one, and the settings keep what the broker breaks within bounds."""

from typing import Any

import pytest

from credits.queues import EVERY_S, QUEUE_OF, TASK_TIME_LIMIT_S, VISIBILITY_TIMEOUT_S, Task, make_celery

REDIS = make_celery("redis://127.0.0.1:1/0").conf
RABBIT = make_celery("amqp://127.0.0.1:1").conf


@pytest.mark.parametrize("task", Task)
def test_every_task_has_a_queue_and_goes_to_it(task: Task) -> None:
    assert REDIS.task_routes[task.value] == {"queue": QUEUE_OF[task]}
    assert QUEUE_OF[task] in {queue.name for queue in REDIS.task_queues}


def test_the_sweeps_have_a_queue_of_their_own() -> None:
    sweeps = {QUEUE_OF[task] for task in EVERY_S}

    assert QUEUE_OF[Task.PROCESS_EVENTS] not in sweeps


def test_a_running_task_is_never_handed_out_a_second_time() -> None:
    assert REDIS.broker_transport_options["visibility_timeout"] == VISIBILITY_TIMEOUT_S >= 2 * TASK_TIME_LIMIT_S
    assert REDIS.task_soft_time_limit < REDIS.task_time_limit == TASK_TIME_LIMIT_S


@pytest.mark.parametrize("conf", [REDIS, RABBIT], ids=["redis", "rabbitmq"])
def test_only_json_travels_and_no_result_is_kept(conf: Any) -> None:
    assert conf.accept_content == ["json"]
    assert conf.task_serializer == "json"
    assert conf.task_ignore_result is True
    assert conf.result_backend is None


def test_a_message_outlives_the_worker_that_had_it_and_is_not_hoarded() -> None:
    assert REDIS.task_acks_late
    assert REDIS.task_reject_on_worker_lost
    assert REDIS.task_acks_on_failure
    assert REDIS.worker_prefetch_multiplier == 1


def test_a_broker_that_is_away_holds_nobody_up() -> None:
    options = REDIS.broker_transport_options

    assert REDIS.task_publish_retry is False
    assert options["socket_connect_timeout"] <= 1
    assert options["socket_timeout"] <= 5
    assert REDIS.broker_connection_max_retries is None


@pytest.mark.parametrize(("task", "every_s"), EVERY_S.items())
def test_a_tick_that_nobody_took_in_time_lapses(task: Task, every_s: float) -> None:
    (entry,) = [entry for entry in REDIS.beat_schedule.values() if entry["task"] == task.value]

    assert entry["schedule"] == every_s
    assert 0 < entry["options"]["expires"] <= 4 * every_s
    assert entry["options"]["queue"] == QUEUE_OF[task]
