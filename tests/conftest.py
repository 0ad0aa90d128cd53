"""Fixtures: servers that start when the first test asks, and a database of its own for each test."""

import itertools
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine

from credits.allocation.model import Runtime
from credits.config.catalogue import Catalogue
from credits.config.load import load_catalogue
from credits.config.settings import Settings, Tenant, WebhookSecret
from credits.db import metadata, open_engine
from credits.engine import Credits
from credits.log import set_up_logging
from credits.ops.migrate import migrate
from credits.redis_client import open_redis
from credits.reservations.gate import Gate
from credits.reservations.steps import GateRuntime
from tests.support.clock import VirtualClock
from tests.support.cluster import ValkeyCluster
from tests.support.library import TYPE, Shop
from tests.support.patience import IN_PRODUCTION, IN_TESTS, patience
from tests.support.pipeline import Pipeline
from tests.support.postgres import PostgresServer, postgres_folder
from tests.support.rabbitmq import find_rabbitmq
from tests.support.valkey import ValkeyServer
from webhooks.providers import REGISTRY

CONFIG_FILE = Path(__file__).parent / "support" / "credits.toml"

# A test that shares two cores with servers is slow at times; that is no finding. Properties draw the same examples in
# each run, so that a change is judged by what it changed; CREDITGATE_TEST_CHANCE=1 lets chance draw them.
hypothesis.settings.register_profile("creditgate", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.register_profile("chance", deadline=None, print_blob=True)
hypothesis.settings.load_profile("chance" if os.environ.get("CREDITGATE_TEST_CHANCE") else "creditgate")

_DAY_S = 86_400
_LONGEST_TEST_S = 30

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def logs() -> None:
    """
    Log as a process of ours does; pytest shows it where a test fails.

    For each test anew: an app that was made in another one logs to what that test took for standard error, and a
    command may have silenced everything.
    """
    set_up_logging("json")


@pytest.fixture(scope="session", autouse=True)
def patient() -> Iterator[None]:
    """This process waits for what it asks: a machine that stands still for a quarter of a second is no outage."""
    with patience(IN_TESTS):
        yield


@pytest.fixture
def impatient(patient: None) -> Iterator[None]:
    """This process gives up as soon as it would in production, as every program does that a test starts."""
    with patience(IN_PRODUCTION):
        yield


def pytest_xdist_auto_num_workers() -> int:
    """Two workers a core for `-n auto`: half of the time, a test waits for a server or for a deadline."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Spread the files whose tests wait for servers over the test workers and over the run.

    In the order of the folders, one worker would be left with most of them while the others have nothing more to do.
    """
    files = [list(tests) for _, tests in itertools.groupby(items, key=lambda item: item.path)]
    waiting = [tests for tests in files if _waits(tests[0])]
    rest = [item for tests in files if not _waits(tests[0]) for item in tests]
    workers = pytest_xdist_auto_num_workers()
    share = len(rest) // workers + 1
    items[:] = [
        item
        for number in range(workers)
        for item in _mixed(waiting[number::workers], rest[number * share : (number + 1) * share])
    ]


def _waits(item: pytest.Item) -> bool:
    return item.path.parent.name in {"e2e", "faults", "rabbitmq"}


def _mixed(files: list[list[pytest.Item]], others: list[pytest.Item]) -> Iterator[pytest.Item]:
    """All of `files`, each in one piece for the servers that its tests share, evenly among half of `others`."""
    between = len(others) // (2 * max(1, len(files)))
    for at, tests in enumerate(files):
        yield from tests
        yield from others[at * between : (at + 1) * between]
    yield from others[len(files) * between :]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what of the suite this machine cannot run: options only, nothing that the project stands on."""
    if find_rabbitmq() is None:
        terminalreporter.write_line("RabbitMQ is not installed: the tests of this optional broker were not collected.")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this worker process; its data is gone with the run."""
    with postgres_folder() as folder:
        server = PostgresServer(folder)
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer | ValkeyCluster]:
    """A Valkey server of this worker process, without persistence; a cluster of three for `make cluster`."""
    folder = tmp_path_factory.mktemp("valkey")
    server = ValkeyCluster(folder) if os.environ.get("CREDITGATE_TEST_REDIS_CLUSTER") else ValkeyServer(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Runs the test once per database."""
    return str(request.param)


@pytest.fixture
def empty_database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables (for SQLite: a file that is not there yet, in a folder that is not there yet)."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'data' / 'empty.sqlite3'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    yield from _temporary_database(server, template="template1")


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """
    A migrated, empty database; the test runs on SQLite and on PostgreSQL.

    A copy of a file, and one PostgreSQL database that is emptied for each test: to make one takes ten times as long.
    """
    if database_kind == "sqlite":
        file = tmp_path / "creditgate.sqlite3"
        shutil.copy(request.getfixturevalue("migrated_sqlite_file"), file)
        return f"sqlite:///{file}"
    url: str = request.getfixturevalue("shared_postgres_url")
    _empty(url)
    return url


@pytest.fixture
def own_database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated, empty database of this test's own; the test runs on SQLite and on PostgreSQL."""
    if database_kind == "sqlite":
        template: Path = request.getfixturevalue("migrated_sqlite_file")
        file = tmp_path / "creditgate.sqlite3"
        shutil.copy(template, file)
        yield f"sqlite:///{file}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    yield from _temporary_database(server, template=request.getfixturevalue("migrated_postgres_template"))


@pytest.fixture(scope="session")
def shared_postgres_url(postgres_server: PostgresServer, migrated_postgres_template: str) -> Iterator[str]:
    """A PostgreSQL database that the tests of one worker process use one after the other."""
    yield postgres_server.create_database("shared_by_tests", template=migrated_postgres_template)
    postgres_server.drop_database("shared_by_tests")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on `database_url`."""
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def redis_url(valkey_server: ValkeyServer | ValkeyCluster) -> str:
    """A Redis that is empty when the test begins."""
    valkey_server.empty()
    return valkey_server.url


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that stands at noon until the test moves it."""
    return VirtualClock()


@pytest.fixture
def within_a_day() -> None:
    """For what is counted by the day of the real clock: begin after midnight (UTC) rather than just before it."""
    left_s = _DAY_S - time.time() % _DAY_S
    if left_s < _LONGEST_TEST_S:
        time.sleep(left_s)


@pytest.fixture(scope="session")
def migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database to copy."""
    file = tmp_path_factory.mktemp("template") / "template.sqlite3"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def migrated_postgres_template(postgres_server: PostgresServer) -> str:
    """Name of a migrated PostgreSQL database to copy."""
    migrate(postgres_server.create_database("migrated_template"))
    return "migrated_template"


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Settings of an installation on `database_url`, with a known secret per provider and tenant, and no Redis."""
    return Settings(
        database_url=database_url,
        redis_url="redis://127.0.0.1:1/0",
        broker_url="redis://127.0.0.1:1/0",
        config_path=CONFIG_FILE,
        tenant=Tenant.SANDBOX,
        secret_key="a key for tests only",
        base_url="http://127.0.0.1:8000",
        log_format="json",
        webhook_secrets={
            provider: (
                WebhookSecret(tenant=Tenant.LIVE, value=f"{provider}_live_secret".encode()),
                WebhookSecret(tenant=Tenant.SANDBOX, value=f"{provider}_test_secret".encode()),
            )
            for provider in ("fake", "stripe", "lemonsqueezy", "paddle")
        },
        alarm_age_s=300,
    )


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """What the tests sell: tests/support/credits.toml."""
    return load_catalogue(CONFIG_FILE)


@pytest.fixture
def runtime(engine: Engine, catalogue: Catalogue, settings: Settings, clock: VirtualClock) -> Runtime:
    """What allocation works with, on `engine`, at the time of `clock`."""
    return Runtime(
        engine=engine,
        catalogue=catalogue,
        providers=REGISTRY,
        secret_key=settings.secret_key,
        clock=clock,
    )


@pytest.fixture
def gate(runtime: Runtime, redis_url: str) -> Iterator[GateRuntime]:
    """The gate on an empty Redis, at the time of the test's clock."""
    client = open_redis(redis_url)
    yield GateRuntime(gate=Gate(client), engine=runtime.engine, clock=runtime.clock, is_virtual=True)
    client.close()


@pytest.fixture
def pipeline(runtime: Runtime, gate: GateRuntime) -> Pipeline:
    """Inbox, allocation, ledger and gate of the sandbox, once per database."""
    return Pipeline(runtime=runtime, gate=gate)


@pytest.fixture
def shop(engine: Engine, redis_url: str, catalogue: Catalogue) -> Shop:
    """An installation on `engine` and an empty Redis, without processes; it tells the real time."""
    return Shop(engine=engine, redis_url=redis_url, catalogue=catalogue)


@pytest.fixture
def library(shop: Shop) -> Iterator[Credits]:
    """The library in a process of its own; user_1 has 100 credits."""
    credits_ = shop.process()
    credits_.add("user_1", TYPE, 100, key="start")
    yield credits_
    credits_.close_gate()


def _temporary_database(server: PostgresServer, *, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    yield server.create_database(name, template=template)
    server.drop_database(name)


def _empty(postgres_url: str) -> None:
    """Delete every row, also of the tables that refuse it."""
    with psycopg.connect(postgres_url) as connection:
        # As a replica would, without triggers and foreign keys.
        connection.execute("SET session_replication_role = replica")
        for table in metadata.tables:
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
