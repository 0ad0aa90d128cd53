"""Epochs: which incarnation of a shard's Redis may be believed, and who begins the next one."""

from credits.reservations import store
from credits.reservations.keys import shard_keys
from credits.reservations.scripts import Verb
from credits.reservations.steps import Call, GateRuntime, Sql, Steps


def renew_epoch(runtime: GateRuntime, shard: int, used: int) -> Steps[None]:
    """
    After STALE with the epoch `used`: learn the newer one, or begin the next.

    Only the one whose compare-and-swap in SQL hit arms the new epoch, once. If it dies before that, or its answer is
    lost, the next caller meets STALE again and begins another.
    """
    current: int = yield Sql(lambda connection: store.read_epoch(connection, shard), is_read=True)
    if current != used:
        runtime.gate.epochs[shard] = current
        return
    is_ours: bool = yield Sql(lambda connection: store.raise_epoch(connection, shard, current))
    if not is_ours:
        runtime.gate.epochs[shard] = yield Sql(lambda connection: store.read_epoch(connection, shard), is_read=True)
        return
    keys = shard_keys(shard)
    yield Call(Verb.ARM, (keys.shard, keys.journal), (current + 1, int(runtime.is_virtual)))
    runtime.gate.epochs[shard] = current + 1
