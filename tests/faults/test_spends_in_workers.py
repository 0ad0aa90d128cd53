"""Real workers on a real broker are killed, retried, revoked, timed out: a job is charged once, and no hold is left."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from credits.config.catalogue import Catalogue
from credits.db import open_engine
from credits.engine import Credits
from credits.failpoints import VARIABLE as FAILPOINTS
from credits.reservations.sweeps import settle_journals
from tests.conftest import CONFIG_FILE
from tests.support.ledger import assert_ledger_is_sound
from tests.support.library import TYPE, Shop, figures
from tests.support.processes import signal_group, start, wait_until
from tests.support.valkey import ValkeyServer

pytestmark = [pytest.mark.proof, pytest.mark.timeout(600)]

REPOSITORY = Path(__file__).parents[2]
APP = "tests.support.spending_app"
TTL_S = 3.0
"""Of the holds of its tasks."""
ACCOUNTS = (f"user_{number}" for number in itertools.count(1))
PATIENCE_S = 100


@dataclass(kw_only=True)
class Factory:
    """Workers over one broker, and the library beside them."""

    folder: Path
    library: Credits
    env: dict[str, str]
    sender: Celery
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_worker(self, failpoints: str = "") -> None:
        argv = [sys.executable, "-m", "celery", "-A", APP, "worker", "--concurrency", "2", "--loglevel", "INFO"]
        name = f"w{len(self.workers)}"
        log = self.folder / f"{name}.log"
        argv += ["--without-gossip", "--without-mingle", "--hostname", f"{name}@test"]
        env = {**self.env, FAILPOINTS: failpoints}
        self.workers.append(start(argv, log=log, env=env, cwd=self.folder))
        wait_until(lambda: " ready." in log.read_text(), timeout_s=PATIENCE_S, what=f"{name} is ready")

    def kill_worker(self) -> None:
        worker = self.workers[-1]
        signal_group(worker, signal.SIGKILL)
        worker.wait()

    def new_account(self) -> str:
        """An account of the test's own, with 1000 credits."""
        account = next(ACCOUNTS)
        self.library.add(account, TYPE, 1000, key=account)
        return account

    def send(self, task: str, *args: Any, task_id: str | None = None) -> str:
        """Send a task by its name; answers its id."""
        name = task_id or str(uuid.uuid4())
        self.sender.send_task(f"{APP}.{task}", args=args, task_id=name)
        return name

    def publish(self, task: str, *args: Any, task_id: str | None = None) -> str:
        """Send a task as the app does that declares it."""
        name = task_id or str(uuid.uuid4())
        code = f"from {APP} import {task}; {task}.apply_async({args!r}, task_id={name!r})"
        subprocess.run([sys.executable, "-c", code], env=self.env, cwd=self.folder, check=True, timeout=PATIENCE_S)
        return name

    def notes(self, task_id: str, what: str) -> list[dict[str, Any]]:
        """What the runs of a task have written down."""
        file = self.folder / f"{task_id}.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [note for note in map(json.loads, lines) if note["what"] == what]

    def wait_for(self, task_id: str, what: str, times: int = 1) -> None:
        text = f"{task_id} {what} {times} times\n{self.logs()}"
        wait_until(lambda: len(self.notes(task_id, what)) >= times, timeout_s=PATIENCE_S, what=text)

    def wait_for_figures(self, account: str, wanted: tuple[int, ...]) -> None:
        """Wait until the account has (balance, held)."""
        try:
            wait_until(
                lambda: figures(self.library, account)[:2] == wanted, timeout_s=PATIENCE_S, what=f"{wanted} is left"
            )
        except AssertionError as error:
            raise AssertionError(f"{error}; there is {figures(self.library, account)}\n{self.logs()}") from None

    def logs(self) -> str:
        return "\n".join(file.read_text()[-6000:] for file in sorted(self.folder.glob("w*.log")))


@pytest.fixture(scope="module")
def factory(
    migrated_sqlite_file: Path, catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Factory]:
    folder = tmp_path_factory.mktemp("factory")
    file = folder / "creditgate.sqlite3"
    shutil.copy(migrated_sqlite_file, file)
    server = ValkeyServer(folder / "valkey", durable=True)
    server.start()
    library = Shop(engine=open_engine(f"sqlite:///{file}"), redis_url=server.url, catalogue=catalogue).process()
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY),
        "CREDITGATE_DATABASE_URL": f"sqlite:///{file}",
        "CREDITGATE_REDIS_URL": server.url,
        "CREDITGATE_BROKER_URL": server.url,
        "CREDITGATE_CONFIG": str(CONFIG_FILE),
        "CREDITGATE_TENANT": "sandbox",
        "SPENDING_FOLDER": str(folder),
    }
    sender = Celery("sender", broker=server.url, set_as_current=False)
    factory = Factory(folder=folder, library=library, env=env, sender=sender)
    factory.start_worker()
    yield factory
    for worker in factory.workers:
        signal_group(worker, signal.SIGKILL)
        worker.wait()
    sender.close()
    library.close()
    server.stop()


@pytest.fixture(autouse=True)
def ledger_stays_sound(factory: Factory) -> Iterator[None]:
    yield
    assert_ledger_is_sound(factory.library.engine)


def test_a_task_holds_while_it_runs_and_pays_for_what_it_used(factory: Factory) -> None:
    account, enough = factory.new_account(), factory.folder / "enough"

    # It runs for longer than the hold lasts without a heartbeat.
    task = factory.send("work", account, 4, 0.0, str(enough))
    factory.wait_for(task, "began")
    factory.wait_for_figures(account, (1000, 10))
    time.sleep(TTL_S + 0.5)
    held = figures(factory.library, account)[1]
    enough.touch()

    factory.wait_for_figures(account, (996, 0))
    assert held == 10


def test_a_task_whose_process_is_killed_runs_again_with_the_same_hold(factory: Factory) -> None:
    account = factory.new_account()

    task = factory.send("die_once", account, 4)

    factory.wait_for(task, "began", 2)
    factory.wait_for_figures(account, (996, 0))


def test_a_task_whose_process_is_killed_for_good_gives_back_what_it_held(factory: Factory) -> None:
    account = factory.new_account()

    task = factory.send("die_for_good", account)

    factory.wait_for(task, "began")
    factory.wait_for_figures(account, (1000, 0))
    assert len(factory.notes(task, "began")) == 1


def test_a_task_that_is_killed_after_it_paid_runs_again_for_free(factory: Factory) -> None:
    account = factory.new_account()

    task = factory.send("die_paid", account, 4)

    factory.wait_for(task, "paid", 2)
    factory.wait_for_figures(account, (996, 0))


def test_a_retried_task_pays_once(factory: Factory) -> None:
    account = factory.new_account()

    task = factory.send("flaky", account, 2)

    factory.wait_for(task, "began", 3)
    factory.wait_for_figures(account, (990, 0))


def test_a_task_whose_tries_are_used_up_pays_nothing(factory: Factory) -> None:
    account = factory.new_account()

    task = factory.send("flaky", account, 99)

    factory.wait_for(task, "began", 3)
    factory.wait_for_figures(account, (1000, 0))


@pytest.mark.parametrize("name", ["too_long", "much_too_long"])
def test_a_task_that_runs_out_of_time_gives_back_what_it_held(factory: Factory, name: str) -> None:
    account = factory.new_account()

    task = factory.send(name, account)

    factory.wait_for(task, "began")
    factory.wait_for_figures(account, (1000, 0))


def test_a_task_that_is_revoked_before_it_runs_gives_back_what_was_held_when_it_was_sent(factory: Factory) -> None:
    account, task_id = factory.new_account(), str(uuid.uuid4())
    # The worker says that it has heard of it.
    assert factory.sender.control.revoke(task_id, reply=True, timeout=PATIENCE_S, limit=1)

    factory.publish("held_when_sent", account, task_id=task_id)

    factory.wait_for_figures(account, (1000, 0))
    assert factory.notes(task_id, "began") == []
    assert factory.library.find_hold(account, task_id) is not None


def test_a_task_that_is_revoked_while_it_runs_gives_back_what_it_held(factory: Factory) -> None:
    account = factory.new_account()
    task = factory.publish("held_when_sent", account, 60.0)
    factory.wait_for(task, "began")

    factory.sender.control.revoke(task, terminate=True, signal="SIGKILL")

    factory.wait_for_figures(account, (1000, 0))


def test_a_task_that_is_held_when_it_is_sent_pays_when_it_has_run(factory: Factory) -> None:
    account = factory.new_account()

    task = factory.publish("held_when_sent", account)

    factory.wait_for(task, "began")
    factory.wait_for_figures(account, (990, 0))


def test_a_task_that_the_broker_hands_out_twice_at_once_is_paid_once(factory: Factory) -> None:
    account = factory.new_account()

    # As after an acknowledgement that did not arrive in time.
    task = factory.send("work", account, 4, 4.0)
    factory.send("work", account, 4, 4.0, task_id=task)

    factory.wait_for(task, "began", 2)
    factory.wait_for(task, "ended", 2)
    factory.wait_for_figures(account, (996, 0))
    assert len(factory.library.entries(account)) == 2


def test_a_job_whose_worker_is_killed_is_run_by_the_next_one_and_paid_once(factory: Factory) -> None:
    account = factory.new_account()
    task = factory.send("work", account, 4, 5.0)
    factory.wait_for(task, "began")

    factory.kill_worker()
    # Nobody extends the hold any more: its deadline frees it.
    factory.wait_for_figures(account, (1000, 0))
    factory.start_worker()

    factory.wait_for(task, "ended")
    factory.wait_for_figures(account, (996, 0))
    assert len(factory.library.entries(account)) == 2


def test_tasks_whose_processes_are_killed_at_every_step_of_their_commits_pay_once_each(factory: Factory) -> None:
    account = factory.new_account()
    steps = [
        *("gate.before_commit", "gate.after_commit", "gate.before_lead", "gate.after_lead", "gate.before_sql_commit"),
        *("gate.before_settled", "gate.after_settled", "gate.before_tell", "gate.after_tell"),
    ]
    flags = {step: factory.folder / step for step in steps}
    factory.kill_worker()
    factory.start_worker(",".join(f"{step}=kill-once:{flag}" for step, flag in flags.items()))

    # The first one is killed before and after its commit, each further one at the next step on the way to the ledger.
    for _ in steps[1:]:
        factory.wait_for(factory.send("work", account, 4), "ended", 2)

    assert [step for step, flag in flags.items() if not flag.exists()] == []
    settle_journals(factory.library.reservations.runtime)
    paid = 4 * len(steps[1:])
    factory.wait_for_figures(account, (1000 - paid, 0))
    assert len(factory.library.entries(account)) == 1 + len(steps[1:])
    factory.kill_worker()
    factory.start_worker()
