"""Epochs: which incarnation of a shard's Redis may be believed, and who begins the next one."""

from credits.errors import GateUnavailableError
from credits.ids import new_id
from credits.reservations import store
from credits.reservations.keys import shard_keys
from credits.reservations.model import Answer
from credits.reservations.scripts import Verb
from credits.reservations.steps import Call, Claim, GateRuntime, Sql, Steps, TakeOver


def renew_epoch(runtime: GateRuntime, shard: int, used: int, *, is_needed: bool = False) -> Steps[None]:
    """
    After STALE with the epoch `used`: learn the newer one, or serve it beside another version, or begin the next.

    Raises GateUnavailableError if this Redis was filled from another database.

    Only the one whose compare-and-swap in SQL hit arms the new epoch, once. If it dies before that, or its answer is
    lost, the next caller meets STALE again and begins another. `is_needed`: the epoch is served, and has to end.
    """
    current, owner = yield Sql(lambda connection: store.read_shard(connection, shard), is_read=True)
    if current:
        yield from _claim(shard, owner)
    if current != used:
        runtime.gate.epochs[shard] = current
        return
    if not is_needed and (yield from _serve_beside_another(runtime, shard, current)):
        return
    owner = owner or new_id()
    is_ours: bool = yield Sql(lambda connection: store.raise_epoch(connection, shard, current, owner=owner))
    if not is_ours:
        # Nothing is believed before its owner was looked at: of the first epoch, that is the next caller's to do.
        if current:
            yield from learn_epoch(runtime, shard)
        return
    if current == 0:
        yield from _claim(shard, owner)
    keys = shard_keys(shard)
    yield Call(Verb.ARM, (keys.shard, keys.journal), (current + 1, int(runtime.is_virtual)))
    runtime.gate.epochs[shard] = current + 1


def _claim(shard: int, owner: str | None) -> Steps[None]:
    """
    See that this Redis has no other owner than the database, before any of its epochs is used.

    What another database's gate has left behind may look like ours: the same numbers of epochs, accounts and lots.
    """
    if owner is None:
        # The shard was used by a release that named no owners.
        owner = yield Sql(lambda connection: store.name_owner(connection, shard, new_id()))
    found: str = yield Claim(shard, owner)
    if found != owner:
        raise GateUnavailableError(
            "this Redis was filled from another database: each needs a Redis server of its own. "
            "If that other database is gone, empty this Redis"
        )


def learn_epoch(runtime: GateRuntime, shard: int) -> Steps[None]:
    """
    Use the epoch that SQL has, after it turned out to be another one than this process used.

    Whoever began it may have died before arming it. Then the Redis of the epoch before goes on serving those who know
    of no other; the next call in the new one meets STALE, and begins another.
    """
    runtime.gate.epochs[shard] = yield Sql(lambda connection: store.read_epoch(connection, shard), is_read=True)


def _serve_beside_another(runtime: GateRuntime, shard: int, epoch: int) -> Steps[bool]:
    """Whether another version of the library serves the epoch, and this one from now on, too: no hold is lost."""
    is_taken_over: bool = yield TakeOver(shard, epoch)
    if not is_taken_over:
        return False
    # It may have been stale for another reason: a journal that is not whole.
    keys = shard_keys(shard)
    probe: list[str] = yield Call(Verb.SETTLED, (keys.shard, keys.journal), (epoch, runtime.clock()))
    return probe[0] != Answer.STALE
