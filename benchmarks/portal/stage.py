"""What a measurement runs on: accounts that have bought and spent, the page and an empty route, each under gunicorn."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import Engine

from benchmarks.servers import connect_to, new_databases, start_redis
from credits.clock import system_clock_ms
from credits.config.load import load_catalogue
from credits.config.settings import Tenant
from credits.engine import Credits
from credits.ops.migrate import migrate
from credits.redis_client import open_redis
from credits.reservations.asks import Commit
from credits.reservations.batch import Reserve
from credits.reservations.gate import Gate
from credits.reservations.steps import GateRuntime
from credits.reservations.sweeps import settle_journals
from tests.support.installation import CONFIG_FILE, Installation
from tests.support.portal import PaperSeller

EMPTY: Final = "benchmarks.portal.empty:make_app()"
TYPE: Final = "image_generation"
ACCOUNTS: Final = 200
SPENDS: Final = 100
"""Of each account, all of them today."""

_THREADS: Final = 8
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Both programs, running, and a visitor of each account."""

    engine: Engine
    our_port: int
    empty_port: int
    cookies: tuple[str, ...]


@contextmanager
def stage(database: str, folder: Path, *, processes: int) -> Iterator[Stage]:
    """Start everything over `sqlite` or `postgresql`; everything is gone at the end."""
    with ExitStack() as cleanup:
        redis = start_redis(folder, cleanup)
        [url] = new_databases(database, folder, cleanup, "ours")
        migrate(url)
        ours = cleanup.enter_context(Installation(folder / "ours", database_url=url, broker_url=redis.url))
        empty = cleanup.enter_context(Installation(folder / "empty", database_url=url, broker_url=redis.url))
        # A page with a form to buy on; showing it asks nobody.
        ours.env["STRIPE_TEST_API_KEY"] = "sk_test_of_the_benchmark"
        engine = connect_to(url, cleanup)
        library = _furnish(engine, redis.url, secret_key=ours.env["CREDITGATE_SECRET_KEY"])
        ours.start_receiver(processes=processes, threads=_THREADS)
        empty.start_receiver(app=EMPTY, processes=processes, threads=_THREADS)
        cookies = tuple(_visit(library, ours.port, f"user_{number}") for number in range(ACCOUNTS))
        yield Stage(engine=engine, our_port=ours.port, empty_port=empty.port, cookies=cookies)


def _furnish(engine: Engine, redis_url: str, *, secret_key: str) -> Credits:
    """Give every account lots, a hundred jobs and five offers."""
    gate = GateRuntime(gate=Gate(open_redis(redis_url)), engine=engine, clock=system_clock_ms)
    library = Credits(
        engine=engine,
        catalogue=load_catalogue(CONFIG_FILE),
        tenant=Tenant.SANDBOX,
        secret_key=secret_key,
        gate=gate,
        sellers={"stripe": PaperSeller()},
    )
    accounts = [f"user_{number}" for number in range(ACCOUNTS)]
    for account in accounts:
        for days in (3, 30, 60):
            ends_at_ms = system_clock_ms() + days * _DAY_MS
            library.add(account, TYPE, 1_000, key=f"{account}-{days}", expires_at_ms=ends_at_ms)
        for number in range(5):
            library.checkout(account, provider="stripe", credit_type=TYPE, amount=100, key=f"{account}-{number}")
    for number in range(SPENDS):
        names = [(account, f"job-{number}-{account}") for account in accounts]
        library.reserve_many([Reserve(account=who, items={TYPE: 1}, reservation_id=name) for who, name in names])
        library.commit_many([Commit(account=who, reservation_id=name) for who, name in names], durability="redis")
        settle_journals(gate)
    return library


def _visit(library: Credits, port: int, account: str) -> str:
    """Open the account's page by a link; answers the cookie that it leaves."""
    link = urlsplit(library.portal_link(account, ttl_s=3_600)[0])
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", f"{link.path}?{link.query}")
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 303, answer.status
    return str(answer.headers["Set-Cookie"]).partition(";")[0]
