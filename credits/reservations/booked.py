"""
Waiting for the ledger: of all processes one settles a shard at a time, and its transaction serves all who wait.

In a process one thread leads: it asks the gate whether to settle, and settles for all threads that wait, whatever their
shards, or hears what another process tells (credits.reservations.turns says whose turn it is).
What is told is what a committed transaction has booked, so it is as good as a look into the ledger. A leader that dies
or stops tells nothing; then its lease ends, and the next one settles.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import select

from credits.config.settings import Tenant
from credits.db import glance, is_unavailable
from credits.ids import new_id
from credits.ledger.tables import entries
from credits.log import get_logger
from credits.reservations.asks import TAKEN, Ask
from credits.reservations.keys import account_keys, shard_of
from credits.reservations.model import Answer
from credits.reservations.protocol import NOT_READY, Answered
from credits.reservations.scripts import Verb
from credits.reservations.settlement import AskedToLead, ask_to_lead, settle_asked, settle_shards
from credits.reservations.steps import Call, GateRuntime, perform, run
from credits.reservations.turns import Taken, Turn, Turns, Waiter

_POLL_S: Final = 0.005
_AWAY_PAUSE_S: Final = 0.1
_LISTEN_MS: Final = 100
"""How long one listens for what a leader tells, before asking to lead again."""

_LOCK_WAIT_MS: Final = 250
"""How long one who settles for all waits for rows that somebody else has locked, before each waits by itself."""

_NAP_S: Final = 0.5

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TakenAlong:
    """What the gate took in the same turn in which it was to be booked."""

    answered: Answered
    taken: Taken
    """Booked, or to be waited for."""
    since_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """How a turn has ended."""

    led_after: Mapping[int, str] = field(default_factory=dict)
    has_failed: bool = False


@dataclass(slots=True)
class Bookkeeper:
    """Settles for those who wait. Safe to share between threads."""

    runtime: GateRuntime
    tenant: Tenant
    credit_types: tuple[str, ...]
    """An op's entries are looked for under these."""
    _name: str = field(default_factory=new_id)
    _turns: Turns = field(default_factory=Turns)

    def await_booked(self, taken: Sequence[Taken], *, since_s: float | None = None) -> None:
        """
        Settle until all of `taken` are booked, or for as long as the runtime says; marks those that are.

        All must be of one shard. Servers that are away are asked again within that time, which began at `since_s`.
        """
        if not taken:
            return
        waiter = Waiter(shard=shard_of(taken[0].account_id), taken=tuple(taken))
        deadline_s = (time.monotonic() if since_s is None else since_s) + self.runtime.ledger_wait_s
        self._turns.enter(waiter)
        try:
            while not waiter.is_done:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    return
                turn = self._turns.take(waiter)
                if turn is None:
                    waiter.woken.wait(min(left_s, _NAP_S))
                    waiter.woken.clear()
                else:
                    self._carry_out(turn)
        finally:
            self._turns.leave(waiter)

    def take_and_book(self, ask: Ask) -> TakenAlong | None:
        """
        Have the gate take what `ask` says and book it at once, if nobody else waits: a round trip less than one by one.

        What is answered may have to be waited for still. None if others wait, or the gate was not ready: ask it alone.
        Raises GateUnavailableError.
        """
        shard, gate = shard_of(ask.account_id), self.runtime.gate
        turn = None if shard in gate.shared else self._turns.take_alone(shard)
        if turn is None:
            return None
        epoch, since_s = gate.epochs.get(shard, 0), time.monotonic()
        call = Call(ask.verb, account_keys(ask.account_id).all, (epoch, *ask.args))
        done = _Done()
        try:
            asked, words = run(self.runtime, ask_to_lead(self.runtime, turn.shards, self._name, behind=call))
            taken = Taken(op=ask.op, account_id=ask.account_id, epoch=epoch)
            turn = replace(turn, taken=(taken,) if words[0] in TAKEN else ())
            done = self._carried_out(turn, asked)
        finally:
            self._turns.end(turn, led_after=done.led_after, has_failed=done.has_failed)
        return None if words[0] in NOT_READY else TakenAlong(Answered(words, epoch), taken, since_s)

    def fingerprints(self, ops: Iterable[str]) -> dict[str, str]:
        """The fingerprint under which each op is booked, of those that are."""
        op_of = {f"{op}:{credit_type}": op for op in ops for credit_type in self.credit_types}
        query = select(entries.c.key, entries.c.fingerprint).where(
            entries.c.tenant == self.tenant, entries.c.key.in_(list(op_of))
        )
        with glance(self.runtime.engine) as connection:
            return {op_of[row.key]: row.fingerprint for row in connection.execute(query)}

    def _carry_out(self, turn: Turn) -> None:
        done = _Done(has_failed=True)
        try:
            done = self._carried_out(turn)
        finally:
            self._turns.end(turn, led_after=done.led_after, has_failed=done.has_failed)

    def _carried_out(self, turn: Turn, asked: AskedToLead | None = None) -> "_Done":
        try:
            if turn.told_after is None:
                return _Done(led_after=self._settle(turn, asked))
            told = self.runtime.gate.await_told(turn.shards[0], after=turn.told_after, wait_ms=_LISTEN_MS)
            _mark(self._turns.taken_of(turn.shards[0]), told)
        # Whatever is away may come back before those who wait lose patience; they have the deadline. And what is wrong
        # with one shard is no business of a thread that waits for another: next, each is settled by its own.
        except Exception as error:
            if turn.is_shared:
                log.info("gate.not_together", shards=list(turn.shards), error=type(error).__name__)
            elif is_unavailable(error):
                time.sleep(_AWAY_PAUSE_S)
            else:
                raise
            return _Done(has_failed=True)
        return _Done()

    def _settle(self, turn: Turn, asked: AskedToLead | None) -> Mapping[int, str]:
        """One settlement, and one look into the ledger for all who waited then; answers what others settle."""
        lock_wait_ms = _LOCK_WAIT_MS if turn.is_shared else None
        if asked is None:
            steps = settle_shards(self.runtime, turn.shards, leader=self._name, lock_wait_ms=lock_wait_ms)
        else:
            steps = settle_asked(self.runtime, asked, leader=self._name, lock_wait_ms=lock_wait_ms)
        settlement = run(self.runtime, steps)
        served = [one for one in turn.taken if shard_of(one.account_id) not in settlement.led_after]
        _mark(served, settlement.fingerprints)
        missing = [one for one in served if not one.is_booked]
        if missing:
            # Somebody else may have booked them, a moment ago or long since.
            _mark(missing, self.fingerprints({one.op for one in missing}))
        self._find_settled(
            [one for one in missing if not one.is_booked and shard_of(one.account_id) in settlement.idle]
        )
        return settlement.led_after

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
