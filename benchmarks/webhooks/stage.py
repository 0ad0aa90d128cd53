"""What a measurement runs on: both programs side by side over databases of one server, and prepared webhooks."""

import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from benchmarks.servers import connect_to, new_databases, start_redis
from benchmarks.webhooks.bare import metadata as bare_tables
from credits.db import open_engine
from credits.ops.migrate import migrate
from tests.support.installation import Installation
from tests.support.valkey import ValkeyServer
from tests.support.webhooks import simulation
from webhooks.providers import REGISTRY

CREDITS_PER_PAYMENT: Final = 100
ACCOUNTS: Final = 200
_SECRET: Final = b"whsec_benchmark"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The receiver and its worker beside the bare route and the empty task, over one kind of database."""

    database: str
    engine: Engine
    broker: ValkeyServer
    ours: Installation
    yardstick: Installation
    accepted: list[int] = field(default_factory=list)
    """How many payments the receiver accepted, round by round."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def requests(self, count: int) -> list[bytes]:
        """`count` signed webhooks as raw HTTP, each a payment of its own, spread over the accounts."""
        return [_request(number) for number in itertools.islice(self._numbers, count)]


@contextmanager
def stage(database: str, folder: Path) -> Iterator[Stage]:
    """Start the servers and both receivers over `sqlite` or `postgresql`; everything is gone at the end."""
    with ExitStack() as cleanup:
        broker = start_redis(folder, cleanup)
        our_url, bare_url = new_databases(database, folder, cleanup, "ours", "bare")
        migrate(our_url)
        _create_bare_table(bare_url)
        ours = cleanup.enter_context(Installation(folder / "ours", database_url=our_url, broker_url=broker.url))
        yardstick = cleanup.enter_context(
            Installation(folder / "yardstick", database_url=bare_url, broker_url=broker.url)
        )
        ours.env["STRIPE_TEST_WEBHOOK_SECRETS"] = _SECRET.decode()
        ours.start_receiver()
        yardstick.start_receiver(app="benchmarks.webhooks.bare:make_app()")
        engine = connect_to(our_url, cleanup)
        yield Stage(database=database, engine=engine, broker=broker, ours=ours, yardstick=yardstick)


def account_of(number: int) -> str:
    """Whose the payment with this number is."""
    return f"user_{number % ACCOUNTS}"


def _create_bare_table(url: str) -> None:
    engine = open_engine(url)
    bare_tables.create_all(engine)
    engine.dispose()


def _request(number: int) -> bytes:
    now_s = int(time.time())
    provider = REGISTRY["stripe"]
    body = provider.simulate(
        simulation(
            "checkout.session.completed",
            payment=f"payment-{number}",
            delivery=f"payment-{number}",
            account=account_of(number),
            amount=CREDITS_PER_PAYMENT,
            at_ms=now_s * 1000,
            started_at_ms=now_s * 1000,
        )
    )
    signed = provider.sign(body, _SECRET, now_s)
    headers = {**signed.headers, "Host": "127.0.0.1", "Content-Length": str(len(signed.body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /webhooks/stripe HTTP/1.1\r\n{lines}\r\n".encode() + signed.body
