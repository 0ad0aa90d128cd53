"""
The sweeps of the gate: whatever is left lying between SQL and Redis is found here and finished.

They are the guarantee behind every shortcut: a worker that died between two steps, a Redis that was away, a commit
that asked for nobody to wait. Any number of processes may sweep at once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine

from credits.db import glance, is_unavailable, snapshot, transaction
from credits.errors import GateUnavailableError
from credits.log import get_logger
from credits.members import store as members
from credits.reservations import store
from credits.reservations.commands import order_expiries, run_command
from credits.reservations.keys import PREFIX, SHARD_COUNT, account_keys, shard_of
from credits.reservations.member_changes import bring_all_changes
from credits.reservations.model import Answer
from credits.reservations.protocol import apply_credits
from credits.reservations.scripts import Verb
from credits.reservations.settling import settle_all
from credits.reservations.steps import GateRuntime, run
from credits.reversals import service as reversals

IDLE_UNLOAD_S: Final = 3_600

_ACCOUNTS: Final = 500
_APPLIED_AT_ONCE: Final = 50
_ORDERS: Final = 500
_EXPIRY_PAUSE_MS: Final = 60_000
_REVERSAL_STEPS: Final = 4
_SCANS: Final = 10
_SCANNED: Final = 500
_ACCOUNT_PATTERN: Final = f"{PREFIX}{{*}}:account:*"

log = get_logger(__name__)


@dataclass(slots=True)
class Unloading:
    """How far the search for idle accounts has come. Keep it between sweeps; a new one begins at the start."""

    idle_s: int = IDLE_UNLOAD_S
    cursor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What one sweep found and finished."""

    settled: int
    credits_applied: int
    expiries_ordered: int
    orders_run: int
    member_changes: int
    reversals_advanced: int
    unloaded: int


def sweep_gate(runtime: GateRuntime, unloading: Unloading | None = None) -> Swept:
    """
    Settle every journal, bring every credit and every change of members' limits, order and run expiries, run open
    orders, unload idle accounts.

    Idempotent, and bounded: what is left over is the next sweep's. A server that is away ends the part that needs it,
    and is logged; nothing is raised for it.
    """
    return Swept(
        settled=_guarded("settle", settle_journals, runtime),
        credits_applied=_guarded("apply_credits", apply_outbox, runtime),
        expiries_ordered=_guarded("order_expiries", _order_expiries, runtime),
        orders_run=_guarded("run_orders", run_orders, runtime),
        member_changes=_guarded("member_changes", bring_member_changes, runtime),
        reversals_advanced=_guarded("reversals", advance_reversals, runtime),
        unloaded=_guarded("unload", lambda one: unload_idle(one, unloading or Unloading()), runtime),
    )


def settle_journals(runtime: GateRuntime) -> int:
    """Book every line of every journal, many shards in a transaction; answers how many."""
    shards = list(range(SHARD_COUNT))
    lengths = dict(zip(shards, runtime.gate.journal_lengths(shards), strict=True))
    by_server: defaultdict[str, list[int]] = defaultdict(list)
    for shard, length in lengths.items():
        if length:
            by_server[runtime.gate.where(shard)].append(shard)
    return _each(runtime, by_server, lambda where: settle_all(runtime, {one: lengths[one] for one in by_server[where]}))


def apply_outbox(runtime: GateRuntime) -> int:
    """Bring the credits that wait in the outbox to the gate, account by account; answers how many."""
    waiting: defaultdict[str, list[int]] = defaultdict(list)
    for account_id in waiting_accounts(runtime.engine):
        waiting[runtime.gate.where(shard_of(account_id))].append(account_id)
    return _each(runtime, waiting, lambda where: _apply_to(runtime, waiting[where]))


def waiting_accounts(engine: Engine) -> list[int]:
    """Some of the accounts whose credits wait in the outbox."""
    with glance(engine) as connection:
        return store.accounts_with_pending_credits(connection, limit=_ACCOUNTS)


def run_orders(runtime: GateRuntime) -> int:
    """Carry out the debits that SQL has ordered, the oldest first; answers how many were not refused."""
    with snapshot(runtime.engine) as connection:
        orders = store.open_commands(connection, limit=_ORDERS)
    by_server: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for order in orders:
        by_server[runtime.gate.where(shard_of(order["account_id"]))].append(dict(order))
    return _each(
        runtime, by_server, lambda where: sum(run(runtime, run_command(runtime, order)) for order in by_server[where])
    )


def bring_member_changes(runtime: GateRuntime) -> int:
    """Bring the changes of members' limits and time zones that the gate has not heard of; answers how many."""
    with glance(runtime.engine) as connection:
        account_ids = members.accounts_with_changes(connection, limit=_ACCOUNTS)
    return run(runtime, bring_all_changes(runtime, account_ids))


def advance_reversals(runtime: GateRuntime) -> int:
    """
    Bring clawbacks and freezes a step further, with the gate's part of it; answers how many lots were looked at.

    Mostly it is one step: take what is free. What had been spent is owed by a second one.
    """
    total = 0
    for _ in range(_REVERSAL_STEPS):
        with transaction(runtime.engine) as connection:
            looked_at = reversals.advance_due(connection, now_ms=runtime.clock())
        if not looked_at:
            break
        total += looked_at
        run_orders(runtime)
    return total


def unload_idle(runtime: GateRuntime, unloading: Unloading) -> int:
    """Look at some thousand keys, and unload the accounts among them that nobody used for long; answers how many."""
    unloaded = 0
    for _ in range(_SCANS):
        unloading.cursor, keys = runtime.gate.scan(unloading.cursor, _ACCOUNT_PATTERN, count=_SCANNED)
        unloaded += _unload(runtime, [int(key.rpartition(":")[2]) for key in keys], unloading.idle_s * 1000)
        if unloading.cursor == 0:
            break
    return unloaded


def delete_old_libraries(runtime: GateRuntime) -> int:
    """Delete the versions of the scripts that nobody called for a day; answers how many."""
    return _guarded("old_libraries", lambda one: len(one.gate.delete_idle_libraries(now_ms=one.clock())), runtime)


def _each(runtime: GateRuntime, servers: Iterable[str], work: Callable[[str], int]) -> int:
    """Do the work of each server. In a cluster, one that is away keeps that of the others from nobody."""
    total = 0
    for server in servers:
        try:
            total += work(server)
        except GateUnavailableError as error:
            if not runtime.gate.is_cluster:
                raise
            log.warning("gate.sweep_failed", part=server, error=type(error).__name__, message=str(error)[:200])
    return total


def _apply_to(runtime: GateRuntime, account_ids: Sequence[int]) -> int:
    return sum(
        run(runtime, apply_credits(runtime, account_ids[first : first + _APPLIED_AT_ONCE]))
        for first in range(0, len(account_ids), _APPLIED_AT_ONCE)
    )


def _order_expiries(runtime: GateRuntime) -> int:
    with transaction(runtime.engine) as connection:
        return order_expiries(connection, now_ms=runtime.clock(), limit=_ORDERS, pause_ms=_EXPIRY_PAUSE_MS)


def _unload(runtime: GateRuntime, account_ids: Sequence[int], idle_ms: int) -> int:
    if not account_ids:
        return 0
    epochs, now_ms = _epochs_of(runtime, {shard_of(account_id) for account_id in account_ids}), runtime.clock()
    calls: list[tuple[Verb, tuple[str, ...], tuple[str | int, ...]]] = []
    for account_id in account_ids:
        keys = account_keys(account_id)
        named = (keys.shard, keys.account, keys.lots, keys.holds, keys.due, keys.journal, keys.token)
        calls.append((Verb.UNLOAD, named, (epochs[shard_of(account_id)], account_id, now_ms, idle_ms)))
    answers = runtime.gate.call_many(calls)
    return sum(1 for words in answers if words is not None and words[0] == Answer.UNLOADED)


def _epochs_of(runtime: GateRuntime, shards: set[int]) -> dict[int, int]:
    """Of these shards. What nobody has asked the gate in stays unknown to it: it looks whose its Redis is first."""
    epochs = dict.fromkeys(shards, 0) | runtime.gate.epochs
    missing = shards - runtime.gate.epochs.keys()
    if missing:
        with glance(runtime.engine) as connection:
            epochs |= store.read_epochs(connection, missing)
    return epochs


def _guarded(part: str, work: Callable[[GateRuntime], int], runtime: GateRuntime) -> int:
    try:
        done: Any = work(runtime)
    # Servers come back, and so does the sweep; the other parts may not need the one that is away.
    except Exception as error:
        if not is_unavailable(error):
            raise
        log.warning("gate.sweep_failed", part=part, error=type(error).__name__, message=str(error)[:200])
        return 0
    if done:
        log.info("gate.swept", part=part, count=done)
    return int(done)
