"""Tasks of the inbox."""

from credits.allocation import service as allocation
from credits.db import transaction
from credits.job_runs import take_slot
from credits.queues import EVERY_S, Task
from credits.reservations.courier import accounts_of_events
from credits.reservations.sweeps import waiting_accounts
from workers.app import app
from workers.runtime import courier, runtime

_SWEEP_PERIOD_MS = int(EVERY_S[Task.SWEEP_INBOX] * 1000)


@app.task(name=Task.PROCESS_EVENTS.value)
def process_events(event_ids: list[int]) -> None:
    """Process these events. Running it twice does it once; a failure leaves its reason and next attempt in the row."""
    allocation.process_events(runtime(), event_ids)
    # What they earned can be spent now; if Redis is away, when it is back.
    courier().bring(lambda: accounts_of_events(runtime().engine, event_ids))


@app.task(name=Task.SWEEP_INBOX.value)
def sweep_inbox() -> None:
    """Process every event that is due. However many beats tick, one sweep runs per period."""
    now_ms = runtime().clock()
    with transaction(runtime().engine) as connection:
        is_mine = take_slot(connection, Task.SWEEP_INBOX.value, period_ms=_SWEEP_PERIOD_MS, now_ms=now_ms)
    if is_mine:
        allocation.sweep_until_clear(runtime(), until_ms=now_ms + _SWEEP_PERIOD_MS)
        courier().bring(lambda: waiting_accounts(runtime().engine))
