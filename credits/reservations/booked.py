"""
Waiting for the ledger: of all processes one settles a shard at a time, and its transaction serves all who wait.

In a process one thread leads: it asks the gate whether to settle, and settles, or waits for what another process tells.
What is told is what a committed transaction has booked, so it is as good as a look into the ledger. A leader that dies
or stops tells nothing; then its lease ends, and the next one settles.
"""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select

from credits.config.settings import Tenant
from credits.db import glance, is_unavailable
from credits.ids import new_id
from credits.ledger.tables import entries
from credits.reservations.keys import account_keys, shard_of
from credits.reservations.model import Answer
from credits.reservations.scripts import Verb
from credits.reservations.settlement import settle_shards
from credits.reservations.steps import Call, GateRuntime, perform, run

_POLL_S: Final = 0.005
_AWAY_PAUSE_S: Final = 0.1
_LISTEN_MS: Final = 100
"""How long one listens for what a leader tells, before asking to lead again."""


@dataclass(eq=False, slots=True, kw_only=True)
class Taken:
    """What the gate took, and somebody wants to see in the ledger."""

    op: str
    account_id: int
    epoch: int
    """Of the shard when the gate took it."""
    is_booked: bool = False
    fingerprint: str | None = None
    """Of the entry in the ledger, once it is there."""


@dataclass(slots=True)
class _Shard:
    changed: threading.Condition = field(default_factory=threading.Condition)
    is_led: bool = False
    waiting: list[Taken] = field(default_factory=list)


@dataclass(slots=True)
class Bookkeeper:
    """Settles for those who wait. Safe to share between threads."""

    runtime: GateRuntime
    tenant: Tenant
    credit_types: tuple[str, ...]
    """An op's entries are looked for under these."""
    _name: str = field(default_factory=new_id)
    _shards: dict[int, _Shard] = field(default_factory=dict)

    def await_booked(self, taken: Sequence[Taken]) -> None:
        """
        Settle until all of `taken` are booked, or for as long as the runtime says; marks those that are.

        All must be of one shard. Servers that are away are asked again within that time.
        """
        if not taken:
            return
        number = shard_of(taken[0].account_id)
        shard = self._shards.setdefault(number, _Shard())
        deadline_s = time.monotonic() + self.runtime.ledger_wait_s
        with shard.changed:
            shard.waiting.extend(taken)
        try:
            while not all(one.is_booked for one in taken):
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    return
                with shard.changed:
                    if shard.is_led:
                        shard.changed.wait(left_s)
                        continue
                    shard.is_led = True
                self._lead(number, shard)
        finally:
            with shard.changed:
                shard.waiting = [one for one in shard.waiting if one not in taken]

    def fingerprints(self, ops: Iterable[str]) -> dict[str, str]:
        """The fingerprint under which each op is booked, of those that are."""
        op_of = {f"{op}:{credit_type}": op for op in ops for credit_type in self.credit_types}
        query = select(entries.c.key, entries.c.fingerprint).where(
            entries.c.tenant == self.tenant, entries.c.key.in_(list(op_of))
        )
        with glance(self.runtime.engine) as connection:
            return {op_of[row.key]: row.fingerprint for row in connection.execute(query)}

    def _lead(self, number: int, shard: _Shard) -> None:
        """One settlement, and one look into the ledger for all who waited when it began."""
        try:
            with shard.changed:
                served = list(shard.waiting)
            self._settle(number, shard, served)
        # Whatever is away may come back before those who wait lose patience; they have the deadline.
        except Exception as error:
            if not is_unavailable(error):
                raise
            time.sleep(_AWAY_PAUSE_S)
        finally:
            with shard.changed:
                shard.is_led = False
                shard.changed.notify_all()

    def _settle(self, number: int, shard: _Shard, served: Sequence[Taken]) -> None:
        settlement = run(self.runtime, settle_shards(self.runtime, [number], leader=self._name))
        if number in settlement.led_after:
            after, gate = settlement.led_after[number], self.runtime.gate
            told = gate.await_told(number, after=after, wait_ms=_LISTEN_MS)
            with shard.changed:
                _mark(shard.waiting, told)
            return
        _mark(served, settlement.fingerprints)
        missing = [one for one in served if not one.is_booked]
        if missing:
            # Somebody else may have booked them, a moment ago or long since.
            _mark(missing, self.fingerprints({one.op for one in missing}))
        if settlement.done == 0:
            self._find_settled([one for one in missing if not one.is_booked])

    def _find_settled(self, served: Sequence[Taken]) -> None:
        """
        Mark what has nothing to be booked: commits of 0.

        That is so if the gate, in the same epoch, has nothing unsettled of the account. In another epoch it proves
        nothing: that Redis may have lost the line.
        """
        settled: dict[tuple[int, int], bool] = {}
        for one in served:
            name = (one.account_id, one.epoch)
            if name not in settled:
                settled[name] = self._is_settled(one.account_id, one.epoch)
            one.is_booked = settled[name]
        if not all(one.is_booked for one in served):
            time.sleep(_POLL_S)

    def _is_settled(self, account_id: int, epoch: int) -> bool:
        keys = account_keys(account_id)
        named = (keys.shard, keys.account, keys.lots, keys.holds, keys.due, keys.journal, keys.token)
        args: tuple[str | int, ...] = (epoch, self.runtime.clock(), self.runtime.receipt_ms, *self.credit_types)
        answer: list[str] = perform(self.runtime, Call(Verb.READ, named, args))
        return answer[0] == Answer.READ and all(answer[at + 3] == "0" for at in range(1, len(answer), 6))


def _mark(waiting: Iterable[Taken], booked: Mapping[str, str]) -> None:
    for one in waiting:
        if one.op in booked:
            one.fingerprint, one.is_booked = booked[one.op], True
