"""Guards of the procedures, each taken away on request: the proof that the simulator would see it missing."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection

from credits.reservations import booking, protocol, store
from credits.reservations.journal import Debit
from credits.reservations.model import Answer
from credits.reservations.scripts import Verb
from credits.reservations.steps import Call, Step


class Mutant(StrEnum):
    """A guard that is missing."""

    LOSER_ARMS = "whoever loses the race for an epoch arms it too"
    SETTLES_ANY_EPOCH = "settlement books lines of an epoch that is over"
    BOOKS_TWICE = "an op may have several entries"
    LOADS_ANY_EPOCH = "a load believes a snapshot of another epoch"
    CREDITS_UNORDERED = "the outbox is applied newest first"
    FORGETS_UNAPPLIED = "the outbox forgets a credit that the gate refused"
    LOADS_UNDRAINED = "a load does not wait for the account's journal"
    SETTLES_UNSERVED = "settlement does not ask whether its Redis is in the epoch"
    FORGETS_ELSEWHERE = "the outbox believes a Redis whose epoch is over"
    NEVER_REFUNDS = "a second charge for one op is not given back"
    BOOKS_FOR_NOBODY = "settlement forgets whose debit it books"
    FORGETS_LIMITS = "a change of a limit is forgotten although the gate has not heard of it"
    MEMBERS_GO_BACK = "of two snapshots of a member the last to come wins"


class Tamper:
    """What stands between the procedures and Redis: nothing, unless a mutant does."""

    def step(self, step: Step) -> Step:
        """What is carried out in the place of `step`."""
        return step

    def answer(self, step: Step, answer: Any) -> Any:
        """What the procedure is told in the place of `answer`."""
        del step
        return answer


class _Undrained(Tamper):
    def step(self, step: Step) -> Step:
        if isinstance(step, Call) and step.verb is Verb.BEGIN_LOAD:
            # No account has the number 0, and nothing unsettled.
            return step._replace(args=(step.args[0], 0, *step.args[2:]))
        return step


class _Forgetful(Tamper):
    def answer(self, step: Step, answer: Any) -> Any:
        if isinstance(step, Call) and step.verb is Verb.APPLY and answer[0] in {Answer.STALE, Answer.GAP}:
            return [Answer.DUP]
        return answer


class _Unserved(Tamper):
    def answer(self, step: Step, answer: Any) -> Any:
        if isinstance(step, Call) and step.verb is Verb.LEAD and answer[0] == Answer.STALE:
            return [Answer.LEADING, "0"]
        return answer


class _DeafToLimits(Tamper):
    def answer(self, step: Step, answer: Any) -> Any:
        if isinstance(step, Call) and step.verb is Verb.READ_MEMBER and answer[0] == Answer.READ:
            # As if it knew of every change.
            return [*answer[:3], str(2**53 - 1), *answer[4:]]
        return answer


class _AlwaysNewer(Tamper):
    """Each load of a member claims a version above all before it."""

    def __init__(self) -> None:
        self._claimed = 10**6

    def step(self, step: Step) -> Step:
        if isinstance(step, Call) and step.verb is Verb.LOAD_MEMBER:
            self._claimed += 1
            return step._replace(args=(*step.args[:4], self._claimed, *step.args[5:]))
        return step


class _EveryEpoch(int):
    """Equal to any epoch."""

    def __ne__(self, other: object) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


_raise_epoch, _read_snapshot = store.raise_epoch, store.read_snapshot
_pending_credits, _book = store.pending_credits, booking.book
_add_entry = booking._add_entry


def _win_always(connection: Connection, shard: int, current: int) -> bool:
    _raise_epoch(connection, shard, current)
    return True


def _read_as_if_of_any_epoch(connection: Connection, shard: int, account_id: int) -> store.Snapshot | None:
    found = _read_snapshot(connection, shard, account_id)
    return found and replace(found, epoch=_EveryEpoch(found.epoch))


def _newest_first(connection: Connection, account_ids: Sequence[int]) -> list[store.Credit]:
    return _pending_credits(connection, account_ids)[::-1]


def _forgetting_in_any_epoch(applied: Sequence[protocol.Applied]) -> Any:
    def forget(connection: Connection) -> int:
        store.forget_credits(connection, [one.credit for one in applied])
        return len(applied)

    return forget


def _book_any_epoch(connection: Connection, epochs: Mapping[int, int], *args: Any, **more: Any) -> booking.Bookings:
    return _book(connection, {shard: store.read_epoch(connection, shard) for shard in epochs}, *args, **more)


def _book_without_refunds(*args: Any, **more: Any) -> booking.Bookings:
    booked = _book(*args, **more)
    return replace(booked, lines=[replace(one, is_refunded=False) for one in booked.lines])


def _add_nobodys_entry(books: Any, debit: Debit, *args: Any, **more: Any) -> None:
    _add_entry(books, replace(debit, member=None, spent_at_ms=None), *args, **more)


_PATCHES: Final[dict[Mutant, tuple[Any, str, Any]]] = {
    Mutant.LOSER_ARMS: (store, "raise_epoch", _win_always),
    Mutant.SETTLES_ANY_EPOCH: (booking, "book", _book_any_epoch),
    Mutant.BOOKS_TWICE: (
        Debit,
        "key",
        property(lambda debit: f"{debit.op}:{debit.credit_type}:{debit.journal_id}"),
    ),
    Mutant.LOADS_ANY_EPOCH: (store, "read_snapshot", _read_as_if_of_any_epoch),
    Mutant.CREDITS_UNORDERED: (store, "pending_credits", _newest_first),
    Mutant.FORGETS_ELSEWHERE: (protocol, "_forgetting", _forgetting_in_any_epoch),
    Mutant.NEVER_REFUNDS: (booking, "book", _book_without_refunds),
    Mutant.BOOKS_FOR_NOBODY: (booking, "_add_entry", _add_nobodys_entry),
}
_TAMPERS: Final[dict[Mutant, Tamper]] = {
    Mutant.LOADS_UNDRAINED: _Undrained(),
    Mutant.FORGETS_UNAPPLIED: _Forgetful(),
    Mutant.SETTLES_UNSERVED: _Unserved(),
    Mutant.FORGETS_LIMITS: _DeafToLimits(),
    Mutant.MEMBERS_GO_BACK: _AlwaysNewer(),
}


@contextmanager
def without_guard(mutant: Mutant | None) -> Iterator[Tamper]:
    """While the block runs, the guard is missing from this process's procedures."""
    if mutant is None or mutant in _TAMPERS:
        yield _TAMPERS[mutant] if mutant else Tamper()
        return
    owner, name, replacement = _PATCHES[mutant]
    original = vars(owner)[name]
    setattr(owner, name, replacement)
    try:
        yield Tamper()
    finally:
        setattr(owner, name, original)
