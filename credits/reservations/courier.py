"""Brings new credits to the gate right after SQL has committed them, and makes nobody wait for a Redis that is away."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Engine, select

from credits.db import glance
from credits.errors import GateUnavailableError
from credits.ledger.tables import entries, outbox
from credits.log import get_logger
from credits.redis_client import hurried
from credits.reservations.gate import Gate
from credits.reservations.member_changes import bring_all_changes
from credits.reservations.protocol import apply_credits
from credits.reservations.steps import GateRuntime, Steps, run

PATIENCE_S: Final = 0.25
"""How long one call may take here. The sweep brings whatever could not be brought."""

_PAUSE_S: Final = 5.0

log = get_logger(__name__)


@dataclass(slots=True)
class Courier:
    """Brings credits while Redis answers; after a failure it leaves the work to the sweep for five seconds."""

    runtime: GateRuntime
    _away_until_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def over(cls, runtime: GateRuntime) -> "Courier":
        """A courier on the gate of `runtime`, with less patience and the same knowledge of epochs."""
        gate = runtime.gate
        quick = Gate(hurried(gate.client, patience_s=PATIENCE_S), code=gate.code, epochs=gate.epochs)
        return cls(replace(runtime, gate=quick))

    def bring(self, find: Callable[[], Iterable[int]]) -> None:
        """
        Bring what the accounts that `find` answers were granted.

        Never raises: the credits are granted, whatever happens here.
        """
        self._carry(find, lambda account_ids: apply_credits(self.runtime, account_ids), waits="gate.credits_wait")

    def bring_changes(self, find: Callable[[], Iterable[int]]) -> None:
        """Bring what was changed about members of the accounts that `find` answers. Never raises, either."""
        self._carry(find, lambda account_ids: bring_all_changes(self.runtime, account_ids), waits="gate.changes_wait")

    def _carry(
        self, find: Callable[[], Iterable[int]], steps: Callable[[list[int]], Steps[int]], *, waits: str
    ) -> None:
        with self._lock:
            is_paused = time.monotonic() < self._away_until_s
        if is_paused:
            return
        try:
            account_ids = list(find())
            if account_ids:
                run(self.runtime, steps(account_ids))
        except GateUnavailableError as error:
            self._pause()
            log.warning(waits, message=str(error))
        # What is committed must not fail for what comes after it.
        except Exception:
            self._pause()
            log.exception(waits)

    def _pause(self) -> None:
        with self._lock:
            self._away_until_s = time.monotonic() + _PAUSE_S


def accounts_of_events(engine: Engine, event_ids: Iterable[int]) -> list[int]:
    """The accounts that these events have granted something which waits for the gate."""
    query = (
        select(outbox.c.account_id)
        .join(entries, entries.c.account_id == outbox.c.account_id)
        .where(entries.c.event_id.in_(list(event_ids)))
        .distinct()
    )
    with glance(engine) as connection:
        return list(connection.execute(query).scalars())
