"""A Celery worker killed between any two steps of the gate's work: the next one finishes what it left."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from credits.clock import system_clock_ms
from credits.config.settings import Tenant
from credits.engine import Credits
from credits.ops.audit.service import audit
from credits.redis_client import open_redis
from tests.support.installation import Installation
from tests.support.library import TYPE, Shop, figures
from tests.support.processes import wait_until

STEPS = [
    f"gate.{when}_{verb}"
    # Nobody waits for this worker's bookings, so it tells nobody: test_settlement_leader.py kills who does.
    for verb in ("arm", "begin_load", "finish_load", "take_lots", "apply", "lead", "settled")
    for when in ("before", "after")
]
LAPSES_IN_MS = 900
"""Before the next ones are granted, and late enough for a grant that is slow to be of the future."""


@pytest.fixture
def database_kind() -> str:
    return "postgresql"


@pytest.fixture
def installation(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path / "run", database_url=database_url, broker_url=redis_url) as installation:
        yield installation


@pytest.mark.proof
@pytest.mark.timeout(600)
def test_a_worker_killed_at_every_step_of_the_gate_leaves_gate_and_ledger_that_agree(
    installation: Installation, shop: Shop, tmp_path: Path
) -> None:
    flags = {step: tmp_path / step for step in STEPS}
    installation.set_failpoints(",".join(f"{step}=kill-once:{flag}" for step, flag in flags.items()))
    # Granted by somebody who has no Redis: bringing the credits, loading the account to take out what lapsed, and
    # booking that is all up to the worker.
    bank = Credits(engine=shop.engine, catalogue=shop.catalogue, tenant=Tenant.SANDBOX, gate=None)
    granted = 0
    installation.start_worker()
    installation.start_beat()

    def is_killed_at_every_step() -> bool:
        nonlocal granted
        granted += 1
        bank.add("user_1", TYPE, 100, key=f"grant {granted}")
        bank.add("user_1", TYPE, 7, key=f"lapsing {granted}", expires_at_ms=system_clock_ms() + LAPSES_IN_MS)
        time.sleep(1)
        return all(flag.exists() for flag in flags.values())

    try:
        wait_until(is_killed_at_every_step, timeout_s=180, what="a kill at every step")
    except AssertionError:
        missed = sorted(step for step, flag in flags.items() if not flag.exists())
        pytest.fail(f"not killed at {missed}\n{installation.logs()[-3_000:]}")
    expected, library = 100 * granted, shop.process()

    wait_until(
        lambda: figures(library, "user_1") == (expected, 0, 0, expected, 0),
        what="gate and ledger agree",
    )
    assert audit(shop.engine, open_redis(shop.redis_url), now_ms=system_clock_ms()).findings == []
