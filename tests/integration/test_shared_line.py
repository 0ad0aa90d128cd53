"""Threads that ask Redis at once share a round trip, and each gets its own answer."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from credits.redis_client import open_redis
from credits.reservations.shared_line import SharedLine
from credits.reservations.wire import Lease

THREADS = 8


class _Interrupted(BaseException):
    """Stands for whatever may strike a thread while it waits for the answers of all."""


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    client = open_redis(redis_url)
    yield client
    client.close()


@pytest.fixture
def round_trips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many commands each round trip carried. Each takes as long as others need to come."""
    counts, ask = list[int](), Lease.ask

    def counted(self: Lease, questions: bytes, count: int) -> list[Any]:
        counts.append(count)
        time.sleep(0.05)
        return ask(self, questions, count)

    monkeypatch.setattr(Lease, "ask", counted)
    return counts


def at_once(*asks: Callable[[], Any]) -> list[Any]:
    """What each thread is answered, or what it raises."""

    def outcome(ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except (RedisError, _Interrupted) as error:
            return error

    with ThreadPoolExecutor(len(asks)) as threads:
        return list(threads.map(outcome, asks))


def test_threads_that_ask_at_once_get_their_own_answers(client: redis.Redis) -> None:
    line = SharedLine(client)

    def wrong(number: int) -> list[str]:
        words = [f"{number}-{turn}" for turn in range(300)]
        return [word for word in words if line.run(("ECHO", word)) != word]

    with ThreadPoolExecutor(THREADS) as threads:
        assert list(threads.map(wrong, range(THREADS))) == [[]] * THREADS


def test_whoever_comes_while_another_asks_is_asked_for_with_the_others(
    client: redis.Redis, round_trips: list[int]
) -> None:
    line = SharedLine(client)

    answers = at_once(*(lambda word=f"{number}": line.run(("ECHO", word)) for number in range(THREADS)))

    assert answers == [f"{number}" for number in range(THREADS)]
    assert sum(round_trips) == THREADS
    assert len(round_trips) <= 4


def test_a_refusal_is_for_the_one_who_asked(client: redis.Redis, round_trips: list[int]) -> None:
    line = SharedLine(client)

    answers = at_once(*(lambda word=word: line.run((word, "x")) for word in ("ECHO", "NONSENSE", "ECHO", "ECHO")))

    assert [type(one) for one in answers] == [str, ResponseError, str, str]


def test_a_server_that_is_silent_is_waited_for_once_by_all_who_ask_meanwhile(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url, socket_timeout=0.3, decode_responses=True)
    line = SharedLine(client)
    line.run(("DEL", "nothing"))
    began_s = time.monotonic()

    answers = at_once(*(lambda: line.run(("BLPOP", "nothing", 5)) for _ in range(THREADS)))

    assert {type(one) for one in answers} == {RedisTimeoutError}
    assert len({id(one) for one in answers}) == THREADS
    assert time.monotonic() - began_s < 2
    assert line.run(("ECHO", "again")) == "again"
    client.close()


def test_a_thread_that_is_interrupted_takes_nobody_with_it(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, ask, turns = SharedLine(client), Lease.ask, list[int]()

    def interrupted(self: Lease, questions: bytes, count: int) -> list[Any]:
        turns.append(count)
        time.sleep(0.05)
        if len(turns) == 2:
            raise _Interrupted
        return ask(self, questions, count)

    monkeypatch.setattr(Lease, "ask", interrupted)
    answers = at_once(*(lambda: line.run(("ECHO", "word")) for _ in range(THREADS)))

    assert {str, _Interrupted} <= {type(one) for one in answers} <= {str, _Interrupted, RedisConnectionError}
    assert [type(one) for one in answers].count(_Interrupted) == 1
    assert at_once(*(lambda: line.run(("ECHO", "word")) for _ in range(THREADS))) == ["word"] * THREADS


def test_a_connection_that_the_server_has_closed_is_made_anew_before_anything_is_sent(client: redis.Redis) -> None:
    line = SharedLine(client)
    line.run(("SET", "counter", 0))
    client.client_kill_filter(_id=str(line.run(("CLIENT", "ID"))))

    assert line.run(("INCR", "counter")) == 1


def test_a_forked_child_has_a_connection_and_a_turn_of_its_own(client: redis.Redis) -> None:
    line = SharedLine(client)
    mine = line.run(("CLIENT", "ID"))
    assert line._desk is not None
    reader, writer = os.pipe()

    # As if another thread were asking at the moment of the fork.
    line._desk._turn.acquire()
    child = os.fork()
    if child == 0:
        os.write(writer, str(line.run(("CLIENT", "ID"))).encode())
        os._exit(0)
    os.waitpid(child, 0)
    line._desk._turn.release()

    assert int(os.read(reader, 20)) != mine
    assert line.run(("CLIENT", "ID")) == mine


def test_no_question_waits_for_ever_however_the_threads_meet(client: redis.Redis) -> None:
    line, stop, counts = SharedLine(client), threading.Event(), [0] * THREADS

    def ask(number: int) -> None:
        while not stop.is_set():
            assert line.run(("ECHO", number)) == str(number)
            counts[number] += 1

    threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    time.sleep(0.7)
    stop.set()
    for thread in threads:
        thread.join(5)

    assert not any(thread.is_alive() for thread in threads)
    assert min(counts) > 0
