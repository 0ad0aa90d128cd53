"""A Celery app whose tasks spend and misbehave as they are told: what the workers of the fault tests run."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from celery import Celery

from credits import spends
from credits.integrations.celery import SpendingTask, current_job

app = Celery("spending", broker=os.environ["CREDITGATE_BROKER_URL"], backend=os.environ["CREDITGATE_BROKER_URL"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    # Short, so that a message of a dead worker is handed out again while the test waits.
    broker_transport_options={
        "visibility_timeout": 8,
        "unacked_restore_interval": 1,
        # A worker that is killed while it hands messages out again keeps others from it for so long.
        "unacked_mutex_expire": 5,
        "polling_interval": 0.2,
    },
    broker_connection_retry_on_startup=True,
    result_extended=True,
)

FOLDER = Path(os.environ["SPENDING_FOLDER"])
TTL_S = 3.0


def note(task: Any, what: str) -> int:
    """Write down that a task got so far; answers how often it has."""
    file = FOLDER / f"{task.request.id}.jsonl"
    with file.open("a") as output:
        output.write(json.dumps({"what": what, "pid": os.getpid(), "retries": task.request.retries}) + "\n")
    return sum(json.loads(line)["what"] == what for line in file.read_text().splitlines())


@app.task(bind=True)
@spends(image_generation=10, ttl_s=TTL_S)
def work(self: Any, account: str, used: int = 4, for_s: float = 0.0, until: str = "") -> int:
    """Take some time, go on until there is the file `until`, and use less than was held."""
    note(self, "began")
    time.sleep(for_s)
    while until and not Path(until).exists():
        time.sleep(0.05)
    current_job().spent = {"image_generation": used}
    note(self, "ended")
    return used


@app.task(bind=True)
@spends(image_generation=10, ttl_s=TTL_S)
def die_once(self: Any, account: str, used: int = 4) -> None:
    """Be killed on the first run, as by the kernel when memory is short."""
    if note(self, "began") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    current_job().spent = {"image_generation": used}


@app.task(bind=True, reject_on_worker_lost=False)
@spends(image_generation=10, ttl_s=60)
def die_for_good(self: Any, account: str) -> None:
    """Be killed, and not be tried again."""
    note(self, "began")
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True)
@spends(image_generation=10, ttl_s=TTL_S)
def die_paid(self: Any, account: str, used: int = 4) -> None:
    """Be killed on the first run between payment and acknowledgement."""
    current_job().hold.commit(image_generation=used)
    if note(self, "paid") == 1:
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True, autoretry_for=(OSError,), retry_kwargs={"max_retries": 2, "countdown": 1})
@spends(image_generation=10, ttl_s=TTL_S)
def flaky(self: Any, account: str, failures: int) -> None:
    """Fail so many times."""
    if note(self, "began") <= failures:
        raise OSError("the renderer is away")


@app.task(bind=True, soft_time_limit=3, acks_on_failure=True)
@spends(image_generation=10, ttl_s=60)
def too_long(self: Any, account: str) -> None:
    """Run into the soft limit."""
    note(self, "began")
    time.sleep(60)


@app.task(bind=True, time_limit=3, acks_on_timeout=True)
@spends(image_generation=10, ttl_s=60)
def much_too_long(self: Any, account: str) -> None:
    """Run into the hard limit, which kills the process."""
    note(self, "began")
    time.sleep(60)


@app.task(bind=True, base=SpendingTask)
@spends(image_generation=10, ttl_s=60, when="publish")
def held_when_sent(self: Any, account: str, for_s: float = 0.0) -> None:
    """Be held from the moment it is sent."""
    note(self, "began")
    time.sleep(for_s)
