"""What a measurement runs on: PostgreSQL with a database for each contender, and a Valkey for each that needs one."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis

from benchmarks.reservations.contenders import SUBJECTS, Client, ContenderError, Subject
from credits.ops.migrate import migrate
from tests.support.installation import CONFIG_FILE
from tests.support.postgres import PostgresServer, postgres_folder
from tests.support.valkey import ValkeyServer

_EVERY_SECOND: Final = ("--appendonly", "yes", "--appendfsync", "everysec")
_SETTINGS: Final = ("max_connections=300", "shared_buffers=256MB", "max_wal_size=4GB", "autovacuum=on")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The contenders that could be started, with their accounts, and why the others could not."""

    folder: Path
    clients: dict[str, Client] = field(default_factory=dict)
    servers: dict[str, redis.Redis] = field(default_factory=dict)
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)
    """What each contender was made to spend, counted from outside."""

    def drop(self, name: str, reason: str) -> None:
        """Go on without a contender that has failed."""
        self.missing[name] = reason
        self.clients.pop(name).close()


@contextmanager
def stage(folder: Path, *, only: tuple[str, ...] = ()) -> Iterator[Stage]:
    """Start servers and clients, of all contenders or `only` these, and make the accounts; all is gone at the end."""
    with ExitStack() as cleanup:
        database = PostgresServer(cleanup.enter_context(postgres_folder()), durable=True, settings=_SETTINGS)
        cleanup.callback(database.stop)
        database.start()
        found = Stage(folder=folder)
        for subject in SUBJECTS:
            if only and subject.name not in only:
                continue
            config = found.configs[subject.name] = _config(found, subject, database, cleanup)
            try:
                client = Client(subject, config, folder / f"{subject.name}.log")
                cleanup.callback(client.close)
                client.ask({"do": "setup"})
            except ContenderError as error:
                found.missing[subject.name] = str(error)
            else:
                found.clients[subject.name], found.spent[subject.name] = client, 0
        yield found


def _config(found: Stage, subject: Subject, database: PostgresServer, cleanup: ExitStack) -> dict[str, Any]:
    config: dict[str, Any] = {"folder": str(found.folder)}
    if subject.has_redis:
        server = ValkeyServer(found.folder / subject.name, options=_EVERY_SECOND)
        cleanup.callback(server.stop)
        server.start()
        config["redis_url"] = server.url
        found.servers[subject.name] = redis.Redis.from_url(server.url, decode_responses=True)
        cleanup.callback(found.servers[subject.name].close)
    if subject.has_database:
        config["database_url"] = database.create_database(f"of_{subject.name}")
    if subject.name == "creditgate":
        migrate(config["database_url"])
        config["environment"] = environment_of(config["database_url"], config["redis_url"])
    return config


def environment_of(database_url: str, redis_url: str) -> dict[str, str]:
    """The settings of a Creditgate that is measured."""
    return {
        "CREDITGATE_DATABASE_URL": database_url,
        "CREDITGATE_REDIS_URL": redis_url,
        "CREDITGATE_BROKER_URL": redis_url,
        "CREDITGATE_CONFIG": str(CONFIG_FILE),
        "CREDITGATE_TENANT": "sandbox",
        "CREDITGATE_SECRET_KEY": "a key for benchmarks only",
    }
