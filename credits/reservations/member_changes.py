"""Changes of members' limits and time zones on their way to the gate, which hears of each in the end."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from credits.members import store as members
from credits.members.store import Change
from credits.reservations import store
from credits.reservations.epochs import learn_epoch, renew_epoch
from credits.reservations.keys import account_keys, shard_of
from credits.reservations.member_loads import load_member
from credits.reservations.member_names import gate_name
from credits.reservations.model import Answer
from credits.reservations.protocol import MAX_ROUNDS
from credits.reservations.scripts import Verb
from credits.reservations.steps import Call, GateRuntime, Sql, Steps


def bring_changes(runtime: GateRuntime, account_id: int) -> Steps[int]:
    """
    Have the gate load anew what an account's changes are about; answers how many rows are done with.

    An account that is not loaded needs nothing: whoever loads it, or its member, sees the change. Safe to repeat and
    to run twice at once.
    """
    pending: list[Change] = yield Sql(lambda connection: members.pending_changes(connection, account_id), is_read=True)
    newest: dict[str | None, int] = {change.member: change.mv for change in pending}
    done = 0
    # A time zone first: it makes the account cold, and then there is nothing left to tell.
    for member in sorted(newest, key=lambda one: (one is not None, one or "")):
        epoch: int | None = yield from _bring(runtime, account_id, member, newest[member])
        if epoch is None:
            continue
        numbers = [change.mv for change in pending if change.member == member]
        forgotten: int = yield Sql(_forgetting(shard_of(account_id), epoch, account_id, numbers))
        if not forgotten:
            yield from learn_epoch(runtime, shard_of(account_id))
        done += forgotten
    return done


def bring_all_changes(runtime: GateRuntime, account_ids: Sequence[int]) -> Steps[int]:
    """As `bring_changes`, account by account."""
    done = 0
    for account_id in account_ids:
        done += yield from bring_changes(runtime, account_id)
    return done


def _bring(runtime: GateRuntime, account_id: int, member: str | None, version: int) -> Steps[int | None]:
    """The epoch in which the gate had heard of a change; None if it did not come to that."""
    shard, keys = shard_of(account_id), account_keys(account_id)
    named = (keys.shard, keys.account, keys.lots, keys.holds, keys.due)
    for _ in range(MAX_ROUNDS):
        epoch = runtime.gate.epochs.get(shard, 0)
        if member is None:
            answer: list[str] = yield Call(Verb.VOID_LOAD, named, (epoch, runtime.clock()))
        else:
            words = (epoch, runtime.clock(), runtime.receipt_ms, gate_name(member))
            answer = yield Call(Verb.READ_MEMBER, named, words)
        match answer[0]:
            case Answer.STALE:
                yield from renew_epoch(runtime, shard, epoch)
            case Answer.MEMBER:
                # Loaded even if nobody asks for it now: somebody may be about to load what was true before.
                yield from load_member(runtime, account_id, epoch, answer)
            case Answer.READ if int(answer[3]) < version:
                yield from load_member(runtime, account_id, epoch, (answer[0], gate_name(member), answer[1], answer[2]))
            case _:
                return epoch
    return None


def _forgetting(shard: int, epoch: int, account_id: int, numbers: Sequence[int]) -> Callable[[Connection], int]:
    def forget(connection: Connection) -> int:
        # A Redis of an epoch that is over (the old master after a network cut) may not speak for the one of now.
        if store.read_epoch(connection, shard) != epoch:
            return 0
        members.forget_changes(connection, account_id, numbers)
        return len(numbers)

    return forget
