"""
A Celery worker whose tasks pay for themselves. Each task is charged once, however often it is retried or redelivered.

    celery -A examples.celery_worker worker --concurrency 2
    python -m examples.celery_worker user_1 "a cat on a bicycle"      # sends one task

Credits come from where the environment says: CREDITGATE_URL and CREDITGATE_API_KEY, or the database and Redis of
this folder.
"""

import os
import sys
import time
from typing import Any

from celery import Celery

from credits import spends
from credits.integrations.celery import current_job

app = Celery("images", broker=os.environ.get("CELERY_BROKER_URL", "redis://127.0.0.1:6379/1"))
app.conf.update(
    # A task may die with its worker; it is charged once all the same, so let it be delivered again.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    broker_connection_retry_on_startup=True,
)


@app.task(name="images.render")
@spends(image_generation=1)
def render(account: str, prompt: str) -> str:
    """One image, one credit. The account is the argument called `account`."""
    time.sleep(0.1)
    return f"an image of {prompt}, for {account}"


@app.task(name="images.write", bind=True, autoretry_for=(OSError,), max_retries=5, retry_backoff=True)
@spends(tokens=lambda said: said["most_tokens"], account="user", overage="if_available")
def write(self: Any, user: str, prompt: str, most_tokens: int = 500) -> str:
    """A text that costs what it turns out to cost. Retries keep the hold, and pay once."""
    words = f"Dear {user}, this is try {self.request.retries}: {prompt}.".split()[:most_tokens]
    current_job().spent = {"tokens": len(words)}
    return " ".join(words)


if __name__ == "__main__":
    sys.stdout.write(f"sent {render.delay(sys.argv[1], sys.argv[2]).id}\n")
