"""
One connection to Redis for all threads of a process: those that ask at once share a round trip.

Whoever comes while nobody asks, asks at once. Whoever comes meanwhile waits, and is asked for by the next one, together
with all that wait. So a server with many threads sends less the more it has to do, and nobody waits for company.
"""

import threading
from collections import deque
from typing import Any, Final

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from credits.processes import process_id
from credits.reservations.wire import Lease, packed


class SharedLine:
    """
    Runs commands that take the server no time, such as a call of a script. Safe to share, and to carry over a fork.

    Only for threads that nothing interrupts from outside: those of a server are never sent a signal.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._is_plain = isinstance(client, redis.Redis)
        self._desk: _Desk | None = None

    def run(self, command: tuple[str | int, ...]) -> Any:
        """
        The answer to `command`, sent once: whether one that failed has run, only its name tells.

        Raises the client library's errors.
        """
        if not self._is_plain:
            return self._client.execute_command(*command)
        desk = self._desk
        if desk is None or desk.pid != process_id():
            # Two threads may make one each: then each serves whom it has.
            desk = self._desk = _Desk(self._client.connection_pool)
        answer = desk.ask(packed(command))
        if isinstance(answer, RedisError):
            raise answer
        return answer


_NONE: Final = RedisConnectionError("the thread that asked for several was interrupted")


class _Question:
    """What one thread asks, and what it is answered: an error, too."""

    __slots__ = ("answer", "is_called", "woken", "words")

    def __init__(self, words: bytes) -> None:
        self.words = words
        self.answer: Any = _NONE
        self.is_called = False
        """Whether it is for this thread to ask, for all that wait."""
        self.woken = threading.Lock()
        self.woken.acquire()


class _Desk:
    """Where one process asks."""

    def __init__(self, pool: redis.ConnectionPool) -> None:
        self.pid = process_id()
        self._pool = pool
        self._lease: Lease | None = None
        self._turn = threading.Lock()
        """Held while somebody asks; handed on from thread to thread while others wait."""
        self._waiting: deque[_Question] = deque()
        """At most one of each thread. Only who has the turn takes out of it."""

    def ask(self, words: bytes) -> Any:
        """The answer to `words`; an error is answered, too."""
        mine = _Question(words)
        # In this order: who gives the turn back looks once more who waits.
        self._waiting.append(mine)
        if not self._turn.acquire(blocking=False):
            mine.woken.acquire()
            if not mine.is_called:
                return mine.answer
        self._ask_for_all()
        return mine.answer

    def _ask_for_all(self) -> None:
        asked = self._taken()
        try:
            self._answer(asked)
        except (RedisError, OSError) as error:
            # Who has come meanwhile is told, too: each of them would wait for a server that does not answer.
            asked += self._taken()
            for question in asked:
                question.answer = _same(error)
        finally:
            # Behind the answers: one of these threads may be about to take the turn, and then looks for its own.
            self._hand_on()
            for question in asked:
                question.woken.release()

    def _taken(self) -> list[_Question]:
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    def _answer(self, asked: list[_Question]) -> None:
        if self._lease is None:
            self._lease = Lease(self._pool)
        answers = self._lease.ask(b"".join([question.words for question in asked]), len(asked))
        for question, answer in zip(asked, answers, strict=True):
            question.answer = answer

    def _hand_on(self) -> None:
        while True:
            if self._waiting:
                # The turn stays taken: it is this one's now.
                heir = self._waiting[0]
                heir.is_called = True
                heir.woken.release()
                return
            self._turn.release()
            if not self._waiting or not self._turn.acquire(blocking=False):
                return


def _same(error: Exception) -> RedisError:
    """Each thread raises an error of its own."""
    if isinstance(error, RedisTimeoutError):
        return RedisTimeoutError(*error.args)
    return RedisConnectionError(*error.args)
