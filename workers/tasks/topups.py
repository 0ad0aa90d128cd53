"""Tasks of automatic top-ups."""

from credits.db import transaction
from credits.job_runs import take_slot
from credits.queues import EVERY_S, Task
from credits.topup.service import sweep
from workers.app import app
from workers.runtime import runtime, topup_runtime

_PERIOD_MS = int(EVERY_S[Task.SWEEP_TOPUPS] * 1000)


@app.task(name=Task.SWEEP_TOPUPS.value)
def sweep_topups() -> None:
    """Charge for what runs low, and go on with what is in flight. One sweep runs per period; more would do no harm."""
    here = runtime()
    now_ms = here.clock()
    with transaction(here.engine) as connection:
        is_mine = take_slot(connection, Task.SWEEP_TOPUPS.value, period_ms=_PERIOD_MS, now_ms=now_ms)
    if is_mine:
        sweep(topup_runtime(), until_ms=now_ms + _PERIOD_MS)
