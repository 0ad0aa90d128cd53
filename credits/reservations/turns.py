"""Whose turn it is: of the threads that wait for the ledger one settles for all of them, shard by shard or together."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

MOST_SHARDS: Final = 32
"""Of one turn: each costs four calls of its Redis, and a lease of a fraction of a second runs meanwhile."""

_APART_S: Final = 5.0
"""How long shards are settled one by one after a shared turn went wrong: one of them may be the fault."""


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


@dataclass(eq=False, slots=True, kw_only=True)
class Waiter:
    """A thread that waits for what was taken on one shard."""

    shard: int
    taken: tuple[Taken, ...]
    woken: threading.Event = field(default_factory=threading.Event)

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to wait for."""
        return all(one.is_booked for one in self.taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one thread does for all: settle these shards, or hear of one what another process tells."""

    shards: tuple[int, ...]
    taken: tuple[Taken, ...]
    """What is waited for on them."""
    told_after: str | None = None
    is_shared: bool = False
    """One such turn is on at a time, whoever comes meanwhile waits for the next: that is what fills transactions."""


@dataclass(slots=True)
class Turns:
    """The turns of one process. Nothing here asks a server for anything."""

    monotonic: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _waiters: list[Waiter] = field(default_factory=list)
    _busy: set[int] = field(default_factory=set)
    """Shards that are in somebody's turn."""
    _is_shared_on: bool = False
    _told_after: dict[int, str] = field(default_factory=dict)
    """Shards that another process settles, with the mark behind which it tells."""
    _apart_until_s: dict[int, float] = field(default_factory=dict)

    def enter(self, waiter: Waiter) -> None:
        """Begin to wait."""
        with self._lock:
            self._waiters.append(waiter)

    def leave(self, waiter: Waiter) -> None:
        """Wait no longer. If it had been called upon, another one is."""
        with self._lock:
            self._waiters.remove(waiter)
            if not any(other.shard == waiter.shard for other in self._waiters):
                self._told_after.pop(waiter.shard, None)
            self._call_next()

    def taken_of(self, shard: int) -> list[Taken]:
        """What is waited for on a shard."""
        with self._lock:
            return [one for waiter in self._waiters if waiter.shard == shard for one in waiter.taken]

    def take(self, waiter: Waiter) -> Turn | None:
        """The turn that `waiter` is to carry out, and to end; None if it has to wait until it is woken."""
        with self._lock:
            if waiter.shard in self._busy:
                return None
            told_after = self._told_after.pop(waiter.shard, None)
            if told_after is not None or self._is_apart(waiter.shard):
                return self._begin((waiter.shard,), told_after=told_after)
            if self._is_shared_on:
                return None
            self._is_shared_on = True
            shards = dict.fromkeys((waiter.shard, *self._settleable()))
            return self._begin(tuple(sorted(list(shards)[:MOST_SHARDS])), is_shared=True)

    def take_alone(self, shard: int) -> Turn | None:
        """A turn for a thread that is about to wait, before it does; None if anybody else waits, or is at it."""
        with self._lock:
            if self._waiters or self._is_shared_on or shard in self._busy or self._is_apart(shard):
                return None
            self._is_shared_on = True
            return self._begin((shard,), is_shared=True)

    def end(self, turn: Turn, *, led_after: Mapping[int, str], has_failed: bool) -> None:
        """A turn is over: wake those whom it served, and somebody for what is left to do."""
        with self._lock:
            self._busy.difference_update(turn.shards)
            self._is_shared_on = self._is_shared_on and not turn.is_shared
            self._told_after.update(led_after)
            if has_failed and turn.is_shared:
                self._apart_until_s.update(dict.fromkeys(turn.shards, self.monotonic() + _APART_S))
            called: set[int] = set()
            for waiter in self._waiters:
                if waiter.shard in turn.shards and (waiter.is_done or waiter.shard not in called):
                    waiter.woken.set()
                    if not waiter.is_done:
                        called.add(waiter.shard)
            self._call_next()

    def _begin(self, shards: tuple[int, ...], *, told_after: str | None = None, is_shared: bool = False) -> Turn:
        self._busy.update(shards)
        missing = (waiter for waiter in self._waiters if waiter.shard in shards and not waiter.is_done)
        taken = tuple(one for waiter in missing for one in waiter.taken)
        return Turn(shards=shards, taken=taken, told_after=told_after, is_shared=is_shared)

    def _settleable(self) -> Iterator[int]:
        for waiter in self._waiters:
            shard = waiter.shard
            if not (waiter.is_done or shard in self._busy or shard in self._told_after or self._is_apart(shard)):
                yield shard

    def _call_next(self) -> None:
        """Wake somebody for the next shared turn, if it may begin and is asked for."""
        if self._is_shared_on:
            return
        for waiter in self._waiters:
            if waiter.shard not in self._busy and not waiter.is_done:
                waiter.woken.set()
                return

    def _is_apart(self, shard: int) -> bool:
        until_s = self._apart_until_s.get(shard)
        if until_s is None:
            return False
        if until_s > self.monotonic():
            return True
        del self._apart_until_s[shard]
        return False
