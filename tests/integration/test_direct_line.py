"""Each thread keeps its connection to Redis, and no answer ever reaches another question."""

import os
import threading
import time
from collections.abc import Iterator

import pytest
import redis
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from credits.redis_client import open_redis
from credits.reservations.wire import DirectLine


class _Interrupted(BaseException):
    """Stands for a time limit or Control-C that strikes while an answer is on its way."""


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    client = open_redis(redis_url)
    yield client
    client.close()


def test_a_thread_keeps_one_connection_and_gives_it_back_when_it_ends(client: redis.Redis) -> None:
    line, ids = DirectLine(client), list[int]()

    def ask() -> None:
        ids.extend(line.run(("CLIENT", "ID")) for _ in range(3))

    for _ in range(2):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()

    assert len(set(ids)) == 1


def test_threads_that_ask_at_once_get_their_own_answers(client: redis.Redis) -> None:
    line, wrong = DirectLine(client), list[tuple[str, str]]()

    def ask(number: int) -> None:
        for turn in range(200):
            word = f"{number}-{turn}"
            if (answer := line.run(("ECHO", word))) != word:
                wrong.append((word, answer))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_a_connection_that_the_server_has_closed_is_made_anew_before_anything_is_sent(client: redis.Redis) -> None:
    line = DirectLine(client)
    line.run(("SET", "counter", 0))
    number = line.run(("CLIENT", "ID"))
    client.client_kill_filter(_id=str(number))

    answer = line.run(("INCR", "counter"))

    assert answer == 1


def test_an_answer_that_nobody_waited_for_is_not_taken_for_the_next_ones(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = DirectLine(client)
    line.run(("PING",))

    def interrupted() -> None:
        raise _Interrupted

    monkeypatch.setattr(line._mine.lease._talk, "read", interrupted)
    with pytest.raises(_Interrupted):
        line.run(("ECHO", "first"))

    assert line.run(("ECHO", "second")) == "second"


def test_a_server_that_is_silent_is_given_up_after_the_time_that_a_call_may_take(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url, socket_timeout=0.2, decode_responses=True)
    line = DirectLine(client)
    line.run(("DEL", "nothing"))
    began_s = time.monotonic()

    with pytest.raises(RedisTimeoutError):
        line.run(("BLPOP", "nothing", 5))

    assert 0.1 < time.monotonic() - began_s < 2
    assert line.run(("ECHO", "again")) == "again"
    client.close()


def test_the_client_library_finds_a_connection_as_it_left_it(client: redis.Redis) -> None:
    thread = threading.Thread(target=DirectLine(client).run, args=(("PING",),))
    thread.start()
    thread.join()

    [connection] = [client.connection_pool.get_connection()]

    assert connection._get_socket().gettimeout() == connection.socket_timeout
    client.connection_pool.release(connection)
    assert client.ping()


def test_an_error_of_the_server_leaves_the_connection_in_use(client: redis.Redis) -> None:
    line = DirectLine(client)
    before = line.run(("CLIENT", "ID"))

    with pytest.raises(ResponseError):
        line.run(("NO", "SUCH", "COMMAND"))

    assert line.run(("CLIENT", "ID")) == before


def test_commands_sent_together_are_answered_in_their_order_and_a_refusal_keeps_its_place(client: redis.Redis) -> None:
    line = DirectLine(client)

    first, refused, last = line.run_many([("a", ("ECHO", "one")), ("a", ("NO", "SUCH")), ("a", ("ECHO", "two"))])

    assert (first, type(refused), last) == ("one", ResponseError, "two")
    assert line.run(("ECHO", "three")) == "three"


def test_answers_that_nobody_waited_for_are_not_taken_for_others(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = DirectLine(client)
    line.run(("PING",))
    talk, answers = line._mine.lease._talk, list[str]()
    read = talk.read

    def interrupted() -> str:
        if answers:
            raise _Interrupted
        answers.append(read())
        return answers[0]

    monkeypatch.setattr(talk, "read", interrupted)
    with pytest.raises(_Interrupted):
        line.run_many([("a", ("ECHO", "first")), ("a", ("ECHO", "second"))])

    assert line.run(("ECHO", "third")) == "third"


def test_a_forked_child_has_a_connection_of_its_own(client: redis.Redis) -> None:
    line = DirectLine(client)
    mine = line.run(("CLIENT", "ID"))
    reader, writer = os.pipe()

    child = os.fork()
    if child == 0:
        os.write(writer, str(line.run(("CLIENT", "ID"))).encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert int(os.read(reader, 20)) != mine
    assert line.run(("CLIENT", "ID")) == mine


def test_a_client_of_another_kind_is_asked_in_its_own_way() -> None:
    class Cluster:
        def execute_command(self, *command: str | int) -> str:
            return "asked: " + " ".join(str(word) for word in command)

    assert DirectLine(Cluster()).run(("XLEN", "journal")) == "asked: XLEN journal"
