"""
Connections, one for each call under way; renewed after a failure, after a while and after a fork: a changed address is
found by itself.
"""

import os
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import httpx

from credits.client.attempts import Answer
from credits.client.calls import Call
from credits.client.settings import CONNECT_TIMEOUT_S, ClientSettings

C = TypeVar("C")
L = TypeVar("L")

RENEWED_AFTER_S: Final = 60.0
"""A name is resolved when a connection is made; one that is always busy would keep to an old address for ever."""

YOUNG_S: Final = 1.0
"""A pool that was made a moment ago has looked the name up; failing all the same, it is not made again at once."""

LIMITS: Final = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=15.0)
"""Of a line."""


@dataclass(slots=True, eq=False)
class Lease(Generic[C]):
    """A pool of connections, and how many calls are under way on it."""

    pool: C
    home: Hashable
    born_s: float
    users: int = 0
    is_retired: bool = False


class Connections(Generic[C]):
    """
    The pool in use. A retired one is closed by the last call that is under way on it. Safe to share between threads.

    `home` says what a pool must not leave: its process, and for asyncio its event loop.
    """

    def __init__(self, make: Callable[[], C], *, home: Callable[[], Hashable], now_s: Callable[[], float]) -> None:
        self._make = make
        self._home = home
        self._now_s = now_s
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._current: Lease[C] | None = None
        self._unused: list[Lease[C]] = []

    def lease(self) -> Lease[C]:
        """The pool for one try. It has to be given back."""
        home, now_s = self._home(), self._now_s()
        if self._process != os.getpid():
            # The lock may have been held in the process this one was forked from, and nobody gives it back here.
            self._lock, self._process = threading.Lock(), os.getpid()
            self._current, self._unused = None, []
        with self._lock:
            current = self._current
            if current is not None and current.home != home:
                # Its sockets belong to whoever made them. Here they are only forgotten.
                current = None
            elif current is not None and now_s - current.born_s > RENEWED_AFTER_S:
                self._retire(current)
                current = None
            if current is None:
                current = self._current = Lease(pool=self._make(), home=home, born_s=now_s)
            current.users += 1
            return current

    def give_back(self, lease: Lease[C], *, has_failed: bool) -> list[C]:
        """End a try; answers the pools to be closed now. After a failure its connections are not used again."""
        with self._lock:
            lease.users -= 1
            if lease.is_retired or (has_failed and self._now_s() - lease.born_s > YOUNG_S):
                self._retire(lease)
            return self._take_unused()

    def take_all(self) -> list[C]:
        """All pools of this home, to be closed; the next call makes another one."""
        with self._lock:
            if self._current is not None:
                self._retire(self._current)
            return self._take_unused()

    def _retire(self, lease: Lease[C]) -> None:
        lease.is_retired = True
        if self._current is lease:
            self._current = None
        if lease.users == 0:
            self._unused.append(lease)

    def _take_unused(self) -> list[C]:
        home, unused = self._home(), self._unused
        self._unused = []
        return [lease.pool for lease in unused if lease.home == home]


class Lines(Generic[L]):
    """
    Clients of httpx with a single connection each, the one used last first. Safe to share between threads.

    httpx looks through all connections of a client before each request and behind it: with a hundred of them that took
    longer than the request.
    """

    def __init__(self, make: Callable[[], L]) -> None:
        self._make = make
        self._free: list[L] = []

    def take(self) -> L:
        """A line that nobody else uses. One on which a call went wrong is not to be put back."""
        try:
            return self._free.pop()
        except IndexError:
            return self._make()

    def put_back(self, line: L) -> None:
        """Let the next call have it."""
        self._free.append(line)

    def take_all(self) -> list[L]:
        """All that are free, to be closed."""
        free, self._free = self._free, []
        return free


def headers_of(settings: ClientSettings, version: str) -> dict[str, str]:
    """What every request says."""
    return {
        "Authorization": f"Bearer {settings.api_key}",
        "Accept": "application/json",
        "User-Agent": f"creditgate-python/{version}",
    }


def request_of(call: Call[Any], client: httpx.Client | httpx.AsyncClient, *, timeout_s: float) -> httpx.Request:
    """`call` as httpx sends it."""
    return client.build_request(
        call.method,
        call.path,
        json=call.body,
        params=call.query or None,
        timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
    )


def answer_of(response: httpx.Response, body: bytes) -> Answer:
    """What came back, without httpx."""
    return Answer(status=response.status_code, body=body, retry_after=response.headers.get("Retry-After", ""))
