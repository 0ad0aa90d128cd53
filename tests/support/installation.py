"""An installation of Creditgate in real processes: receiver, worker and beat as they run in production."""

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from credits.failpoints import VARIABLE as FAILPOINTS_VARIABLE
from credits.inbox.provider import SignedWebhook
from credits.ops.commands import CELERY, RECEIVER, beat_argv, receiver_argv, supervised, worker_argv
from tests.support.processes import PATIENCE_S, free_port, signal_group, start, wait_until
from tests.support.webhooks import simulation
from webhooks.providers import REGISTRY

CONFIG_FILE = Path(__file__).parent / "credits.toml"
_REPOSITORY = Path(__file__).parents[2]
_SECRET = b"a secret of the fake provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the receiver said, and how long that took."""

    status: int
    duration_s: float


class Installation:
    """
    Processes over one database and one broker, with logs in `folder`. Use it as a context manager.

    The gate is on the broker's Redis, unless `redis_url` says where else. Nothing runs until it is started. Workers run
    under the supervisor, as in production.
    """

    def __init__(self, folder: Path, *, database_url: str, broker_url: str, redis_url: str | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.env = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ},
            "PYTHONPATH": str(_REPOSITORY),
            "CREDITGATE_DATABASE_URL": database_url,
            "CREDITGATE_REDIS_URL": redis_url or broker_url,
            "CREDITGATE_BROKER_URL": broker_url,
            "CREDITGATE_CONFIG": str(CONFIG_FILE),
            "CREDITGATE_TENANT": "sandbox",
            "CREDITGATE_SECRET_KEY": "a key for tests only",
            "FAKE_TEST_WEBHOOK_SECRETS": _SECRET.decode(),
        }

    def __enter__(self) -> "Installation":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def set_failpoints(self, text: str) -> None:
        """Where the programs started from now on shall die: see credits.failpoints."""
        self.env[FAILPOINTS_VARIABLE] = text

    def start_receiver(self, *, app: str = RECEIVER, processes: int = 1, threads: int = 8) -> None:
        """Start gunicorn (with another `app` than the receiver, if one is given) and wait until it answers."""
        argv = receiver_argv(host="127.0.0.1", port=self.port, processes=processes, threads=threads, patience_s=2)
        self._start("receiver", [app if part == RECEIVER else part for part in argv])
        self._wait_for("receiver", self._receiver_answers)

    def start_worker(self, name: str = "worker", *, app: str = CELERY, concurrency: int = 2) -> None:
        """Start a supervised Celery worker (of another `app`, if one is given) and wait until it consumes."""
        argv = worker_argv(concurrency=concurrency)
        self._start_supervised(name, [app if part == CELERY else part for part in argv])

    def start_beat(self) -> None:
        """Start a supervised beat and wait until it ticks."""
        self._start_supervised("beat", beat_argv())

    def hold_up(self, name: str, *, for_s: float) -> None:
        """Let every process of a supervised program stand still, in the middle of whatever it does."""
        record = self._run_folder / f"{name}.pid"
        # Killed a moment ago, it is being started again.
        wait_until(lambda: _is_sent(record, signal.SIGSTOP), what=f"{name} runs and is stopped")
        time.sleep(for_s)
        # Its supervisor may have replaced it meanwhile: then there is nothing to go on.
        _is_sent(record, signal.SIGCONT)

    def kill(self, name: str) -> None:
        """SIGKILL every process of a program; a supervisor, if it has one, lives and starts it again."""
        record = self._run_folder / f"{name}.pid"
        if record.exists():
            # Killed by something else a moment ago, it is being started again.
            wait_until(lambda: _is_sent(record, signal.SIGKILL), what=f"{name} runs and is killed")
            return
        process = self._processes.pop(name)
        signal_group(process, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """Stop everything in order; what does not stop within 30 s is killed."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                signal_group(process, signal.SIGKILL)
                process.wait()
            if process.stdin is not None:
                process.stdin.close()
        self._processes.clear()

    def post(self, webhook: SignedWebhook, *, timeout_s: float = PATIENCE_S) -> Answer:
        """Deliver a webhook of the fake provider. Status 0: nobody answered."""
        began_s = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request("POST", "/webhooks/fake", body=webhook.body, headers=dict(webhook.headers))
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            status = 0
        finally:
            connection.close()
        return Answer(status=status, duration_s=time.monotonic() - began_s)

    def post_until_stored(self, webhook: SignedWebhook) -> Answer:
        """Deliver a webhook as a provider does: again and again until it is answered with 200."""
        answers: list[Answer] = []

        def is_stored() -> bool:
            answers.append(self.post(webhook))
            return answers[-1].status == 200

        wait_until(is_stored, what="the receiver stores the webhook")
        return answers[-1]

    def logs(self) -> str:
        """All that the processes have written, for the message of a failed test."""
        return "\n".join(f"== {file.name}\n{file.read_text()}" for file in sorted(self.folder.glob("*.log")))

    @property
    def _run_folder(self) -> Path:
        return self.folder / "run"

    def _start_supervised(self, name: str, argv: Sequence[str]) -> None:
        options = ("--lifeline", "--after-broker", "--patience-s", "5")
        whole = supervised(argv, name=name, run_folder=str(self._run_folder), options=options)
        self._start(name, whole, lifeline=True)
        log = self.folder / f"{name}.log"
        self._wait_for(name, lambda: f"{name} is ready" in log.read_text())

    def _start(self, name: str, argv: Sequence[str], *, lifeline: bool = False) -> None:
        self._processes[name] = start(
            argv,
            log=self.folder / f"{name}.log",
            env=self.env,
            cwd=self.folder,
            lifeline=lifeline,
            death_signal=signal.SIGTERM,
        )

    def _wait_for(self, name: str, is_ready: Any) -> None:
        process = self._processes[name]
        wait_until(lambda: is_ready() or process.poll() is not None, what=f"{name} is ready")
        if process.poll() is not None:
            raise AssertionError(f"{name} exited with {process.returncode}\n{self.logs()}")

    def _receiver_answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _is_sent(record: Path, number: signal.Signals) -> bool:
    """Whether the group that is recorded there has been sent a signal; not if nobody is there to receive it."""
    leader = record.read_text()
    try:
        os.killpg(int(leader), number)
    except (ValueError, ProcessLookupError):
        return False
    return True


def signed_purchase(payment: str, *, account: str = "user_1", amount: int = 100, delivery: str = "") -> SignedWebhook:
    """A paid purchase at the fake provider, signed now. Another `delivery` is another event of the payment."""
    return signed_event("purchase.paid", payment, account=account, amount=amount, delivery=delivery or payment)


def signed_event(event_type: str, payment: str, *, account: str, amount: int, delivery: str) -> SignedWebhook:
    """Whatever the fake provider has to say of a purchase, signed now."""
    now_s = int(time.time())
    said = simulation(
        event_type, payment=payment, account=account, amount=amount, delivery=delivery, at_ms=now_s * 1000
    )
    return REGISTRY["fake"].sign(REGISTRY["fake"].simulate(said), _SECRET, now_s)
