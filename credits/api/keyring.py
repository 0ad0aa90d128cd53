"""API keys as one process knows them: looked up once, then remembered for seconds."""

import hashlib
import threading
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Engine

from credits.api.keys import ApiKey, checked_key, find_key
from credits.clock import Clock
from credits.db import snapshot
from credits.errors import AuthenticationError

REMEMBERED_MS: Final = 3_000
"""A key that is revoked stops working everywhere within this time."""

MAX_REMEMBERED_KEYS: Final = 10_000


@dataclass(slots=True)
class KeyRing:
    """
    Answers whose key it is. Safe to share between threads.

    A key costs a query at most every three seconds in each process.
    """

    engine: Engine
    clock: Clock
    _known: dict[bytes, tuple[int, ApiKey | None]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def authenticate(self, key: str) -> ApiKey:
        """Who `key` belongs to. Raises AuthenticationError, which does not say why."""
        kid, now_ms = checked_key(key), self.clock()
        name = hashlib.sha256(key.encode()).digest()
        looked_up_at_ms, found = self._known.get(name, (-REMEMBERED_MS, None))
        if not 0 <= now_ms - looked_up_at_ms < REMEMBERED_MS:
            found = self._look_up(name, kid, key, now_ms)
        if found is None or not found.is_valid(now_ms):
            raise AuthenticationError("no valid API key")
        return found

    def _look_up(self, name: bytes, kid: str, key: str, now_ms: int) -> ApiKey | None:
        with snapshot(self.engine) as connection:
            found = find_key(connection, kid, key)
        with self._lock:
            if len(self._known) >= MAX_REMEMBERED_KEYS:
                self._known.clear()
            self._known[name] = now_ms, found
        return found
