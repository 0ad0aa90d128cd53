"""Tell the workers that an operator has made events due, so that nobody waits for the next sweep."""

from collections.abc import Sequence
from typing import Final

from credits.queues import QUEUE_OF, Task, make_celery

MOST_RUNG: Final = 20
"""Who looks at the result at once has changed a few events; thousands are the sweep's."""


def ring(broker_url: str, event_ids: Sequence[int]) -> None:
    """Ask for the first 20 events to be processed now. Call it after the commit; without a broker it does nothing."""
    if not event_ids:
        return
    celery = make_celery(broker_url)
    try:
        celery.send_task(
            Task.PROCESS_EVENTS.value,
            args=[list(event_ids[:MOST_RUNG])],
            queue=QUEUE_OF[Task.PROCESS_EVENTS],
            ignore_result=True,
        )
    # A broker fails in as many ways as its client has exceptions; all mean that the sweep does the work.
    except Exception:  # noqa: BLE001
        return
    finally:
        celery.close()
