"""Drives the gate's procedures step by step in a simulated world: accounts, holds and commits by name."""

from typing import Any

import pytest

from credits.ids import digest
from credits.ledger import service as ledger
from credits.ledger.model import DebitKind, GrantOrder, GrantSource
from credits.ledger.orders import order_command
from credits.reservations import store
from credits.reservations.journal import Debit
from credits.reservations.protocol import apply_credits, on_account
from credits.reservations.scripts import Verb
from credits.reservations.steps import Call, Pause, ReadJournal, Sql, Steps
from credits.reservations.torture.world import TENANT, Caller, World, name_of

FP = "ab" * 16


def granted(world: World, amount: int, account_id: int = 0) -> int:
    """An account with one lot, loaded."""
    account_id = account_id or world.account_ids[0]
    grant(world, account_id, amount, "first")
    finish(world, on_account(world.callers[0].runtime, account_id, Verb.READ, read_args(world)))
    finish(world, apply_credits(world.callers[0].runtime, [account_id]))
    return account_id


def grant(world: World, account_id: int, amount: int, name: str) -> None:
    key = f"grant {account_id} {name}"
    order = GrantOrder(
        account=name_of(account_id),
        credit_type="images",
        amount=amount,
        key=key,
        fingerprint=digest(key),
        source=GrantSource.PURCHASE,
        source_ref=key,
        priority=100,
        effective_at_ms=world.now_ms,
        expires_at_ms=None,
        actor="test",
        reason="test",
    )
    with world.server.engine.begin() as connection:
        ledger.grant(connection, TENANT, order, now_ms=world.now_ms)


def read_args(world: World) -> tuple[str | int, ...]:
    return (world.now_ms, 60_000, "images")


def reserve(world: World, account_id: int, hold: str, amount: int) -> None:
    args = (world.now_ms, hold, FP, 60_000, 60_000, hold, "", "images", amount)
    assert finish(world, on_account(world.callers[0].runtime, account_id, Verb.RESERVE, args))[0] == "HELD"


def commit(world: World, account_id: int, hold: str, amount: int) -> None:
    args = (account_id, world.now_ms, hold, f"c:{hold}", FP, 1, "if_available", 60_000, hold, "", "images", amount)
    assert finish(world, on_account(world.callers[0].runtime, account_id, Verb.COMMIT, args))[0] == "COMMITTED"


def spend(world: World, account_id: int, hold: str, amount: int) -> None:
    args = (account_id, world.now_ms, hold, f"s:{hold}", FP, "spend", 60_000, hold, "", "images", amount)
    assert finish(world, on_account(world.callers[0].runtime, account_id, Verb.SPEND, args))[0] == "COMMITTED"


def ordered(world: World, account_id: int, amount: int) -> dict[str, Any]:
    """A clawback of the account's lot, as the sweep reads it."""
    with world.server.engine.begin() as connection:
        (lot,) = connection.exec_driver_sql("SELECT id FROM grants WHERE account_id = ?", (account_id,)).one()
        order_command(
            connection,
            TENANT,
            account_id,
            kind=DebitKind.CLAWBACK,
            credit_type="images",
            amount=amount,
            grant_ids=[lot],
            allow_debt=False,
            op="clawback:1",
            fingerprint=FP,
            actor="test",
            reason="test",
            now_ms=world.now_ms,
        )
        return dict(store.open_commands(connection, limit=1)[0])


def debit(
    account_id: int,
    *,
    op: str,
    kind: DebitKind,
    amount: int,
    lots: tuple[tuple[int, int], ...],
    fingerprint: str = FP,
    debt: int = 0,
    journal: str = "1-1",
) -> Debit:
    return Debit(
        journal_id=journal,
        stream_id=journal.partition("-")[2],
        account_id=account_id,
        op=op,
        kind=kind,
        fingerprint=fingerprint,
        reservation_id=None,
        actor="test",
        reason="",
        credit_type="images",
        amount=amount,
        debt=debt,
        lots=lots,
    )


def balance(world: World, account_id: int) -> int:
    (found,) = world.server.sql.execute("SELECT balance FROM balances WHERE account_id = ?", (account_id,)).fetchone()
    return int(found)


def state_of(world: World, order: dict[str, Any]) -> tuple[str, int | None]:
    found: tuple[str, int | None] = world.server.sql.execute(
        "SELECT state, taken FROM commands WHERE id = ?", (order["id"],)
    ).fetchone()
    return found


def finish(world: World, steps: Steps[Any], caller: Caller | None = None) -> Any:
    """Carry a procedure out to its end; what it answers."""
    answer: Any = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            return end.value
        if isinstance(step, Pause):
            world.pass_time(step.ms)
            answer = None
        else:
            answer = world.perform(caller or world.callers[0], step)


def go_to(world: World, caller: Caller, steps: Steps[Any], verb: Verb) -> Call:
    """Carry a procedure out up to its first call of `verb`; that step, not carried out."""
    step = next(steps)
    while not (isinstance(step, Call) and step.verb is verb):
        step = steps.send(world.perform(caller, step))
    return step


def go_to_sql(world: World, caller: Caller, settling: Steps[Any]) -> Sql | None:
    """Carry a settlement out up to its booking; None if it reads no lines and books nothing."""
    has_read, step = False, next(settling)
    while not (isinstance(step, Sql) and has_read):
        has_read = has_read or isinstance(step, ReadJournal)
        try:
            step = settling.send(world.perform(caller, step))
        except StopIteration:
            return None
    return step


def send(steps: Steps[Any], answer: Any) -> None:
    """Let a procedure end with this answer."""
    with pytest.raises(StopIteration):
        steps.send(answer)
