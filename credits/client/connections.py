"""Connections, renewed after a failure, after a while and after a fork: a changed address is found by itself."""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import httpx

from credits.client.attempts import Answer
from credits.client.calls import Call
from credits.client.settings import CONNECT_TIMEOUT_S, ClientSettings

C = TypeVar("C")

RENEWED_AFTER_S: Final = 60.0
"""A name is resolved when a connection is made; one that is always busy would keep to an old address for ever."""

_IDLE_S: Final = 15.0


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
        self._current: Lease[C] | None = None

    def lease(self) -> Lease[C]:
        """The pool for one try. It has to be given back."""
        home, now_s = self._home(), self._now_s()
        current = self._current
        if current is not None and current.home != home:
            # Its sockets belong to whoever made them; here they are only forgotten. The lock may be held over there.
            self._lock, self._current = threading.Lock(), None
        with self._lock:
            current = self._current
            if current is None or now_s - current.born_s > RENEWED_AFTER_S:
                if current is not None:
                    current.is_retired = True
                current = self._current = Lease(pool=self._make(), home=home, born_s=now_s)
            current.users += 1
            return current

    def give_back(self, lease: Lease[C], *, has_failed: bool) -> C | None:
        """End a try; answers a pool that is to be closed now. After a failure nobody uses its connections again."""
        with self._lock:
            lease.users -= 1
            if has_failed:
                lease.is_retired = True
            if lease.is_retired and self._current is lease:
                self._current = None
            return lease.pool if lease.is_retired and lease.users == 0 and lease.home == self._home() else None

    def take(self) -> C | None:
        """The pool in use, to be closed, if it is of this home; the next call makes another one."""
        with self._lock:
            current, self._current = self._current, None
            return current.pool if current is not None and current.home == self._home() else None


def headers_of(settings: ClientSettings, version: str) -> dict[str, str]:
    """What every request says."""
    return {
        "Authorization": f"Bearer {settings.api_key}",
        "Accept": "application/json",
        "User-Agent": f"creditgate-python/{version}",
    }


def limits_of(settings: ClientSettings) -> httpx.Limits:
    """How many connections at once, and how many are kept for the next call."""
    return httpx.Limits(
        max_connections=settings.max_connections,
        max_keepalive_connections=settings.max_connections,
        keepalive_expiry=_IDLE_S,
    )


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
