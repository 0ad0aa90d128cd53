"""Tasks of plans."""

from credits.db import transaction
from credits.job_runs import take_slot
from credits.plans import drips
from credits.queues import EVERY_S, Task
from credits.reservations.sweeps import waiting_accounts
from workers.app import app
from workers.runtime import courier, runtime

_PERIOD_MS = int(EVERY_S[Task.SWEEP_PLANS] * 1000)


@app.task(name=Task.SWEEP_PLANS.value)
def sweep_plans() -> None:
    """Grant what paid periods hand out by the calendar, and what is carried over. One sweep runs per period."""
    here = runtime()
    now_ms = here.clock()
    with transaction(here.engine) as connection:
        is_mine = take_slot(connection, Task.SWEEP_PLANS.value, period_ms=_PERIOD_MS, now_ms=now_ms)
    if is_mine and drips.sweep(here.engine, here.catalogue, here.clock, until_ms=now_ms + _PERIOD_MS):
        courier().bring(lambda: waiting_accounts(here.engine))
