"""
The quick way to Redis: each thread keeps a connection, and a command is packed once.

The client library takes a connection out of its pool and puts it back around every call, under locks and counters; that
costs more than the call. A cluster's client chooses a node for each call: that one is asked in its own way.
"""

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import hiredis
import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from credits.redis_client import run_many

# Its stub knows tuples of one element only.
_packed: Final[Any] = hiredis.pack_command


class DirectLine:
    """Runs commands on one Redis. Safe to share between threads, and to carry over a fork."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._is_plain = isinstance(client, redis.Redis)
        self._mine = threading.local()

    def run(self, command: tuple[str | int, ...]) -> Any:
        """
        The answer to `command`, sent once: whether one that failed has run, only its name tells.

        Raises the client library's errors.
        """
        if not self._is_plain:
            return self._client.execute_command(*command)
        return self._ask(_packed(command), _answer)

    def run_many(self, commands: Sequence[tuple[str, tuple[str | int, ...]]]) -> list[Any]:
        """
        The answers to independent commands, each given with its key, in one round trip of each server.

        What a server refuses is answered as the error. Raises the client library's errors where nothing was answered.
        """
        if not self._is_plain:
            return run_many(self._client, commands)
        count = len(commands)
        answers: list[Any] = self._ask(
            b"".join([_packed(command) for _, command in commands]),
            lambda connection: [_answer_or_refusal(connection) for _ in range(count)],
        )
        return answers

    def _ask(self, packed: bytes, read: Callable[[Any], Any]) -> Any:
        lease: _Lease | None = getattr(self._mine, "lease", None)
        if lease is None or lease.pid != os.getpid():
            # Also after a fork: the parent's connection is the parent's.
            lease = self._mine.lease = _Lease(self._client.connection_pool)
        connection = lease.ready()
        is_answered = False
        try:
            connection.send_packed_command([packed], check_health=False)
            answer = read(connection)
            is_answered = True
        except ResponseError:
            is_answered = True
            raise
        finally:
            if not is_answered:
                # Interrupted between question and answer, it would give that answer to the next question.
                connection.disconnect()
        return answer


def _answer(connection: Any) -> Any:
    return connection.read_response()


def _answer_or_refusal(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as refusal:
        return refusal


class _Lease:
    """A thread's connection. It goes back to the pool with its thread."""

    def __init__(self, pool: redis.ConnectionPool) -> None:
        self.pid = os.getpid()
        self._pool = pool
        self._connection: Any = None
        self._connection = pool.get_connection()

    def ready(self) -> Any:
        """The connection, connected anew if the server has closed it since: nothing was sent on it that could run."""
        connection = self._connection
        try:
            # Readable while nothing was asked: it was closed, or carries an answer that nobody waited for.
            is_stale = connection.can_read()
        except (RedisConnectionError, OSError):
            is_stale = True
        if is_stale:
            connection.disconnect()
            connection.connect()
        return connection

    def __del__(self) -> None:
        if self._connection is None or self.pid != os.getpid():
            return
        with suppress(RedisError):
            self._pool.release(self._connection)
