"""
Settlement: the journal's lines become ledger entries, in batches, each once.

See that the shard's Redis is in the epoch; read lines; in one transaction that holds the epoch still, book what is new;
then tell the gate to forget the lines. Killed between any two of these, the next settler reads the lines again and
finds them booked.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from credits.reservations import booking
from credits.reservations.booking import Booked, Bookings
from credits.reservations.epochs import learn_epoch, renew_epoch
from credits.reservations.gate import JournalLine
from credits.reservations.journal import Debit, UnreadableLineError, read_line
from credits.reservations.keys import account_keys, shard_keys
from credits.reservations.model import Answer
from credits.reservations.scripts import Verb
from credits.reservations.steps import Call, GateRuntime, Pause, ReadJournal, Sql, Steps

BATCH: Final = 500
"""Lines of one shard in one transaction, at most."""

LEASE_MS: Final = 300
"""
How long who waits for the ledger leaves the settling of a shard to another. Longer than a transaction takes, most of
the time; who needs longer is overtaken, and all that costs is a second look at the same lines.
"""

_GATHER_MS: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What came of settling some shards."""

    done: int = 0
    """Lines that are forgotten."""
    idle: frozenset[int] = frozenset()
    """The shards that were looked at and had no line to forget."""
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    """By op, of what the ledger certainly has: this settler's transaction is committed."""
    led_after: Mapping[int, str] = field(default_factory=dict)
    """The shards that somebody else settles right now, with the mark behind which that one tells."""
    unfinished: frozenset[int] = frozenset()
    """The shards that may have more to settle: a full batch, or another epoch."""


@dataclass(slots=True)
class _Led:
    """Who settles which of some shards."""

    epochs: dict[int, int] = field(default_factory=dict)
    """Of those that we settle, the epoch that their Redis is armed for."""
    after: dict[int, str] = field(default_factory=dict)
    """Those that somebody else settles."""
    stale: set[int] = field(default_factory=set)
    are_awaited: bool = False
    """Whether somebody was told of one of them the last time."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of one shard's journal."""

    epoch: int
    debits: list[Debit]


def settle(runtime: GateRuntime, shard: int) -> Steps[int]:
    """
    Book up to 500 lines of a shard's journal; answers how many lines are done with.

    Safe to repeat, and to run in any number of processes at once. A line that cannot be read stays, and keeps its
    account from being loaded again; the others go on.
    """
    return (yield from settle_shards(runtime, [shard])).done


def settle_shards(
    runtime: GateRuntime, shards: Sequence[int], *, leader: str = "", lock_wait_ms: int | None = None
) -> Steps[Settlement]:
    """
    As `settle`, for several shards in one transaction.

    A `leader` passes over shards that another one settles at the moment, and others leave to it those that it settles.
    That saves work; nothing rests on it. `lock_wait_ms` is how long the transaction waits for a row that is locked, if
    not as long as any other does.
    """
    led = yield from _lead(runtime, shards, leader)
    if led.are_awaited:
        # Those who were told together come back together: one transaction for all of them, not two.
        yield Pause(_GATHER_MS)
    read: dict[int, _Read] = {}
    unfinished = set(led.stale)
    for shard, epoch in led.epochs.items():
        lines: list[JournalLine] = yield ReadJournal(shard, BATCH)
        read[shard] = _Read(epoch, _readable(lines))
        if len(lines) == BATCH:
            unfinished.add(shard)
    bookings = yield from _book(runtime, read, lock_wait_ms)
    done: dict[int, int] = {}
    for shard, of_shard in read.items():
        done[shard] = yield from _finish(runtime, shard, of_shard.epoch, bookings.lines_of(shard), leader)
    for shard in sorted(bookings.over):
        # Another epoch has begun: these lines are that epoch's to judge.
        yield from learn_epoch(runtime, shard)
    return Settlement(
        done=sum(done.values()),
        idle=frozenset(shard for shard, count in done.items() if count == 0),
        fingerprints=_fingerprints(bookings.lines),
        led_after=led.after,
        unfinished=bookings.over | unfinished,
    )


def _lead(runtime: GateRuntime, shards: Sequence[int], leader: str) -> Steps[_Led]:
    led = _Led()
    for shard in shards:
        epoch, keys = runtime.gate.epochs.get(shard, 0), shard_keys(shard)
        # First, is this Redis armed for the epoch? Who learnt of an epoch from SQL before it was armed would book
        # lines of the Redis before; wiped, it would be armed, and load accounts that know nothing of those lines.
        answer: list[str] = yield Call(
            Verb.LEAD,
            (keys.shard, keys.journal, keys.lead, keys.told),
            (epoch, runtime.clock(), leader, LEASE_MS),
        )
        if answer[0] == Answer.STALE:
            yield from renew_epoch(runtime, shard, epoch)
            led.stale.add(shard)
        elif answer[0] == Answer.LED:
            led.after[shard] = answer[1]
        else:
            led.epochs[shard] = epoch
            led.are_awaited |= answer[1] != "0"
    return led


def unreadable(lines: list[JournalLine]) -> list[JournalLine]:
    """The lines that no settler of this release can book."""
    return [line for line in lines if not _debits(line)]


def _book(runtime: GateRuntime, read: Mapping[int, _Read], lock_wait_ms: int | None) -> Steps[Bookings]:
    debits = [debit for one in read.values() for debit in one.debits]
    if not debits:
        return Bookings(lines=[], over=frozenset())
    epochs = {shard: one.epoch for shard, one in read.items() if one.debits}
    found: Bookings = yield Sql(
        lambda connection: booking.book(connection, epochs, debits, now_ms=runtime.clock(), lock_wait_ms=lock_wait_ms)
    )
    return found


def _finish(runtime: GateRuntime, shard: int, epoch: int, booked: Sequence[Booked], leader: str) -> Steps[int]:
    """Have the gate forget what is booked, and whoever waits told; answers how many lines are forgotten."""
    forgotten = 0
    if booked:
        keys, args = _settled_call(shard, booked)
        answer: list[str] = yield Call(Verb.SETTLED, keys, (epoch, runtime.clock(), *args))
        forgotten = int(answer[1]) if answer[0] == Answer.SETTLED else 0
    if leader:
        of_shard = shard_keys(shard)
        told = json.dumps(_fingerprints(booked), separators=(",", ":"))
        yield Call(Verb.TELL, (of_shard.shard, of_shard.lead, of_shard.told), (epoch, leader, told))
    return forgotten


def _fingerprints(booked: Iterable[Booked]) -> dict[str, str]:
    return {one.op: one.fingerprint for one in booked if one.fingerprint}


def _readable(lines: list[JournalLine]) -> list[Debit]:
    return [debit for line in lines for debit in _debits(line)]


def _debits(line: JournalLine) -> tuple[Debit, ...]:
    try:
        return read_line(line)
    except UnreadableLineError:
        return ()


def _settled_call(shard: int, booked: Sequence[Booked]) -> tuple[tuple[str, ...], tuple[str | int, ...]]:
    """KEYS and ARGV that make the gate forget the lines and give back what was charged twice."""
    of_shard = shard_keys(shard)
    keys: list[str] = [of_shard.shard, of_shard.journal]
    args: list[str | int] = []
    index_of: dict[int, int] = {}
    for line in booked:
        if line.account_id not in index_of:
            index_of[line.account_id] = len(index_of)
            keys.extend(account_keys(line.account_id).of_account())
        args += [line.stream_id, index_of[line.account_id], int(line.is_refunded)]
    return tuple(keys), tuple(args)
