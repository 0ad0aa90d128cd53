"""The ledger beside a model of forty lines: after every step both hold the same lots, debts and numbers."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from credits.db import snapshot, transaction
from credits.errors import InsufficientCreditsError
from credits.ledger import service as ledger
from credits.ledger.model import GrantOrder, GrantSource, Posted
from credits.ledger.store import find_account
from credits.ledger.tables import balances, grants
from tests.support.clock import NOON_MS, VirtualClock
from tests.support.ledger import assert_ledger_is_sound
from tests.support.pipeline import Pipeline

TYPE = "image_generation"
pytestmark = pytest.mark.timeout(300)

EXAMPLES = {"sqlite": 150, "postgresql": 25}
NEVER = 2**62

Picture = tuple[int, int, int, int, list[int]]
"""Balance, debt, number of the last entry, what is available, and what remains of each lot."""

_numbers = itertools.count(1)


@dataclass
class ModelLot:
    priority: int
    expires_at_ms: int | None
    paid: bool
    remaining: int

    def burns_before(self) -> tuple[int, int, bool]:
        return (self.priority, NEVER if self.expires_at_ms is None else self.expires_at_ms, self.paid)

    def lives(self, now_ms: int) -> bool:
        return self.expires_at_ms is None or now_ms < self.expires_at_ms


@dataclass
class Model:
    """What the ledger should be, said as simply as can be."""

    lots: list[ModelLot] = field(default_factory=list)
    debt: int = 0
    amounts: list[int] = field(default_factory=list)

    def grant(self, lot: ModelLot) -> None:
        self.amounts.append(lot.remaining)
        repaid = min(self.debt, lot.remaining)
        self.debt -= repaid
        lot.remaining -= repaid
        self.lots.append(lot)

    def available(self, now_ms: int) -> int:
        return max(0, sum(lot.remaining for lot in self.lots if lot.lives(now_ms)) - self.debt)

    def deduct(self, amount: int, now_ms: int) -> bool:
        if amount > self.available(now_ms):
            return False
        self.amounts.append(-amount)
        # sorted() is stable: lots that are otherwise alike burn in the order in which they came.
        for lot in sorted(self.lots, key=ModelLot.burns_before):
            part = min(amount, lot.remaining) if lot.lives(now_ms) else 0
            lot.remaining -= part
            amount -= part
        return True

    def owe(self, amount: int) -> None:
        self.amounts.append(-amount)
        self.debt += amount


GRANTS: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    amount=st.integers(1, 50),
    priority=st.sampled_from([50, 100]),
    lapses_in_s=st.none() | st.integers(-5, 30),
    source=st.sampled_from(GrantSource),
)
DEDUCTIONS, WAITS_S, REPEATS = st.integers(1, 60), st.integers(1, 10).map(float), st.none()
STEPS = st.lists(GRANTS | DEDUCTIONS | WAITS_S | REPEATS, min_size=1, max_size=12)


def test_grants_deductions_debts_and_time_do_what_the_model_does(
    pipeline: Pipeline, clock: VirtualClock, database_kind: str
) -> None:
    @settings(
        max_examples=EXAMPLES[database_kind],
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(debt=st.integers(0, 30), steps=STEPS)
    def check(debt: int, steps: list[dict[str, Any] | int | float | None]) -> None:
        clock.set_ms(NOON_MS)
        twins = Twins(pipeline=pipeline, account=f"user_{next(_numbers)}", clock=clock)
        if debt:
            twins.owe(debt)
        for number, step in enumerate(steps):
            twins.step(number, step)
            assert twins.stored() == twins.expected()

    check()
    assert_ledger_is_sound(pipeline.runtime.engine)


@dataclass
class Twins:
    """One account in the database and in the model; every step is done to both."""

    pipeline: Pipeline
    account: str
    clock: VirtualClock
    model: Model = field(default_factory=Model)
    granted: list[GrantOrder] = field(default_factory=list)
    deducted: dict[str, int] = field(default_factory=dict)

    def step(self, number: int, step: dict[str, Any] | int | float | None) -> None:
        if step is None:
            self.repeat()
        elif isinstance(step, dict):
            self.grant(grant_order(self.account, f"{self.account}:{number}", step, self.clock()))
        elif isinstance(step, float):
            self.clock.advance_ms(round(step * 1000))
        else:
            self.deduct(f"{self.account}:{number}", step)

    def owe(self, debt: int) -> None:
        self.pipeline.owe(self.account, TYPE, debt)
        self.model.owe(debt)

    def grant(self, order: GrantOrder) -> None:
        assert not self.post(order).replayed
        self.model.grant(lot_of(order))
        self.granted.append(order)

    def deduct(self, key: str, amount: int) -> None:
        """Take both down, or neither: a refusal is not remembered against the key."""
        try:
            self.pipeline.credits.deduct(self.account, TYPE, amount, key=key)
        except InsufficientCreditsError:
            assert amount > self.model.available(self.clock())
            return
        assert self.model.deduct(amount, self.clock())
        self.deducted[key] = amount

    def repeat(self) -> None:
        """All that was done, once more: the database answers as before, and the model is not even asked."""
        for order in self.granted:
            assert self.post(order).replayed
        for key, amount in self.deducted.items():
            assert self.pipeline.credits.deduct(self.account, TYPE, amount, key=key).replayed

    def post(self, order: GrantOrder) -> Posted:
        with transaction(self.pipeline.runtime.engine) as connection:
            posted = ledger.grant(connection, self.pipeline.tenant, order, now_ms=self.clock())
        self.pipeline.credits.bring_credits(self.account)
        return posted

    def stored(self) -> Picture:
        with snapshot(self.pipeline.runtime.engine) as connection:
            account_id = find_account(connection, self.pipeline.tenant, self.account)
            row = connection.execute(select(balances).where(balances.c.account_id == account_id)).one_or_none()
            of_account = select(grants.c.remaining).where(grants.c.account_id == account_id).order_by(grants.c.id)
            lots = list(connection.execute(of_account).scalars())
        if row is None:
            return (0, 0, 0, 0, lots)
        available = self.pipeline.credits.ledger_balances(self.account)[TYPE].available
        return (row.balance, row.debt, row.seq, available, lots)

    def expected(self) -> Picture:
        remaining = [lot.remaining for lot in self.model.lots]
        balance = sum(self.model.amounts)
        assert balance == sum(remaining) - self.model.debt
        return (balance, self.model.debt, len(self.model.amounts), self.model.available(self.clock()), remaining)


def grant_order(account: str, key: str, said: dict[str, Any], now_ms: int) -> GrantOrder:
    lapses_in_s = said["lapses_in_s"]
    return GrantOrder(
        account=account,
        credit_type=TYPE,
        amount=said["amount"],
        key=key,
        fingerprint=key,
        source=said["source"],
        source_ref=key,
        priority=said["priority"],
        effective_at_ms=0,
        expires_at_ms=None if lapses_in_s is None else now_ms + lapses_in_s * 1000,
        actor="test",
        reason="",
    )


def lot_of(order: GrantOrder) -> ModelLot:
    paid = order.source in {GrantSource.PURCHASE, GrantSource.PLAN, GrantSource.ROLLOVER}
    return ModelLot(priority=order.priority, expires_at_ms=order.expires_at_ms, paid=paid, remaining=order.amount)
