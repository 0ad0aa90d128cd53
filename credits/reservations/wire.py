"""
The quick way to Redis: each thread keeps a connection, and a command is packed once.

The client library takes a connection out of its pool and puts it back around every call, under locks and counters; that
costs more than the call. A cluster's client chooses a node for each call: that one is asked in its own way.
"""

import select
import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

import hiredis
import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from credits.processes import process_id
from credits.redis_client import run_many

# Its stub knows tuples of one element only.
packed: Final[Any] = hiredis.pack_command

_READ_BYTES: Final = 64 * 1024
_TCP_INFO: Final[int | None] = getattr(socket, "TCP_INFO", None)
"""What the kernel knows of a connection; its state comes first."""

_ESTABLISHED: Final = 1
"""Neither side has closed it."""

_MORE: Final = object()
"""What the reader answers while an answer is not whole."""


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
        answer = self._lease().ask(packed(command), 1)[0]
        if isinstance(answer, ResponseError):
            raise answer
        return answer

    def run_many(self, commands: Sequence[tuple[str, tuple[str | int, ...]]]) -> list[Any]:
        """
        The answers to independent commands, each given with its key, in one round trip of each server.

        What a server refuses is answered as the error. Raises the client library's errors where nothing was answered.
        """
        if not self._is_plain:
            return run_many(self._client, commands)
        return self._lease().ask(b"".join([packed(command) for _, command in commands]), len(commands))

    def _lease(self) -> "_Lease":
        lease: _Lease | None = getattr(self._mine, "lease", None)
        if lease is None or lease.pid != process_id():
            # Also after a fork: the parent's connection is the parent's.
            lease = self._mine.lease = _Lease(self._client.connection_pool)
        return lease


class _Lease:
    """A connection that is kept, by one thread at a time. It goes back to the pool with its keeper."""

    def __init__(self, pool: redis.ConnectionPool) -> None:
        self.pid = process_id()
        self._pool = pool
        self._connection: Any = None
        self._connection = pool.get_connection()
        self._talk: _Talk = _talk_on(self._connection)

    def ask(self, questions: bytes, count: int) -> list[Any]:
        """The `count` answers to what is sent; one that is a refusal is the error."""
        is_answered = False
        try:
            if self._talk.is_stale():
                # Nothing was sent on it that could run.
                self._connection.disconnect()
                self._connection.connect()
                self._talk = _talk_on(self._connection)
            self._talk.send(questions)
            answers = [self._talk.read() for _ in range(count)]
            is_answered = True
        finally:
            if not is_answered:
                # Interrupted between question and answer, it would give that answer to the next question.
                self._connection.disconnect()
        return answers

    def __del__(self) -> None:
        if self._connection is None or self.pid != process_id():
            return
        with suppress(RedisError, OSError):
            self._talk.end()
            self._pool.release(self._connection)


class _Talk(Protocol):
    """Questions and answers on a connection."""

    def is_stale(self) -> bool:
        """Readable while nothing was asked: it was closed, or carries an answer that nobody waited for."""

    def send(self, questions: bytes) -> None: ...

    def read(self) -> Any:
        """The next answer; a refusal is the error."""

    def end(self) -> None:
        """Leave the connection as it was found."""


def _talk_on(connection: Any) -> _Talk:
    found = connection._get_socket()
    # TLS has a buffer of its own, and its own way to wait.
    return _PlainTalk(connection, found) if type(found) is socket.socket else _LibrarysTalk(connection)


class _PlainTalk:
    """
    On the bare socket.

    The kernel keeps the time. Python's own would ask before each step whether it may be taken, and let other threads
    run each time: that takes longer than the steps.
    """

    def __init__(self, connection: Any, plain: socket.socket) -> None:
        self._socket, self._timeout_s = plain, plain.gettimeout()
        self._poll, self._buffer = select.poll(), bytearray(_READ_BYTES)
        self._poll.register(plain, select.POLLIN)
        # Its stub knows no buffers.
        self._reader: Any = hiredis.Reader(
            encoding="utf-8",
            replyError=connection._parser.parse_error,
            protocolError=InvalidResponse,
            notEnoughData=_MORE,
        )
        seconds, fraction = divmod(self._timeout_s or 0, 1)
        patience = struct.pack("@ll", int(seconds), int(fraction * 1_000_000))
        plain.settimeout(None)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            plain.setsockopt(socket.SOL_SOCKET, option, patience)

    def is_stale(self) -> bool:
        if self._socket.fileno() < 0:
            return True
        if _TCP_INFO is None or self._socket.family == socket.AF_UNIX:
            return bool(self._poll.poll(0))
        # The same without a turn for other threads. An answer too many there cannot be: who leaves one hangs up.
        return self._socket.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1)[0] != _ESTABLISHED

    def send(self, questions: bytes) -> None:
        try:
            self._socket.sendall(questions)
        except OSError as error:
            raise _as_librarys(error) from error

    def read(self) -> Any:
        while (answer := self._reader.gets()) is _MORE:
            try:
                size = self._socket.recv_into(self._buffer)
            except OSError as error:
                raise _as_librarys(error) from error
            if size == 0:
                raise RedisConnectionError("the server closed the connection")
            self._reader.feed(self._buffer, 0, size)
        if isinstance(answer, RedisConnectionError):
            # Not this command alone: a server that is still reading its files, say, answers none.
            raise answer
        return answer

    def end(self) -> None:
        self._socket.settimeout(self._timeout_s)


class _LibrarysTalk:
    """In the client library's own way."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def is_stale(self) -> bool:
        try:
            return bool(self._connection.can_read())
        except (RedisConnectionError, OSError):
            return True

    def send(self, questions: bytes) -> None:
        self._connection.send_packed_command([questions], check_health=False)

    def read(self) -> Any:
        try:
            return self._connection.read_response()
        except ResponseError as refusal:
            return refusal

    def end(self) -> None:
        """It was not changed."""


def _as_librarys(error: OSError) -> RedisError:
    """What the client library calls it. A wait that the kernel has ended is told as a step that would block."""
    if isinstance(error, BlockingIOError):
        return RedisTimeoutError("the server did not answer in time")
    return RedisConnectionError(f"error {error.errno}: {error.strerror}")
