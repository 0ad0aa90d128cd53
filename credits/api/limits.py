"""How many requests a key may send. Counted in Redis for all processes together, some at a time."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from limits import RateLimitItem, parse_many
from limits.storage import RedisStorage
from limits.strategies import RateLimiter, SlidingWindowCounterRateLimiter

from credits.api.errors import RateLimitedError
from credits.log import get_logger

_PREFIX: Final = "creditgate-limits"
_PATIENCE_S: Final = 0.25
_PAUSE_S: Final = 5.0
"""After Redis did not answer, requests pass uncounted for so long."""

_REMEMBERED_REFUSAL_S: Final = 0.1
_BATCHES_PER_WINDOW: Final = 50
_LARGEST_BATCH: Final = 100
"""Every thread that finds nothing admitted asks for a batch; what nobody uses in time is lost to everybody."""

_LONGEST_BATCH_S: Final = 1.0
_MAX_KEYS: Final = 10_000

log = get_logger(__name__)


@dataclass(slots=True)
class _Account:
    """What one process knows of one key under one limit."""

    admitted: int = 0
    """Requests that were counted in Redis already, and have not come yet."""
    admitted_until_s: float = 0.0
    refused_until_s: float = 0.0
    retry_after_s: int = 1


@dataclass(slots=True)
class RateLimits:
    """
    Admits requests, or says when to come again. Safe to share between threads.

    A process counts up to a hundred at once, so that most requests cost no round trip; a limit below that is exact.
    Redis away: everything is admitted, since a limit guards against too much, and the gate itself is shut.
    """

    limits: Sequence[RateLimitItem]
    strategy: RateLimiter
    monotonic: Callable[[], float] = time.monotonic
    _known: dict[tuple[str, int], _Account] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _away_until_s: float = 0.0

    def admit(self, kid: str) -> None:
        """Count one request of a key. Raises RateLimitedError."""
        now_s = self.monotonic()
        for number, limit in enumerate(self.limits):
            account = self._known.get((kid, number)) or self._make(kid, number)
            with self._lock:
                if account.refused_until_s > now_s:
                    raise RateLimitedError(str(limit), account.retry_after_s)
                if account.admitted > 0 and account.admitted_until_s > now_s:
                    account.admitted -= 1
                    continue
            if self._away_until_s <= now_s:
                self._ask(kid, limit, account)

    def _ask(self, kid: str, limit: RateLimitItem, account: _Account) -> None:
        batch = max(1, min(_LARGEST_BATCH, limit.amount // _BATCHES_PER_WINDOW))
        try:
            is_batch = batch > 1 and self.strategy.hit(limit, kid, cost=batch)
            is_admitted = is_batch or self.strategy.hit(limit, kid)
            reset_at_s = 0.0 if is_admitted else self.strategy.get_window_stats(limit, kid).reset_time
        # Whatever its client or the network says: a request must not fail for want of being counted.
        except Exception as error:  # noqa: BLE001
            self._away_until_s = self.monotonic() + _PAUSE_S
            log.warning("limits.not_counted", error=type(error).__name__)
            return
        now_s = self.monotonic()
        with self._lock:
            if is_batch:
                account.admitted = batch - 1 + (account.admitted if account.admitted_until_s > now_s else 0)
                account.admitted_until_s = now_s + min(_LONGEST_BATCH_S, limit.get_expiry() / 10)
            if not is_admitted:
                account.refused_until_s = now_s + _REMEMBERED_REFUSAL_S
                account.retry_after_s = max(1, round(reset_at_s - time.time() + 0.5))
                raise RateLimitedError(str(limit), account.retry_after_s)

    def _make(self, kid: str, number: int) -> _Account:
        with self._lock:
            if len(self._known) >= _MAX_KEYS:
                self._known.clear()
            return self._known.setdefault((kid, number), _Account())


def open_limits(text: str, redis_url: str) -> RateLimits | None:
    """Limits as `limits` writes them (`1000/second; 20000/minute`), counted in this Redis; None for no limit."""
    if not text:
        return None
    storage = RedisStorage(
        redis_url, key_prefix=_PREFIX, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S
    )
    return RateLimits(parse_many(text), SlidingWindowCounterRateLimiter(storage))
