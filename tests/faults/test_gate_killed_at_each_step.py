"""A process of an app is killed before and after each script it runs; another goes on, and every credit is right."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from credits.clock import system_clock_ms
from credits.db import open_engine
from credits.errors import GateUnavailableError
from credits.failpoints import VARIABLE
from credits.ops.audit.service import audit
from credits.reservations.model import Durability
from credits.reservations.service import Reservations
from credits.reservations.sweeps import sweep_gate
from tests.conftest import CONFIG_FILE
from tests.support.forked import run_forked
from tests.support.library import TYPE, Shop, figures
from tests.support.processes import wait_until

REPOSITORY = Path(__file__).parents[2]
STEPS = ["arm", "begin_load", "finish_load", "apply", "reserve", "commit", "lead", "settled", "tell"]

JOB = """
from credits import Credits
credits_ = Credits.from_env()
credits_.add("user_1", "image_generation", 100, key="grant")
credits_.balances("user_1")
credits_.add("user_1", "image_generation", 50, key="another")
with credits_.reserve("user_1", image_generation=30, reservation_id="job") as hold:
    hold.commit(image_generation=20, step="half", final=False)
    hold.commit(image_generation=5)
"""


def run_job(
    shop: Shop, database_url: str, *, failpoint: str = "", script: str = JOB, stdout: Path | None = None
) -> int:
    """Run the job in a process of its own; answers its exit status, negative for a signal."""
    env = {
        "CREDITGATE_DATABASE_URL": database_url,
        "CREDITGATE_REDIS_URL": shop.redis_url,
        "CREDITGATE_CONFIG": str(CONFIG_FILE),
        "CREDITGATE_TENANT": "sandbox",
        VARIABLE: failpoint,
    }
    return run_forked(script, env=env, cwd=REPOSITORY, stdout=stdout)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_job_killed_at_a_step_and_run_again_pays_once(shop: Shop, database_url: str, step: str, when: str) -> None:
    killed = run_job(shop, database_url, failpoint=f"gate.{when}_{step}=kill")

    again = run_job(shop, database_url)

    sweep_gate(shop.gate())
    library = shop.process()
    assert (killed, again) == (-signal.SIGKILL, 0)
    assert figures(library, "user_1") == (125, 0, 0, 125, 0)
    with redis.Redis.from_url(shop.redis_url, decode_responses=True, protocol=2) as client:
        assert audit(shop.engine, client, now_ms=system_clock_ms()).findings == []


def test_a_process_killed_inside_its_block_leaves_the_hold_to_its_deadline(
    shop: Shop, database_url: str, tmp_path: Path
) -> None:
    """Holds leak after a crash (new-api #4429)."""
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    script = """
import os, signal
from credits import Credits
credits_ = Credits.from_env()
with credits_.reserve("user_1", image_generation=30, reservation_id="job", ttl_s=2) as hold:
    print(credits_.balances("user_1")["image_generation"].available, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    said = tmp_path / "said"
    killed = run_job(shop, database_url, script=script, stdout=said)

    wait_until(lambda: figures(library, "user_1") == (100, 0, 0, 100, 0), what="the hold is freed")

    assert (killed, said.read_text()) == (-signal.SIGKILL, "70\n")


def test_without_sql_what_was_reserved_goes_on_at_redis_level(shop: Shop) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    runtime = library.reservations.runtime
    library.reserve("user_1", image_generation=1).release()
    nowhere = open_engine("postgresql://nobody@127.0.0.1:1/nowhere")
    without = Reservations(
        runtime=replace(runtime, engine=nowhere, ledger_wait_s=1),
        tenant=library.tenant,
        credit_types=(TYPE,),
        _account_ids={"user_1": library.reservations.account_id("user_1") or 0},
    )

    for number in range(2):
        without.reserve("user_1", {TYPE: 10}, reservation_id=f"job-{number}", ttl_s=60)
    at_redis = without.commit("user_1", "job-0", durability=Durability.REDIS)
    at_ledger = without.commit("user_1", "job-1")

    assert (at_redis.is_pending, at_ledger.is_pending) == (False, True)
    with pytest.raises(GateUnavailableError, match="database"):
        without.balances("user_1")
    sweep_gate(shop.gate())
    assert figures(library, "user_1") == (80, 0, 0, 80, 0)
