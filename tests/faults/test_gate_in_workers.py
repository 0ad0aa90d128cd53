"""The programs as they run in production keep ledger and gate together: credits at once, settlement within seconds."""

from pathlib import Path

import pytest

from credits.engine import Credits
from credits.errors import InsufficientCreditsError
from tests.support.installation import Installation, signed_purchase
from tests.support.library import TYPE, Shop, figures
from tests.support.pace import Pace
from tests.support.processes import wait_until


@pytest.fixture
def database_kind() -> str:
    return "postgresql"


def test_what_is_paid_can_be_spent_within_a_second_and_what_is_spent_is_booked_within_ten(
    shop: Shop, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    library = shop.process()
    with Installation(tmp_path / "run", database_url=database_url, broker_url=redis_url) as installation:
        installation.start_receiver()
        installation.start_worker()
        installation.start_beat()
        # The first one makes the account and warms everything up.
        _buy_and_reserve(installation, library, "first")

        waits_s = [_buy_and_reserve(installation, library, f"payment-{number}") for number in range(4)]
        library.spend("user_1", image_generation=50, key="job", durability="redis")

        with Pace() as pace:
            wait_until(lambda: figures(library, "user_1")[2] == 0, what="the commit is booked")
        assert min(waits_s) < 1.0, installation.logs()
        assert pace.fair_s < 10, installation.logs()
        assert library.ledger_balances("user_1")[TYPE].balance == 450
        assert figures(library, "user_1") == (450, 450, 0, 0, 0)


def _buy_and_reserve(installation: Installation, library: Credits, payment: str) -> float:
    """Buy a hundred, then reserve ninety as soon as that is possible; answers how long that takes."""
    answer = installation.post(signed_purchase(payment, amount=100))
    assert answer.status == 200

    def can_reserve() -> bool:
        try:
            library.reserve("user_1", image_generation=90, reservation_id=payment, ttl_s=3600)
        except InsufficientCreditsError:
            return False
        return True

    with Pace() as pace:
        wait_until(can_reserve, what=f"{payment} can be spent")
    return pace.fair_s
