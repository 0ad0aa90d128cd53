"""Workers are killed again and again while payments come in; every payment has its credits exactly once."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.support.installation import Installation, signed_purchase
from tests.support.ledger import assert_ledger_is_sound, balances_by_account
from tests.support.processes import wait_until

_STEPS = ("claimed", "before_finish", "before_commit", "after_commit")
_ACCOUNTS = 4


@pytest.mark.proof
def test_workers_killed_at_every_step_and_all_at_once_grant_each_payment_once(
    installation: Installation, engine: Engine, tmp_path: Path
) -> None:
    flags = {step: tmp_path / f"killed-{step}" for step in _STEPS}
    installation.set_failpoints(",".join(f"allocation.{step}=kill-once:{flag}" for step, flag in flags.items()))
    installation.start_receiver()
    installation.start_worker()
    installation.start_beat()

    _pay(installation, range(20))
    wait_until(lambda: all(flag.exists() for flag in flags.values()), what="a kill at every step")
    installation.kill("worker")
    _pay(installation, range(10, 40))

    expected = {(f"user_{number}", "image_generation"): 1000 for number in range(_ACCOUNTS)}
    wait_until(lambda: balances_by_account(engine) == expected, what="all credits are there")
    assert_ledger_is_sound(engine)


def _pay(installation: Installation, numbers: range) -> None:
    """Deliver a webhook for each payment, and each a second time; some payments were delivered by an earlier call."""
    for number in [*numbers, *numbers]:
        answer = installation.post(signed_purchase(f"payment-{number}", account=f"user_{number % _ACCOUNTS}"))
        assert answer.status == 200
