"""Tasks of backfills."""

from credits.backfill.schedule import reconcile_due
from credits.db import transaction
from credits.job_runs import take_slot
from credits.queues import EVERY_S, Task
from workers.app import app
from workers.runtime import runtime, searches

_PERIOD_MS = int(EVERY_S[Task.RECONCILE] * 1000)
_LONGEST_MS = 20_000
"""A pass that takes longer goes on in the next period."""


@app.task(name=Task.RECONCILE.value)
def reconcile() -> None:
    """Take in what the providers have and never told us. Running it twice takes it in once."""
    here = runtime()
    now_ms = here.clock()
    with transaction(here.engine) as connection:
        is_mine = take_slot(connection, Task.RECONCILE.value, period_ms=_PERIOD_MS, now_ms=now_ms)
    if is_mine:
        reconcile_due(searches(), longest_ms=_LONGEST_MS)
