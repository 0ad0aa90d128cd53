"""How the gate learns of a member: its limits, its calendar, and what the ledger has it use."""

from collections.abc import Sequence

from sqlalchemy import Connection

from credits.members import store as members
from credits.members.model import MemberLimit, MemberSnapshot, Per, Used
from credits.reservations import store
from credits.reservations.keys import account_keys, shard_of
from credits.reservations.member_names import member_of
from credits.reservations.scripts import Verb
from credits.reservations.steps import Call, GateRuntime, Sql, Steps

_LETTER_OF = {Per.DAY: "d", Per.MONTH: "m", Per.EVER: "e"}


def load_member(runtime: GateRuntime, account_id: int, epoch: int, asked: Sequence[str]) -> Steps[None]:
    """
    Bring a member into the gate, as its answer MEMBER (`asked`) wants it.

    The snapshot is read in the account's load of now, so it has all that came before that load; what came since, the
    gate counts by itself. Should the account be loaded anew in between, nothing happens, and the next round begins
    again. Of two snapshots the one with the later version wins, whoever comes last.
    """
    _, name, load, at_ms = asked
    shard, member = shard_of(account_id), member_of(name)

    def read(connection: Connection) -> tuple[int, MemberSnapshot | None]:
        found = None if member is None else members.read_member(connection, account_id, member, int(at_ms))
        return store.read_epoch(connection, shard), found

    found_epoch, found = yield Sql(read, is_read=True)
    if found_epoch != epoch:
        runtime.gate.epochs[shard] = found_epoch
    elif found is not None:
        keys = account_keys(account_id)
        named = (keys.shard, keys.account, keys.lots, keys.holds, keys.due)
        yield Call(Verb.LOAD_MEMBER, named, (epoch, runtime.clock(), name, load, *_words(found)))


def _words(found: MemberSnapshot) -> list[str | int]:
    words: list[str | int] = [found.version, len(found.days), *found.days, len(found.months), *found.months]
    limits: dict[str, list[str]] = {credit_type: [] for credit_type in found.used}
    for limit in found.limits:
        limits.setdefault(limit.credit_type, []).append(_limit(limit))
    for credit_type, parts in sorted(limits.items()):
        used = found.used.get(credit_type, Used())
        words += [credit_type, used.day, used.month, used.ever, "+".join(parts)]
    return words


def _limit(limit: MemberLimit) -> str:
    raised = "" if limit.raised_to is None else f"~{limit.raised_to}~{limit.raised_until_ms}"
    return f"{_LETTER_OF[limit.per]}{limit.amount}{raised}"
