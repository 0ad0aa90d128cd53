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
from credits.reservations.steps import Call, GateRuntime, Pause, ReadJournal, Sql, Steps, together

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


@dataclass(frozen=True, slots=True)
class AskedToLead:
    """What some shards' Redis answered to who wants to settle them."""

    epochs: Mapping[int, int]
    """In which each was asked."""
    answers: Sequence[Sequence[str]]
    """In the same order."""
    lines: Mapping[int, list[JournalLine]]
    """The oldest of each shard whose lines were asked for along with it."""


@dataclass(slots=True)
class _Led:
    """Who settles which of some shards."""

    epochs: dict[int, int] = field(default_factory=dict)
    """Of those that we settle, the epoch that their Redis is armed for."""
    lines: dict[int, list[JournalLine]] = field(default_factory=dict)
    """The oldest of those, where they came along with the answer."""
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
    asked, _ = yield from ask_to_lead(runtime, shards, leader)
    return (yield from settle_asked(runtime, asked, leader=leader, lock_wait_ms=lock_wait_ms))


def ask_to_lead(
    runtime: GateRuntime, shards: Sequence[int], leader: str, *, behind: Call | None = None
) -> Steps[tuple[AskedToLead, list[str]]]:
    """Ask to settle these shards, in one round trip; it may be behind another call, whose words are answered, too."""
    epochs = {shard: runtime.gate.epochs.get(shard, 0) for shard in shards}
    first = [] if behind is None else [behind]
    # First, is this Redis armed for the epoch? Who learnt of an epoch from SQL before it was armed would book
    # lines of the Redis before; wiped, it would be armed, and load accounts that know nothing of those lines.
    asked = [_lead_call(runtime, shard, epoch, leader) for shard, epoch in epochs.items()]
    # The lines come behind its answer, so they are of that Redis. Where others lead as often, they would come in vain.
    alone = [shard for shard in epochs if shard not in runtime.gate.shared]
    parts: list[Call | ReadJournal] = [*first, *asked, *(ReadJournal(shard, BATCH) for shard in alone)]
    answers = yield from together(runtime, parts)
    begin, end = len(first), len(first) + len(asked)
    lines = dict(zip(alone, answers[end:], strict=True))
    return AskedToLead(epochs, answers[begin:end], lines), answers[0] if first else []


def settle_asked(
    runtime: GateRuntime, asked: AskedToLead, *, leader: str, lock_wait_ms: int | None = None
) -> Steps[Settlement]:
    """The rest of `settle_shards`."""
    led = yield from _lead(runtime, asked)
    if led.are_awaited:
        # Those who were told together come back together: one transaction for all of them, not two.
        yield Pause(_GATHER_MS)
    lines = yield from _read(runtime, led)
    read = {shard: _Read(epoch, _readable(lines[shard])) for shard, epoch in led.epochs.items()}
    unfinished = led.stale | {shard for shard, found in lines.items() if len(found) == BATCH}
    bookings = yield from _book(runtime, read, lock_wait_ms)
    done = yield from _finish(runtime, read, bookings, leader)
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


def _lead(runtime: GateRuntime, asked: AskedToLead) -> Steps[_Led]:
    led, shared = _Led(), runtime.gate.shared
    for (shard, epoch), answer in zip(asked.epochs.items(), asked.answers, strict=True):
        is_led, is_awaited = answer[0] == Answer.LED, answer[0] == Answer.LEADING and answer[1] != "0"
        if answer[0] == Answer.STALE:
            yield from renew_epoch(runtime, shard, epoch)
            led.stale.add(shard)
        elif is_led:
            led.after[shard] = answer[1]
        else:
            led.epochs[shard] = epoch
            if shard in asked.lines:
                led.lines[shard] = asked.lines[shard]
        led.are_awaited |= is_awaited
        if is_led or is_awaited:
            shared.add(shard)
        else:
            shared.discard(shard)
    return led


def _lead_call(runtime: GateRuntime, shard: int, epoch: int, leader: str) -> Call:
    keys = shard_keys(shard)
    return Call(Verb.LEAD, (keys.shard, keys.journal, keys.lead, keys.told), (epoch, runtime.clock(), leader, LEASE_MS))


def _read(runtime: GateRuntime, led: _Led) -> Steps[dict[int, list[JournalLine]]]:
    """The oldest lines of the shards that are ours to settle."""
    # While it waited, more may have come.
    missing = list(led.epochs) if led.are_awaited else [shard for shard in led.epochs if shard not in led.lines]
    found = yield from together(runtime, [ReadJournal(shard, BATCH) for shard in missing])
    return {**led.lines, **dict(zip(missing, found, strict=True))}


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


def _finish(runtime: GateRuntime, read: Mapping[int, _Read], bookings: Bookings, leader: str) -> Steps[dict[int, int]]:
    """Have the gate forget what is booked, and whoever waits told; answers how many lines are forgotten, by shard."""
    done = dict.fromkeys(read, 0)
    forgetting: dict[int, Call] = {}
    telling: list[Call] = []
    for shard, of_shard in read.items():
        booked = bookings.lines_of(shard)
        if booked:
            forgetting[shard] = _settled_call(runtime, shard, of_shard.epoch, booked)
        if leader:
            telling.append(_tell_call(shard, of_shard.epoch, booked, leader))
    answers = yield from together(runtime, [*forgetting.values(), *telling])
    for shard, answer in zip(forgetting, answers, strict=False):
        done[shard] = int(answer[1]) if answer[0] == Answer.SETTLED else 0
    return done


def _tell_call(shard: int, epoch: int, booked: Sequence[Booked], leader: str) -> Call:
    keys = shard_keys(shard)
    told = json.dumps(_fingerprints(booked), separators=(",", ":"))
    return Call(Verb.TELL, (keys.shard, keys.lead, keys.told), (epoch, leader, told))


def _fingerprints(booked: Iterable[Booked]) -> dict[str, str]:
    return {one.op: one.fingerprint for one in booked if one.fingerprint}


def _readable(lines: list[JournalLine]) -> list[Debit]:
    return [debit for line in lines for debit in _debits(line)]


def _debits(line: JournalLine) -> tuple[Debit, ...]:
    try:
        return read_line(line)
    except UnreadableLineError:
        return ()


def _settled_call(runtime: GateRuntime, shard: int, epoch: int, booked: Sequence[Booked]) -> Call:
    """The call that makes the gate forget the lines and give back what was charged twice."""
    of_shard = shard_keys(shard)
    keys: list[str] = [of_shard.shard, of_shard.journal]
    args: list[str | int] = [epoch, runtime.clock()]
    index_of: dict[int, int] = {}
    for line in booked:
        if line.account_id not in index_of:
            index_of[line.account_id] = len(index_of)
            keys.extend(account_keys(line.account_id).of_account())
        args += [line.stream_id, index_of[line.account_id], int(line.is_refunded)]
    return Call(Verb.SETTLED, tuple(keys), tuple(args))
