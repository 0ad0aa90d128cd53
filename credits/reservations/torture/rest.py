"""The end of a run: nothing goes wrong any more, everything drains, and every promise is compared with the ledger."""

from collections.abc import Callable
from typing import Any, Final

from credits.reservations import store
from credits.reservations.commands import order_expiries, run_command
from credits.reservations.member_changes import bring_changes
from credits.reservations.protocol import apply_credits, on_account
from credits.reservations.scripts import Verb
from credits.reservations.settlement import settle
from credits.reservations.steps import Call, Pause, Sql, Steps
from credits.reservations.torture.budgets import check_known_limits
from credits.reservations.torture.checks import Checker
from credits.reservations.torture.model import Promises, Report, Violation
from credits.reservations.torture.view import Counters
from credits.reservations.torture.world import Caller, World

_ROUNDS: Final = 6
_ALL_OVER_MS: Final = 150 * 60_000
"""Longer than any hold, receipt and clock error of a run."""


def come_to_rest(world: World, checker: Checker, promises: Promises, report: Report) -> None:
    """Drain everything without faults, then compare. Raises Violation."""
    caller = world.callers[0]
    world.server_offset_ms = 0
    for each in world.callers:
        each.clock_offset_ms = 0

    def carry_out(steps: Steps[Any]) -> Any:
        return _carry_out(world, checker, caller, report, steps)

    for left in reversed(range(_ROUNDS)):
        world.pass_time(_ALL_OVER_MS // _ROUNDS + 1)
        if left == 0:
            # Somebody new, who knows of no epoch but what SQL says: one that was begun and never armed ends here.
            caller.runtime.gate.epochs.clear()
        _drain(world, caller, carry_out)
    checker.check_everything()
    _check_drained(world, checker)
    _check_promises(checker, promises, report)


def _drain(world: World, caller: Caller, carry_out: Callable[[Steps[Any]], Any]) -> None:
    runtime = caller.runtime
    carry_out(_one(Sql(lambda c: order_expiries(c, now_ms=runtime.clock()))))
    for account_id in world.account_ids:
        carry_out(apply_credits(runtime, [account_id]))
        if world.members:
            carry_out(bring_changes(runtime, account_id))
        args: tuple[str | int, ...] = (runtime.clock(), runtime.receipt_ms, *world.credit_types)
        carry_out(on_account(runtime, account_id, Verb.READ, args))
    for order in carry_out(_one(Sql(lambda c: [dict(row) for row in store.open_commands(c, limit=500)], is_read=True))):
        carry_out(run_command(runtime, order))
    for shard in world.shards:
        while carry_out(settle(runtime, shard)):
            pass


def _one(step: Sql) -> Steps[Any]:
    return (yield step)


def _carry_out(world: World, checker: Checker, caller: Caller, report: Report, steps: Steps[Any]) -> Any:
    answer: Any = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            return end.value
        answer = None
        report.steps += 1
        if isinstance(step, Pause):
            world.pass_time(step.ms)
            continue
        answer = world.perform(caller, step)
        if isinstance(step, Call):
            checker.check_gate(world.master, world.shards, world.account_ids)
            checker.check_time(world.master, step, answer)
        elif isinstance(step, Sql) and not step.is_read:
            checker.check_ledger()


def _check_drained(world: World, checker: Checker) -> None:
    """Journal, outbox and orders are empty; the gate says what the ledger says."""
    for shard in world.shards:
        if checker.gate.shards[shard].lines:
            raise Violation(f"shard {shard} still has {len(checker.gate.shards[shard].lines)} lines")
    for what, query in {
        "credits wait in the outbox": "SELECT count(*) FROM outbox",
        "orders are open": "SELECT count(*) FROM commands WHERE state <> 'done'",
        "changes of members wait": "SELECT count(*) FROM member_changes",
    }.items():
        (left,) = world.server.sql.execute(query).fetchone()
        if left:
            raise Violation(f"at rest, {left} {what}")
    for account_id in world.account_ids:
        if not checker.is_live(world.master, account_id):
            raise Violation(f"at rest, account {account_id} is not loaded")
        account = checker.gate.accounts[account_id]
        check_known_limits(account_id, account, checker.ledger)
        if account.sv != checker.ledger.sv[account_id]:
            raise Violation(f"at rest, account {account_id} lacks credits after {account.sv}")
        for credit_type in world.credit_types:
            balance, debt, _ = checker.ledger.balances.get((account_id, credit_type), (0, 0, 0))
            counts, frozen = account.counts(credit_type), checker.ledger.frozen(account_id, credit_type)
            if counts != Counters(available=balance + debt - frozen, debt=debt):
                raise Violation(
                    f"at rest, account {account_id} {credit_type} is {counts}, the ledger {balance}, {debt}, {frozen}"
                )


def _check_promises(checker: Checker, promises: Promises, report: Report) -> None:
    """Every acknowledged op has exactly its entries; one that was refused has none."""
    entries = checker.ledger.entries
    for key, (account_id, credit_type, amount) in promises.granted.items():
        entry = entries.get(key)
        if entry is None or (entry.account_id, entry.credit_type, entry.amount) != (account_id, credit_type, amount):
            raise Violation(f"grant {key} of {amount} was acknowledged, the ledger has {entry}")
    for op, promise in promises.kept.items():
        due = {kind: amount for kind, amount in promise.items.items() if amount > 0}
        other = {kind: amount for kind, amount in promises.contested.get(op, {}).items() if kind in due}
        booked = {kind: -entries[f"{op}:{kind}"].amount for kind in due if f"{op}:{kind}" in entries}
        is_as_told = booked == due or (bool(booked) and booked == other)
        if is_as_told or (op in promises.of_rest and checker.suspense_is_allowed and booked):
            continue
        if not booked and not promise.is_ledger and op in promises.losable:
            report.lost_acknowledgements += 1
            continue
        raise Violation(f"{op} was acknowledged{' as booked' if promise.is_ledger else ''} for {due}, booked: {booked}")
    if not checker.suspense_is_allowed:
        for op in sorted(promises.refused):
            wrong = [key for key in entries if key.startswith(f"{op}:")]
            if wrong:
                raise Violation(f"{op} was refused, and booked all the same: {wrong}")
