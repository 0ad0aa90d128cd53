"""
How Redis is made to answer for SQL: epochs, loads, credits applied in order.

A call on an account meets STALE (the shard's Redis may have lost its memory: a new epoch begins) and COLD (the account
is not loaded: load it from SQL); both are dealt with here, and the call is repeated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from credits.errors import GateUnavailableError
from credits.ids import new_id
from credits.reservations import store
from credits.reservations.epochs import renew_epoch
from credits.reservations.keys import account_keys, shard_of
from credits.reservations.model import Answer
from credits.reservations.scripts import Verb
from credits.reservations.settlement import settle
from credits.reservations.steps import Call, GateRuntime, Pause, Sql, Steps

MAX_ROUNDS: Final = 12
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


@dataclass(frozen=True, slots=True)
class Answered:
    """What a script said, and in which epoch of its shard."""

    words: list[str]
    epoch: int


def in_its_epoch(runtime: GateRuntime, account_id: int, verb: Verb, args: Sequence[str | int]) -> Steps[Answered]:
    """As `on_account`, with the epoch: what was taken in one epoch is not to be looked for in another."""
    shard, keys = shard_of(account_id), account_keys(account_id)
    named = (keys.shard, keys.account, keys.lots, keys.holds, keys.due, keys.journal, keys.token)
    for _ in range(MAX_ROUNDS):
        epoch = runtime.gate.epochs.get(shard, 0)
        answer: list[str] = yield Call(verb, named, (epoch, *args))
        if answer[0] == Answer.STALE:
            yield from renew_epoch(runtime, shard, epoch)
        elif answer[0] == Answer.COLD:
            yield from load(runtime, account_id)
        else:
            return Answered(answer, epoch)
    raise GateUnavailableError(f"account {account_id} did not come to rest in {MAX_ROUNDS} rounds")


def load(runtime: GateRuntime, account_id: int) -> Steps[None]:
    """
    Bring an account into the gate: announce it, read it in one SQL snapshot, install it.

    Whatever could make the snapshot wrong in between (a credit, another load, a new epoch) makes the last step refuse;
    the caller's next round begins again.
    """
    shard, keys = shard_of(account_id), account_keys(account_id)
    named = (keys.shard, keys.account, keys.lots, keys.holds, keys.due, keys.journal, keys.token)
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


def apply_credits(runtime: GateRuntime, account_id: int) -> Steps[int]:
    """
    Bring an account's new credits to the gate, in the order of their numbers; answers how many rows are done with.

    A cold account needs nothing: its load will see them. Safe to repeat and to run twice at once.
    """
    shard, keys = shard_of(account_id), account_keys(account_id)
    named = (keys.shard, keys.account, keys.lots, keys.holds, keys.due, keys.journal, keys.token)
    done = 0
    pending: list[store.Credit] = yield Sql(
        lambda connection: store.pending_credits(connection, account_id), is_read=True
    )
    for credit in pending:
        for _ in range(MAX_ROUNDS):
            epoch = runtime.gate.epochs.get(shard, 0)
            answer: list[str] = yield Call(Verb.APPLY, named, _apply_args(runtime, epoch, credit))
            if answer[0] != Answer.STALE:
                break
            yield from renew_epoch(runtime, shard, epoch)
        if answer[0] == Answer.GAP and credit is pending[0]:
            # A credit before it was forgotten and never applied. Loads of the next epoch see them all.
            yield from renew_epoch(runtime, shard, epoch)
        if answer[0] not in {Answer.APPLIED, Answer.DUP, Answer.COLD}:
            break
        is_forgotten: bool = yield Sql(_forgetting(shard, epoch, account_id, credit.sv))
        if not is_forgotten:
            break
        done += 1
    return done


def _apply_args(runtime: GateRuntime, epoch: int, credit: store.Credit) -> tuple[str | int, ...]:
    return (epoch, runtime.clock(), credit.sv, credit.credit_type, credit.kept, credit.repaid, credit.sort_key)


def _forgetting(shard: int, epoch: int, account_id: int, sv: int) -> Callable[[Connection], bool]:
    def forget(connection: Connection) -> bool:
        # A Redis of an epoch that is over (the old master after a network cut) may not speak for the one of now. Who
        # loads in a later epoch sees the credit: it was committed before.
        if store.read_epoch(connection, shard) != epoch:
            return False
        store.forget_credits(connection, account_id, sv)
        return True

    return forget
