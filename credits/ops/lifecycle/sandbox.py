"""An installation for a moment: a database and a Redis of its own, the real receiver and the worker's functions."""

import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import redis
from sqlalchemy import Engine

from credits.allocation.model import Runtime
from credits.allocation.service import sweep
from credits.config.catalogue import Catalogue
from credits.config.load import load_catalogue
from credits.config.settings import Settings, Tenant, WebhookSecret
from credits.db import open_engine, transaction
from credits.engine import Credits
from credits.ids import signed_reference
from credits.inbox.provider import Provider, Simulation
from credits.ops.audit.model import Report
from credits.ops.audit.service import audit
from credits.ops.cli.context import MakeReceiver
from credits.ops.dev.errors import CannotStartError
from credits.ops.dev.redis_server import any_free_port, find_server
from credits.ops.migrate import migrate
from credits.plans import drips
from credits.pricing import store as purchases
from credits.reservations.connect import open_gate
from credits.reservations.steps import GateRuntime
from credits.reservations.sweeps import sweep_gate
from credits.simulation.clock import VirtualClock
from credits.simulation.dialects import SIGNED_AND_QUOTED
from credits.simulation.post import WsgiApp, WsgiTarget
from credits.units import Money

_START_S: Final = 60.0
_ROUNDS: Final = 4
_DATABASE: Final = "sandbox.sqlite3"


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """A running installation that nobody else knows, at the time of its clock."""

    settings: Settings
    engine: Engine
    catalogue: Catalogue
    providers: Mapping[str, Provider]
    clock: VirtualClock
    gate: GateRuntime
    app: WsgiApp

    @cached_property
    def credits(self) -> Credits:
        """The library over it, for the sandbox tenant."""
        return Credits(
            engine=self.engine,
            catalogue=self.catalogue,
            tenant=Tenant.SANDBOX,
            secret_key=self.settings.secret_key,
            clock=self.clock,
            gate=self.gate,
        )

    @cached_property
    def runtime(self) -> Runtime:
        """What its worker allocates with."""
        return Runtime(
            engine=self.engine,
            catalogue=self.catalogue,
            providers=self.providers,
            secret_key=self.settings.secret_key,
            clock=self.clock,
        )

    def secret(self, provider: str) -> bytes:
        """The secret that signs this provider's webhooks."""
        return self.settings.secrets_of(provider)[0].value

    def target(self, provider: str) -> WsgiTarget:
        """Where this provider's webhooks go."""
        return WsgiTarget(app=self.app, path=f"/webhooks/{provider}")

    def reference(self, provider: str, account: str) -> str | None:
        """The signed account, for a provider whose events say whose they are by it alone; None for the others."""
        return signed_reference(account, self.settings.secret_key) if provider in SIGNED_AND_QUOTED else None

    def store_quotes(self, events: Iterable[Simulation]) -> None:
        """Store the quotes that these purchases answer, each once."""
        with transaction(self.engine) as connection:
            for one in events:
                if one.quote_id is None or one.account is None or one.credit_type is None or one.amount is None:
                    continue
                if purchases.find_quote(connection, Tenant.SANDBOX, one.quote_id) is None:
                    quote = purchases.Quote(
                        quote_id=one.quote_id,
                        account=one.account,
                        credit_type=one.credit_type,
                        amount=one.amount,
                        price=Money(amount_minor=one.paid_minor, currency=one.currency),
                    )
                    purchases.insert_quote(connection, Tenant.SANDBOX, quote, now_ms=self.clock())

    def work(self) -> None:
        """Do everything that workers and beat have to do at this instant. Safe to repeat."""
        while sweep(self.runtime):
            pass
        for _ in range(_ROUNDS):
            dripped = drips.sweep(self.engine, self.catalogue, self.clock, until_ms=self.clock() + 1)
            swept = sweep_gate(self.gate)
            moved = (swept.settled, swept.credits_applied, swept.expiries_ordered, swept.orders_run)
            if not any((dripped, *moved, swept.reversals_advanced)):
                break

    def audit(self) -> Report:
        """Re-add everything."""
        return audit(self.engine, self.gate.gate.client, now_ms=self.clock())


@contextmanager
def sandbox(
    config_path: Path,
    providers: Mapping[str, Provider],
    make_receiver: MakeReceiver,
    *,
    clock: VirtualClock,
    redis_url: str | None = None,
    migrated: Path | None = None,
) -> Iterator[Sandbox]:
    """
    A sandbox that sells what `config_path` declares; everything of it is gone with the block.

    With `redis_url` it uses that server, which it empties; else it starts one of its own. `migrated` is an SQLite
    database of this release without rows to begin with, which saves the time to make one.
    Raises ConfigError if credits.toml is wrong, CannotStartError if no Redis can be started.
    """
    catalogue = load_catalogue(config_path)
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="creditgate-sandbox-")))
        url = redis_url or cleanup.enter_context(temporary_redis(folder))
        with redis.Redis.from_url(url, socket_timeout=5) as client:
            client.flushall()
        settings = _settings(folder, config_path, url, providers)
        if migrated is None:
            migrate(settings.database_url)
        else:
            shutil.copy(migrated, folder / _DATABASE)
        engine = open_engine(settings.database_url)
        cleanup.callback(engine.dispose)
        gate = _virtual(open_gate(settings, engine, clock=clock))
        cleanup.callback(gate.gate.client.close)
        yield Sandbox(
            settings=settings,
            engine=engine,
            catalogue=catalogue,
            providers=providers,
            clock=clock,
            gate=gate,
            app=make_receiver(settings, engine, clock),
        )


def _virtual(gate: GateRuntime) -> GateRuntime:
    """The same gate, in which Redis takes the time from the clock too."""
    return GateRuntime(gate=gate.gate, engine=gate.engine, clock=gate.clock, is_virtual=True)


def _settings(folder: Path, config_path: Path, redis_url: str, providers: Mapping[str, Any]) -> Settings:
    return Settings(
        database_url=f"sqlite:///{folder / _DATABASE}",
        redis_url=redis_url,
        broker_url=redis_url,
        config_path=config_path,
        tenant=Tenant.SANDBOX,
        secret_key=secrets.token_urlsafe(),
        base_url="http://127.0.0.1:8000",
        log_format="console",
        webhook_secrets={
            name: (WebhookSecret(tenant=Tenant.SANDBOX, value=f"whsec_sandbox_of_{name}".encode()),)
            for name in providers
        },
        alarm_age_s=300,
    )


@contextmanager
def temporary_redis(folder: Path) -> Iterator[str]:
    """A Redis of its own on a free port of this machine, without persistence."""
    port = any_free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--appendonly", "no")
    program = subprocess.Popen(
        [str(find_server()), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    url = f"redis://127.0.0.1:{port}/0"
    try:
        _wait_until_it_answers(url, program)
        yield url
    finally:
        program.terminate()
        try:
            program.wait(timeout=5)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


def _wait_until_it_answers(url: str, program: "subprocess.Popen[bytes]") -> None:
    until_s = time.monotonic() + _START_S
    with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=None) as client:
        while time.monotonic() < until_s and program.poll() is None:
            try:
                client.ping()
            except redis.RedisError:
                time.sleep(0.02)
            else:
                return
    raise CannotStartError("the sandbox's own Redis did not start within ten seconds; is the machine very busy?")
