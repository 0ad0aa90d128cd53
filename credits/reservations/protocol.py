"""
How Redis is made to answer for SQL: epochs, loads, credits applied in order.

A call on an account meets STALE (the shard's Redis may have lost its memory: a new epoch begins) and COLD (the account
is not loaded: load it from SQL); both are dealt with here, and the call is repeated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import Connection

from credits.errors import GateUnavailableError
from credits.ids import new_id
from credits.reservations import store
from credits.reservations.epochs import learn_epoch, renew_epoch
from credits.reservations.keys import account_keys, shard_of
from credits.reservations.member_loads import load_member
from credits.reservations.model import Answer
from credits.reservations.scripts import Verb
from credits.reservations.settlement import settle
from credits.reservations.steps import Call, GateRuntime, Pause, Sql, Steps, perform

MAX_ROUNDS: Final = 12
NOT_READY: Final = frozenset({Answer.STALE, Answer.COLD, Answer.MEMBER})
"""Answers to a call that has done nothing, because the gate has to be told something first."""

_LOADING_MS: Final = 2_100
"""How long a caller waits for somebody else's load: a little longer than the gate believes that one to be alive."""
_SHORTEST_PAUSE_MS: Final = 5
_LONGEST_PAUSE_MS: Final = 80


def on_account(runtime: GateRuntime, account_id: int, verb: Verb, args: Sequence[str | int]) -> Steps[list[str]]:
    """
    Run a verb on an account, which is loaded first if need be. `args` are the verb's without the epoch in front.

    Raises GateUnavailableError if the gate does not come to rest in a dozen rounds.
    """
    answered = yield from in_its_epoch(runtime, account_id, verb, args)
    return answered.words


class Answered(NamedTuple):
    """What a script said, and in which epoch of its shard."""

    words: list[str]
    epoch: int


def ask_once(runtime: GateRuntime, account_id: int, verb: Verb, args: Sequence[str | int]) -> Answered:
    """The first step of `in_its_epoch`, carried out. Mostly there is no other: the account is loaded."""
    epoch = runtime.gate.epochs.get(shard_of(account_id), 0)
    call = Call(verb, account_keys(account_id).all, (epoch, *args))
    return Answered(perform(runtime, call), epoch)


def in_its_epoch(
    runtime: GateRuntime, account_id: int, verb: Verb, args: Sequence[str | int], *, told: Answered | None = None
) -> Steps[Answered]:
    """
    As `on_account`, with the epoch: what was taken in one epoch is not to be looked for in another.

    `told` is what was answered already: it is not asked for again before what it says is seen to.
    """
    shard, named = shard_of(account_id), account_keys(account_id).all
    for _ in range(MAX_ROUNDS):
        if told is None:
            epoch = runtime.gate.epochs.get(shard, 0)
            answer: list[str] = yield Call(verb, named, (epoch, *args))
        else:
            answer, epoch, told = told.words, told.epoch, None
        if answer[0] == Answer.STALE:
            yield from renew_epoch(runtime, shard, epoch)
        elif answer[0] == Answer.COLD:
            yield from load(runtime, account_id)
        elif answer[0] == Answer.MEMBER:
            yield from load_member(runtime, account_id, epoch, answer)
        else:
            return Answered(answer, epoch)
    raise GateUnavailableError(f"account {account_id} did not come to rest in {MAX_ROUNDS} rounds")


def load(runtime: GateRuntime, account_id: int) -> Steps[None]:
    """
    Bring an account into the gate: announce it, read it in one SQL snapshot, install it.

    Whatever could make the snapshot wrong in between (a credit, another load, a new epoch) makes the last step refuse;
    the caller's next round begins again.
    """
    shard, named = shard_of(account_id), account_keys(account_id).all
    epoch, token = runtime.gate.epochs.get(shard, 0), new_id()
    waited_ms = 0
    while True:
        answer: list[str] = yield Call(Verb.BEGIN_LOAD, named, (epoch, account_id, token, runtime.clock()))
        if answer[0] != Answer.LOADING or waited_ms >= _LOADING_MS:
            break
        # Most loads take milliseconds; one whose loader died is given up after two seconds.
        pause_ms = min(_SHORTEST_PAUSE_MS + waited_ms // 2, _LONGEST_PAUSE_MS)
        yield Pause(pause_ms)
        waited_ms += pause_ms
    if answer[0] == Answer.STALE:
        yield from renew_epoch(runtime, shard, epoch)
    elif answer[0] == Answer.DRAIN:
        yield from settle(runtime, shard)
    if answer[0] != Answer.BEGUN:
        return
    found: store.Snapshot | None = yield Sql(
        lambda connection: store.read_snapshot(connection, shard, account_id), is_read=True
    )
    if found is None:
        return
    if found.epoch != epoch:
        # Another epoch has begun since: what this snapshot says is not for this one. Whoever began it may have died
        # before arming it; then the next round meets STALE, and begins another.
        runtime.gate.epochs[shard] = found.epoch
        return
    yield Call(Verb.FINISH_LOAD, named, _load_args(runtime, account_id, epoch, token, found))


def _load_args(
    runtime: GateRuntime, account_id: int, epoch: int, token: str, found: store.Snapshot
) -> tuple[str | int, ...]:
    args: list[str | int] = [epoch, account_id, token, runtime.clock(), runtime.receipt_ms, found.sv, len(found.debts)]
    for credit_type, debt in found.debts:
        args += [credit_type, debt]
    for lot in found.lots:
        args += [lot.credit_type, lot.available, lot.sort_key]
    return tuple(args)


def apply_credits(runtime: GateRuntime, account_ids: Sequence[int]) -> Steps[int]:
    """
    Bring the new credits of some accounts to the gate, in the order of their numbers; answers how many are done with.

    A cold account needs nothing: its load will see them. Safe to repeat and to run twice at once.
    Raises GateUnavailableError; what was applied until then is not asked for again.
    """
    pending: list[store.Credit] = yield Sql(
        lambda connection: store.pending_credits(connection, account_ids), is_read=True
    )
    by_account: dict[int, list[store.Credit]] = {}
    for credit in pending:
        by_account.setdefault(credit.account_id, []).append(credit)
    applied: list[Applied] = []
    failure: GateUnavailableError | None = None
    try:
        for waiting in by_account.values():
            yield from _apply_in_order(runtime, waiting, applied)
    except GateUnavailableError as error:
        failure = error
    done = 0
    if applied:
        in_vain: frozenset[int]
        done, in_vain = yield Sql(_forgetting(applied))
        for shard in sorted(in_vain):
            yield from learn_epoch(runtime, shard)
    if failure is not None:
        raise failure
    return done


@dataclass(frozen=True, slots=True)
class Applied:
    """A credit that the gate has, or will see when it loads the account, and the epoch in which it said so."""

    credit: store.Credit
    epoch: int


def _apply_in_order(runtime: GateRuntime, waiting: Sequence[store.Credit], applied: list[Applied]) -> Steps[None]:
    """Apply one account's credits until one is refused; those that were not are added to `applied`."""
    account_id = waiting[0].account_id
    shard, named = shard_of(account_id), account_keys(account_id).all
    for credit in waiting:
        for _ in range(MAX_ROUNDS):
            epoch = runtime.gate.epochs.get(shard, 0)
            answer: list[str] = yield Call(Verb.APPLY, named, _apply_args(runtime, epoch, credit))
            if answer[0] != Answer.STALE:
                break
            yield from renew_epoch(runtime, shard, epoch)
        if answer[0] == Answer.GAP and credit is waiting[0]:
            # A credit before it was forgotten and never applied. Loads of the next epoch see them all.
            yield from renew_epoch(runtime, shard, epoch, is_needed=True)
        if answer[0] not in {Answer.APPLIED, Answer.DUP, Answer.COLD}:
            return
        applied.append(Applied(credit, epoch))


def _apply_args(runtime: GateRuntime, epoch: int, credit: store.Credit) -> tuple[str | int, ...]:
    return (epoch, runtime.clock(), credit.sv, credit.credit_type, credit.kept, credit.repaid, credit.sort_key)


def _forgetting(applied: Sequence[Applied]) -> Callable[[Connection], tuple[int, frozenset[int]]]:
    """Answers how many are forgotten, and the shards that are in another epoch by now."""

    def forget(connection: Connection) -> tuple[int, frozenset[int]]:
        # A Redis of an epoch that is over (the old master after a network cut) may not speak for the one of now. Who
        # loads in a later epoch sees the credit: it was committed before.
        epochs = store.read_epochs(connection, {shard_of(one.credit.account_id) for one in applied})
        known = [one.credit for one in applied if one.epoch == epochs.get(shard_of(one.credit.account_id), 0)]
        store.forget_credits(connection, known)
        return len(known), frozenset(
            shard_of(one.credit.account_id)
            for one in applied
            if one.epoch != epochs.get(shard_of(one.credit.account_id), 0)
        )

    return forget
