"""When a worker decides that it has gone deaf."""

from workers.hearing import ASK_EVERY_S, BUSY_S, IDLE_S, Hearing

NOTHING = (0, 0)


def listening() -> Hearing:
    return Hearing(seen=NOTHING, changed_s=0.0, asked_s=0.0)


def test_a_worker_that_has_just_received_something_does_not_ask() -> None:
    hearing = listening()

    assert not hearing.is_due(NOTHING, IDLE_S - 0.1)
    assert not hearing.is_due((1, 0), IDLE_S)
    assert hearing.is_due((1, 0), 2 * IDLE_S)


def test_a_worker_with_work_in_hand_is_given_as_long_as_a_task_may_take() -> None:
    hearing = listening()

    assert not hearing.is_due((1, 1), 0.0)
    assert not hearing.is_due((1, 1), BUSY_S - 0.1)
    assert hearing.is_due((1, 1), BUSY_S)


def test_it_asks_again_only_after_a_while() -> None:
    hearing = listening()
    hearing.is_deaf(messages_wait=False, now_s=IDLE_S)

    assert not hearing.is_due(NOTHING, IDLE_S + ASK_EVERY_S - 0.1)
    assert hearing.is_due(NOTHING, IDLE_S + ASK_EVERY_S)


def test_it_is_deaf_when_messages_wait_twice_and_nothing_arrives_between() -> None:
    hearing = listening()

    assert not hearing.is_deaf(messages_wait=True, now_s=10.0)
    assert hearing.is_deaf(messages_wait=True, now_s=15.0)


def test_an_empty_queue_or_a_received_task_between_proves_it_hears() -> None:
    empty_between, received_between = listening(), listening()

    empty_between.is_deaf(messages_wait=True, now_s=10.0)
    empty_between.is_deaf(messages_wait=False, now_s=15.0)
    received_between.is_deaf(messages_wait=True, now_s=10.0)
    received_between.is_due((1, 0), 12.0)

    assert not empty_between.is_deaf(messages_wait=True, now_s=20.0)
    assert not received_between.is_deaf(messages_wait=True, now_s=30.0)
