"""The servers that measurements run on, and their databases; all are gone with the folder."""

from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import Engine

from credits.db import open_engine
from tests.support.postgres import PostgresServer, postgres_folder
from tests.support.valkey import ValkeyServer


def start_redis(folder: Path, cleanup: ExitStack, *, name: str = "valkey") -> ValkeyServer:
    """A Redis of its own, which is broker too."""
    server = ValkeyServer(folder / name)
    cleanup.callback(server.stop)
    server.start()
    return server


def start_postgres(cleanup: ExitStack) -> PostgresServer:
    """A PostgreSQL server of its own, with `fsync` on."""
    server = PostgresServer(cleanup.enter_context(postgres_folder()), durable=True)
    cleanup.callback(server.stop)
    server.start()
    return server


def new_databases(kind: str, folder: Path, cleanup: ExitStack, *names: str) -> list[str]:
    """URLs of new, empty databases, `sqlite` or `postgresql`."""
    if kind == "sqlite":
        return [f"sqlite:///{folder / name}.sqlite3" for name in names]
    server = start_postgres(cleanup)
    return [server.create_database(name) for name in names]


def connect_to(url: str, cleanup: ExitStack, *, statement_s: float = 8) -> Engine:
    """An engine that is disposed of at the end."""
    engine = open_engine(url, statement_s=statement_s)
    cleanup.callback(engine.dispose)
    return engine
