"""A real `credits dev` in a folder of a test's own, and what can be asked and done to it."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from dotenv import dotenv_values

from credits.config.settings import DEV_ENV_FILE, Tenant, secret_variable
from credits.ops.dev.environment import API_KEY
from credits.ops.dev.folder import RUN_FOLDER
from credits.ops.supervise.group import is_alive
from tests.support.processes import PATIENCE_S, free_port, start, wait_until
from tests.support.webhooks import simulation
from webhooks.providers import REGISTRY

# The command as it is installed, by its entry point.
COMMAND = (sys.executable, "-c", "from workers.command import main; main()")

_numbers = itertools.count(1)


class DevRun:
    """`credits dev` running in `folder`. Its children are found by the mark in their environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / f"credits-dev-{next(_numbers)}.log"
        self.mark = f"CREDITGATE_TEST_MARK={os.getpid()}-{folder.name}-{self.port}"
        name, _, value = self.mark.partition("=")
        self.process: subprocess.Popen[bytes] = start(
            [*COMMAND, "dev", "--port", str(self.port)],
            log=self.log,
            env={**clean_environment(), name: value},
            cwd=folder,
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def environment(self) -> dict[str, str]:
        """What it wrote into dev.env."""
        return {name: value or "" for name, value in dotenv_values(self.folder / DEV_ENV_FILE).items()}

    def wait_until_up(self) -> None:
        """Wait for the banner."""
        wait_until(
            lambda: "Creditgate is up" in self.output or self.process.poll() is not None,
            what=f"credits dev is up:\n{self.output}",
        )
        assert self.process.poll() is None, self.output

    def answers(self) -> bool:
        """Whether /healthz says 200."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=10) as response:
                return bool(response.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def leader(self, service: str) -> int:
        """The first process of a service's group, once it is written down."""
        record = self.folder / RUN_FOLDER / f"{service}.pid"
        wait_until(lambda: record.exists() and record.read_text().isdigit(), what=f"{service} runs")
        return int(record.read_text())

    def kill_service(self, service: str) -> None:
        """SIGKILL every process of a service."""
        os.killpg(self.leader(service), signal.SIGKILL)

    def restarted(self, service: str, *, old_leader: int) -> bool:
        """Whether a new process leads the service."""
        text = (self.folder / RUN_FOLDER / f"{service}.pid").read_text()
        return text.isdigit() and int(text) != old_leader and is_alive(self.folder / RUN_FOLDER / f"{service}.pid")

    def buy(self, account: str, amount: int) -> None:
        """Deliver a signed webhook that says `account` has paid; again after a 503, as providers do."""
        provider = REGISTRY["fake"]
        now_s = int(time.time())
        bought = simulation(
            "purchase.paid", account=account, amount=amount, payment=account, delivery=account, at_ms=now_s * 1000
        )
        secret = self.environment[secret_variable("fake", Tenant.SANDBOX)].encode()
        webhook = provider.sign(provider.simulate(bought), secret, now_s)
        request = urllib.request.Request(f"{self.url}/webhooks/fake", webhook.body, dict(webhook.headers))
        wait_until(lambda: _status(request) == 200, what="the webhook is answered with 200")

    def balance(self, account: str) -> int:
        """The balance that the API answers, with the printed key; 0 while it knows no account or is busy."""
        request = urllib.request.Request(
            f"{self.url}/v1/accounts/{account}/balances",
            headers={"Authorization": f"Bearer {self.environment[API_KEY]}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
                balances = json.load(response)["balances"]
        except urllib.error.HTTPError as error:
            if error.code not in {404, 503}:
                raise
            return 0
        return int(balances["image_generation"]["balance"]) if balances else 0

    def redis(self) -> redis.Redis:
        """A client of its Redis."""
        return redis.Redis.from_url(self.environment["CREDITGATE_REDIS_URL"], socket_timeout=PATIENCE_S)

    def processes(self) -> dict[int, str]:
        """Every process that carries the mark and is no zombie, with its command line."""
        found = {}
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and self.mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def wait_until_gone(self) -> None:
        """Wait until nothing of it is left."""
        wait_until(lambda: not self.processes(), what=f"no process is left: {self.processes()}")

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE_S)


@contextmanager
def dev_run(folder: Path) -> Iterator[DevRun]:
    """A run that is up; whatever the test does to it, nothing of it is left afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    run = DevRun(folder)
    try:
        run.wait_until_up()
        yield run
    finally:
        run.process.kill()
        run.process.wait()
        run.wait_until_gone()


def _status(request: urllib.request.Request) -> int:
    """What it was answered; 0 while nobody answers."""
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def clean_environment() -> dict[str, str]:
    """This process's environment without anything that would configure Creditgate."""
    pattern = re.compile(r"CREDITGATE_|REDIS_URL$|DATABASE_URL$|.*_WEBHOOK_SECRETS$|(STRIPE|LEMONSQUEEZY|PADDLE)_")
    return {name: value for name, value in os.environ.items() if not pattern.match(name)}
