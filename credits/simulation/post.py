"""The way from a provider to your receiver: signed, late, twice, out of order, lost, and sent again on schedule."""

import heapq
import itertools
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from io import BytesIO
from random import Random
from typing import Any, Final, Protocol
from urllib.parse import urlsplit
from wsgiref.util import setup_testing_defaults

from credits.errors import InvalidInputError
from credits.inbox.provider import Provider, SignedWebhook, Simulation
from credits.simulation.clock import VirtualClock

_MINUTE_S: Final = 60
_HOUR_S: Final = 60 * _MINUTE_S

RETRIES_S: Final[Mapping[str, tuple[int, ...]]] = {
    # Farther and farther apart, for three days.
    "stripe": (
        5 * _MINUTE_S,
        30 * _MINUTE_S,
        2 * _HOUR_S,
        5 * _HOUR_S,
        10 * _HOUR_S,
        *(12 * _HOUR_S for _ in range(4)),
    ),
    # Three more times, and then never again.
    "lemonsqueezy": (5, 25, 125),
    # Sixty times in three days: twenty of them in the first hour, forty-seven in the first day.
    "paddle": (
        *(3 * _MINUTE_S for _ in range(20)),
        *(51 * _MINUTE_S for _ in range(27)),
        *(220 * _MINUTE_S for _ in range(13)),
    ),
}
"""By provider: the pauses between the attempts to deliver one event."""


_INSIST_ON_200: Final = frozenset({"lemonsqueezy", "paddle"})


class Target(Protocol):
    """Where webhooks go."""

    def post(self, webhook: SignedWebhook) -> int:
        """Deliver it once; answers the HTTP status, 0 if nobody answered."""
        ...


WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WsgiTarget:
    """A WSGI application in this process, such as a Flask app, and the path of its webhooks."""

    app: WsgiApp
    path: str

    def post(self, webhook: SignedWebhook) -> int:
        headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in webhook.headers.items()}
        content_type = headers.pop("HTTP_CONTENT_TYPE", "application/json")
        environ: dict[str, Any] = {
            **headers,
            "REQUEST_METHOD": "POST",
            "PATH_INFO": self.path,
            "CONTENT_TYPE": content_type,
            "CONTENT_LENGTH": str(len(webhook.body)),
            "wsgi.input": BytesIO(webhook.body),
        }
        setup_testing_defaults(environ)
        statuses: list[str] = []

        def start_response(status: str, _headers: object, _error: object = None) -> Callable[[bytes], object]:
            statuses.append(status)
            return lambda _: None

        answer = self.app(environ, start_response)
        try:
            for _ in answer:
                pass
        finally:
            close = getattr(answer, "close", None)
            if close is not None:
                close()
        return int(statuses[-1].split()[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlTarget:
    """A server that is running, and the URL of its webhooks."""

    url: str
    timeout_s: float = 10

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in {"http", "https"}:
            raise InvalidInputError("url", f"must begin with http:// or https://, got {self.url[:60]!r}")

    def post(self, webhook: SignedWebhook) -> int:
        headers = {"Content-Type": "application/json", **webhook.headers}
        request = urllib.request.Request(self.url, data=webhook.body, headers=headers, method="POST")  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:  # noqa: S310
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disorder:
    """How badly the way to the receiver behaves. One seed does the same to one event, whatever else is sent."""

    seed: int = 0
    duplicates: float = 0.0
    """Share of events that are sent once more although they arrived."""
    delays: float = 0.0
    """Share of events that set out late, by up to `max_delay_s`."""
    max_delay_s: int = 6 * _HOUR_S
    drops: float = 0.0
    """Share of attempts that never arrive."""
    max_drops: int = 3
    """Attempts of one event that are dropped at most; with all that the provider makes, an event can be lost."""

    def __post_init__(self) -> None:
        for name in ("duplicates", "delays", "drops"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInputError(name, f"must be a share from 0 to 1, got {getattr(self, name)}")


ORDERLY: Final = Disorder()
BAD: Final = Disorder(duplicates=0.25, delays=0.35, drops=0.2)
"""Bad as in real life on a bad day; nothing is lost for good."""


class Fate(StrEnum):
    """What became of one attempt to deliver."""

    DELIVERED = "delivered"
    DUPLICATE = "duplicate"
    DROPPED = "dropped"
    REFUSED = "refused"
    FORGOTTEN = "forgotten"
    """The provider gives up: the receiver will never be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One attempt to deliver an event."""

    at_ms: int
    event_type: str
    happened_at_ms: int
    attempt: int
    fate: Fate
    status: int
    is_out_of_order: bool = False
    """Something that happened later had arrived before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """An attempt that is due."""

    number: int
    simulation: Simulation
    attempt: int = 1
    is_again: bool = False
    fortune: Random


@dataclass(slots=True, kw_only=True)
class Postman:
    """Signs a provider's events and delivers them on a virtual clock. It alone moves the clock."""

    provider: Provider
    secret: bytes
    target: Target
    clock: VirtualClock
    disorder: Disorder = ORDERLY
    deliveries: list[Delivery] = field(default_factory=list)
    _queue: list[tuple[int, int, _Waiting]] = field(default_factory=list)
    _numbers: Any = field(default_factory=itertools.count)
    _newest: tuple[int, int] = (-1, -1)

    def send(self, *events: Simulation) -> None:
        """Hand events over: each sets out when it happened, or late."""
        for event in events:
            fortune = Random(f"{self.disorder.seed}:{event.delivery}:{event.event_type}")  # noqa: S311
            late_ms = 0
            if fortune.random() < self.disorder.delays:
                late_ms = fortune.randrange(self.disorder.max_delay_s * 1000 + 1)
            waiting = _Waiting(number=next(self._numbers), simulation=event, fortune=fortune)
            self._push(event.at_ms + late_ms, waiting)

    @property
    def next_at_ms(self) -> int | None:
        """When the next attempt is due; None if nothing is on its way."""
        return self._queue[0][0] if self._queue else None

    def deliver_next(self) -> Delivery:
        """Make the next attempt, at its time. Raises IndexError if nothing is on its way."""
        at_ms, _, waiting = heapq.heappop(self._queue)
        self.clock.set_ms(max(at_ms, self.clock()))
        delivery = self._attempt(waiting)
        self.deliveries.append(delivery)
        return delivery

    def deliver_all(self, *, until_ms: int | None = None) -> list[Delivery]:
        """Make every attempt that is due until then, or ever; answers them in their order."""
        done = []
        while self._queue and (until_ms is None or self._queue[0][0] <= until_ms):
            done.append(self.deliver_next())
        return done

    def _attempt(self, waiting: _Waiting) -> Delivery:
        is_dropped = (
            waiting.attempt <= self.disorder.max_drops
            and not waiting.is_again
            and waiting.fortune.random() < self.disorder.drops
        )
        status = 0 if is_dropped else self.target.post(self._signed(waiting.simulation))
        # That is what a receiver should answer everywhere.
        if status == 200 or (200 <= status < 300 and self.provider.name not in _INSIST_ON_200):
            return self._arrived(waiting, status)
        fate = Fate.DROPPED if is_dropped else Fate.REFUSED
        pauses_s = RETRIES_S.get(self.provider.name, RETRIES_S["stripe"])
        if waiting.attempt > len(pauses_s):
            fate = Fate.FORGOTTEN
        else:
            again = replace(waiting, attempt=waiting.attempt + 1)
            self._push(self.clock() + pauses_s[waiting.attempt - 1] * 1000, again)
        return self._noted(waiting, fate, status)

    def _arrived(self, waiting: _Waiting, status: int) -> Delivery:
        order = (waiting.simulation.at_ms, waiting.number)
        is_late = order < self._newest
        self._newest = max(self._newest, order)
        if waiting.is_again:
            return self._noted(waiting, Fate.DUPLICATE, status, is_out_of_order=is_late)
        if waiting.fortune.random() < self.disorder.duplicates:
            pause_ms = waiting.fortune.randrange(self.disorder.max_delay_s * 1000 + 1)
            self._push(self.clock() + pause_ms, replace(waiting, is_again=True))
        return self._noted(waiting, Fate.DELIVERED, status, is_out_of_order=is_late)

    def _noted(self, waiting: _Waiting, fate: Fate, status: int, *, is_out_of_order: bool = False) -> Delivery:
        return Delivery(
            at_ms=self.clock(),
            event_type=waiting.simulation.event_type,
            happened_at_ms=waiting.simulation.at_ms,
            attempt=waiting.attempt,
            fate=fate,
            status=status,
            is_out_of_order=is_out_of_order,
        )

    def _signed(self, simulation: Simulation) -> SignedWebhook:
        return self.provider.sign(self.provider.simulate(simulation), self.secret, self.clock() // 1000)

    def _push(self, at_ms: int, waiting: _Waiting) -> None:
        heapq.heappush(self._queue, (at_ms, next(self._numbers), waiting))
