"""API keys as one process knows them: looked up once, then looked after by a thread, so that requests don't wait."""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Engine

from credits.api.keys import ApiKey, FoundKey, checked_key, find_keys, note_use
from credits.clock import Clock
from credits.db import is_unavailable, single_statements, snapshot
from credits.errors import AuthenticationError
from credits.log import get_logger
from credits.processes import process_id

ROUND_S: Final = 1.5
"""How often the keys in use are looked up again."""

TRUSTED_S: Final = 4.0
"""How long a key is taken for valid after it was looked up: one that is revoked stops working everywhere within it."""

TRUSTED_WITHOUT_DATABASE_S: Final = 600.0
"""The same while the database does not answer; reservations of known accounts go on meanwhile."""

USE_NOTED_MS: Final = 60_000
"""A key's last use is written down at most so often."""

MAX_KNOWN_KEYS: Final = 10_000

log = get_logger(__name__)


@dataclass(slots=True)
class _Known:
    """What is known of one text that claims to be a key."""

    kid: str
    found: FoundKey | None
    looked_up_at_s: float
    used_at_s: float


@dataclass(slots=True)
class KeyRing:
    """
    Answers whose key it is. Safe to share between threads, and made before a fork.

    A key that is in use costs its requests nothing: a thread looks it up again, and writes its last use down. The
    thread ends when no key was in use for a while.
    """

    engine: Engine
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic
    _known: dict[bytes, _Known] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread_pid: int | None = None
    _is_database_away: bool = False

    def authenticate(self, key: str) -> ApiKey:
        """Who `key` belongs to. Raises AuthenticationError, which does not say why."""
        now_s = self.monotonic()
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        if known is None or not self._is_trusted(known, now_s):
            known = self._look_up(digest, checked_key(key))
        known.used_at_s = now_s
        self._start_thread()
        if known.found is None or not known.found.key.is_valid(self.clock()):
            raise AuthenticationError("no valid API key")
        return known.found.key

    def _is_trusted(self, known: _Known, now_s: float) -> bool:
        age_s = now_s - known.looked_up_at_s
        # Who was no key a moment ago may be one now: `credits keys create` answers before anybody asks.
        if known.found is None:
            return age_s < ROUND_S
        return age_s < (TRUSTED_WITHOUT_DATABASE_S if self._is_database_away else TRUSTED_S)

    def _look_up(self, digest: bytes, kid: str) -> _Known:
        looked_up_at_s = self.monotonic()
        try:
            with snapshot(self.engine) as connection:
                rows = find_keys(connection, [kid])
        except Exception as error:
            known = self._known.get(digest)
            if known is None or known.found is None or not is_unavailable(error):
                raise
            self._is_database_away = True
            if self._is_trusted(known, looked_up_at_s):
                return known
            raise
        known = _Known(kid, _matching(rows, kid, digest), looked_up_at_s, looked_up_at_s)
        with self._lock:
            if len(self._known) >= MAX_KNOWN_KEYS:
                self._known.clear()
            self._known[digest] = known
        return known

    # ── The thread ───────────────────────────────────────────────────────────────────────────────────────

    def _start_thread(self) -> None:
        # Threads don't survive a fork: the first request in each process starts one.
        if self._thread_pid == process_id():
            return
        with self._lock:
            if self._thread_pid != process_id():
                self._thread_pid = process_id()
                threading.Thread(target=self._keep, name="keyring", daemon=True).start()

    def _keep(self) -> None:
        while True:
            time.sleep(ROUND_S)
            with self._lock:
                oldest_use_s = self.monotonic() - 2 * ROUND_S
                in_use = {name: known for name, known in self._known.items() if known.used_at_s >= oldest_use_s}
                if not in_use:
                    self._thread_pid = None
                    return
            self.refresh(in_use)

    def refresh(self, in_use: dict[bytes, _Known]) -> None:
        """Look these keys up again, and write down that they are used."""
        looked_up_at_s = self.monotonic()
        try:
            with snapshot(self.engine) as connection:
                rows = find_keys(connection, {known.kid for known in in_use.values()})
            for digest, known in in_use.items():
                known.found = _matching(rows, known.kid, digest)
                known.looked_up_at_s = looked_up_at_s
            self._is_database_away = False
            self._note_use([known.found for known in in_use.values() if known.found is not None])
        # A round that fails is made up for by the next one; what is trusted meanwhile has its own bound.
        except Exception as error:  # noqa: BLE001
            self._is_database_away = is_unavailable(error)
            log.warning("keyring.not_refreshed", keys=len(in_use), error=type(error).__name__)

    def _note_use(self, found: list[FoundKey]) -> None:
        now_ms = self.clock()
        due = [one.key.kid for one in found if (one.last_used_at_ms or 0) <= now_ms - USE_NOTED_MS]
        if due:
            with single_statements(self.engine) as connection:
                note_use(connection, due, now_ms=now_ms, unless_since_ms=now_ms - USE_NOTED_MS)


def _matching(rows: list[FoundKey], kid: str, digest: bytes) -> FoundKey | None:
    """The row of `kid`, if its secret is the one with this digest."""
    return next((row for row in rows if row.key.kid == kid and row.has_digest(digest)), None)
