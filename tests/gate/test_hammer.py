"""Exactly as many reservations succeed as there are credits, however many threads try."""

import pytest

from tests.support.hammer import hammer
from tests.support.library import Shop


def test_64_threads_reserve_each_credit_of_an_account_exactly_once(shop: Shop) -> None:
    """Concurrent spends both pass (open-saas #727)."""
    outcome = hammer(shop, amount=1_000, attempts=10_000)

    assert outcome.answers == {"held": 1_000, "insufficient_credits": 9_000}
    assert outcome.figures == (1_000, 1_000, 0, 0, 0)


@pytest.mark.proof
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_of_100_000_attempts_at_10_000_credits_exactly_10_000_succeed(shop: Shop) -> None:
    outcome = hammer(shop, amount=10_000, attempts=100_000)

    assert outcome.answers == {"held": 10_000, "insufficient_credits": 90_000}
    assert outcome.figures == (10_000, 10_000, 0, 0, 0)
