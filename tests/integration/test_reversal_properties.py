"""Refunds and disputes in any order, doubled and delayed, among spends: they end where the money says."""

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from credits.db import snapshot
from credits.errors import InsufficientCreditsError
from credits.inbox.model import FINISHED
from credits.inbox.tables import events
from credits.reversals.model import Dispute, DisputeState, PaidBack, Refund, RefundState
from credits.reversals.rules import targets
from tests.support.ledger import assert_ledger_is_sound
from tests.support.pipeline import Pipeline
from tests.support.reversals import Till, till

EXAMPLES = {"sqlite": 30, "postgresql": 4}
PRICE_MINOR = 999
GRANTED = 100
pytestmark = pytest.mark.timeout(300)

_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Life:
    """One purchase, its refunds (money, whether it fails in the end) and its disputes (money, how it ends)."""

    refunds: list[tuple[int, bool]]
    disputes: list[tuple[int, str | None]]

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Every event of it, once, in order."""
        words: list[tuple[str, dict[str, Any]]] = [("purchase.paid", {})]
        for number, (minor, fails) in enumerate(self.refunds):
            said = {"refund": f"r{number}", "refunded_minor": minor}
            words += [("refund.created", said), *([("refund.failed", said)] if fails else [])]
        for number, (minor, end) in enumerate(self.disputes):
            said = {"dispute": f"d{number}", "disputed_minor": minor}
            words += [("dispute.opened", said), *([(f"dispute.{end}", said)] if end else [])]
        return words

    def back(self) -> PaidBack:
        """What became of the money in the end."""
        refund_state = {True: RefundState.FAILED, False: RefundState.SUCCEEDED}
        return PaidBack(
            paid_minor=PRICE_MINOR,
            refunds=[Refund(amount_minor=minor, state=refund_state[fails]) for minor, fails in self.refunds],
            disputes=[Dispute(amount_minor=minor, state=DisputeState(end or "open")) for minor, end in self.disputes],
        )


def lives() -> st.SearchStrategy[Life]:
    money = st.integers(1, PRICE_MINOR)
    return st.builds(
        Life,
        refunds=st.lists(st.tuples(money, st.booleans()), max_size=3),
        disputes=st.lists(st.tuples(money, st.sampled_from([None, "lost", "won"])), max_size=2),
    )


@pytest.fixture
def examples(database_kind: str) -> settings:
    return settings(
        max_examples=EXAMPLES[database_kind],
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def test_any_order_and_number_of_refunds_disputes_and_spends_ends_where_the_money_says(
    pipeline: Pipeline, examples: settings
) -> None:
    @examples
    @given(data=st.data(), life=lives())
    def check(data: st.DataObject, life: Life) -> None:
        bank = till(pipeline)
        bank.account = f"user_{next(_numbers)}"
        told = data.draw(
            st.permutations([*life.told(), *data.draw(st.lists(st.sampled_from(life.told()), max_size=3))])
        )
        spends = data.draw(st.lists(st.integers(0, 40), min_size=len(told), max_size=len(told)))

        spent = 0
        for (event_type, said), wanted in zip(told, spends, strict=True):
            tell(bank, event_type, said)
            spent += spend(bank, wanted)
        bank.look_again()

        wanted_targets = targets(GRANTED, life.back())
        figures = bank.figures()
        assert figures.get("balance", 0) == GRANTED - spent - wanted_targets.clawed
        # What is left of the disputed share is frozen, and nothing beyond it.
        left = max(0, GRANTED - spent - wanted_targets.clawed)
        assert bank.frozen() == min(wanted_targets.frozen, left)
        assert figures.get("available", 0) == left - bank.frozen()
        assert unfinished(bank) == []

    check()
    assert_ledger_is_sound(pipeline.runtime.engine)


def tell(bank: Till, event_type: str, said: dict[str, Any]) -> None:
    """Deliver one event of this account's payment; the same event has the same id."""
    own = {name: f"{value}-{bank.account}" if isinstance(value, str) else value for name, value in said.items()}
    name = "-".join([bank.account, event_type, *(str(value) for value in said.values())])
    bank.tell(event_type, data=own, payment=bank.account, amount=GRANTED, paid_minor=PRICE_MINOR, delivery=name)


def spend(bank: Till, wanted: int) -> int:
    """Spend so many credits, if that many are there; answers how many it spent."""
    if wanted == 0:
        return 0
    try:
        bank.pipeline.credits.spend(bank.account, image_generation=wanted, key=f"s{next(_numbers)}")
    except InsufficientCreditsError:
        return 0
    return wanted


def unfinished(bank: Till) -> list[str]:
    query = select(events.c.detail).where(events.c.state.not_in(FINISHED))
    with snapshot(bank.pipeline.runtime.engine) as connection:
        return [str(detail) for detail in connection.execute(query).scalars()]
