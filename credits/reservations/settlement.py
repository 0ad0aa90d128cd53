"""
Settlement: the journal's lines become ledger entries, in batches, each once.

See that the shard's Redis is in the epoch; read lines; in one transaction that holds the epoch still, book what is new;
then tell the gate to forget the lines. Killed between any two of these, the next settler reads the lines again and
finds them booked.
"""

from typing import Final

from credits.reservations import booking
from credits.reservations.booking import Booked
from credits.reservations.epochs import learn_epoch, renew_epoch
from credits.reservations.gate import JournalLine
from credits.reservations.journal import Debit, UnreadableLineError, read_line
from credits.reservations.keys import account_keys, shard_keys
from credits.reservations.model import Answer
from credits.reservations.scripts import Verb
from credits.reservations.steps import Call, GateRuntime, ReadJournal, Sql, Steps

BATCH: Final = 500


def settle(runtime: GateRuntime, shard: int) -> Steps[int]:
    """
    Book up to 500 lines of a shard's journal; answers how many lines are done with.

    Safe to repeat, and to run in any number of processes at once. A line that cannot be read stays, and keeps its
    account from being loaded again; the others go on.
    """
    epoch, of_shard = runtime.gate.epochs.get(shard, 0), shard_keys(shard)
    # First of all, is this Redis armed for the epoch? Who learnt of an epoch from SQL before it was armed would book
    # lines of the Redis before; wiped, it would be armed, and load accounts that know nothing of those lines.
    served: list[str] = yield Call(Verb.SETTLED, (of_shard.shard, of_shard.journal), (epoch, runtime.clock()))
    if served[0] == Answer.STALE:
        yield from renew_epoch(runtime, shard, epoch)
        return 0
    lines: list[JournalLine] = yield ReadJournal(shard, BATCH)
    readable = _readable(lines)
    if not readable:
        return 0
    booked: list[Booked] | None = yield Sql(
        lambda connection: booking.book(connection, shard, epoch, readable, now_ms=runtime.clock())
    )
    if booked is None:
        # Another epoch has begun: these lines are that epoch's to judge.
        yield from learn_epoch(runtime, shard)
        return 0
    keys, args = _settled_call(shard, booked)
    answer: list[str] = yield Call(Verb.SETTLED, keys, (epoch, runtime.clock(), *args))
    return int(answer[1]) if answer[0] == Answer.SETTLED else 0


def unreadable(lines: list[JournalLine]) -> list[JournalLine]:
    """The lines that no settler of this release can book."""
    return [line for line in lines if not _debits(line)]


def _readable(lines: list[JournalLine]) -> list[Debit]:
    return [debit for line in lines for debit in _debits(line)]


def _debits(line: JournalLine) -> tuple[Debit, ...]:
    try:
        return read_line(line)
    except UnreadableLineError:
        return ()


def _settled_call(shard: int, booked: list[Booked]) -> tuple[tuple[str, ...], tuple[str | int, ...]]:
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
