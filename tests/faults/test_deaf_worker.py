"""A worker that no longer hears its broker, though it lives and its event loop turns, ends itself."""

import os
import signal
import sys
from pathlib import Path

import pytest

from credits.queues import make_celery
from tests.support.processes import signal_group, start, wait_until

ROOT = Path(__file__).parents[2]

# A worker that stops consuming after its first second, as one does whose lost connection nobody noticed.
DEAF_AFTER_A_SECOND = """
import os
from celery import bootsteps
from credits.queues import make_celery
from workers import hearing

hearing.IDLE_S, hearing.ASK_EVERY_S = 1.0, 1.0
app = make_celery(os.environ["BROKER_URL"])
hearing.install(app)

@app.task(name="noticed")
def noticed():
    pass

class GoDeaf(bootsteps.StartStopStep):
    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer):
        open("started", "w").close()
        if os.environ["GOES_DEAF"] == "yes":
            consumer.timer.call_after(1.0, consumer.task_consumer.cancel)

app.steps["consumer"].add(GoDeaf)
"""


@pytest.mark.parametrize("goes_deaf", [True, False])
def test_a_deaf_worker_ends_itself_once_messages_wait_and_a_hearing_one_does_not(
    tmp_path: Path, redis_url: str, goes_deaf: bool
) -> None:
    (tmp_path / "deaf.py").write_text(DEAF_AFTER_A_SECOND)
    worker = start(
        [sys.executable, "-m", "celery", "--quiet", "--app", "deaf:app", "worker", "--concurrency", "1"],
        log=tmp_path / "worker.log",
        env={
            **os.environ,
            "BROKER_URL": redis_url,
            "GOES_DEAF": "yes" if goes_deaf else "no",
            "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT))),
        },
        cwd=tmp_path,
    )
    wait_until((tmp_path / "started").exists, what="the worker is up")
    producer = make_celery(redis_url)

    def ends_while_messages_come() -> bool:
        producer.send_task("noticed")
        return worker.poll() is not None

    try:
        if goes_deaf:
            wait_until(ends_while_messages_come, what="the deaf worker ends itself")
            assert b"worker.deaf" in (tmp_path / "worker.log").read_bytes()
        else:
            with pytest.raises(AssertionError, match="it ends"):
                wait_until(ends_while_messages_come, timeout_s=4, what="it ends")
    finally:
        signal_group(worker, signal.SIGKILL)
        worker.wait()
