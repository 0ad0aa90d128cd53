"""The SQL database: engines, the one place that commits, and the few words the two dialects spell differently."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Insert,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    create_engine,
    event,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import StaticPool

from credits.db_patience import Patience, give_up_on_hung_server
from credits.db_ready import Ready
from credits.errors import DependencyError

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only in a column declared INTEGER.
RowId: Final = BigInteger().with_variant(Integer, "sqlite")

_READ_ONLY: Final = "creditgate_read_only"
_SNAPSHOT: Final[Mapping[str, Mapping[str, Any]]] = {
    "sqlite": {_READ_ONLY: True},
    # Said with BEGIN: a statement of its own would be one more round trip.
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}

_BUSY_S: Final = 5
_BEGIN_READING: Final = Ready("BEGIN", {}, ())
_BEGIN_WRITING: Final = Ready("BEGIN IMMEDIATE", {}, ())
_TURNS: Final[WeakKeyDictionary[Engine, threading.Lock]] = WeakKeyDictionary()


def id_column() -> Column[int]:
    """The primary key of a table whose rows the database numbers."""
    return Column("id", RowId, primary_key=True, autoincrement=True)


def tenant_column(*, primary_key: bool = False) -> Column[str]:
    """The world a row belongs to. It is in every table."""
    return Column("tenant", String(8), nullable=False, primary_key=primary_key)


def open_engine(
    database_url: str, *, pool_size: int = 8, statement_s: float = 8, patience: Patience | None = None
) -> Engine:
    """
    An engine for `database_url` (`sqlite:///file` or `postgresql://…`). Connects on first use.

    A server that does not answer costs a caller seconds, never forever: connecting is given 3 s, a lock 5 s, a
    statement `statement_s` (0: as long as it takes) and 2 s more until the server itself is taken for hung; or what
    `patience` says. It is about PostgreSQL; SQLite has no server.
    """
    patience = patience or Patience(statement_s=statement_s, hung_s=statement_s + 2)
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, pool_size=pool_size, pool_timeout=5)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        pool_timeout=patience.pool_s,
        pool_recycle=1800,
        connect_args={
            "connect_timeout": patience.connect_s,
            "application_name": "creditgate",
            # A half-open connection is given up after 10 s instead of the kernel's quarter of an hour.
            "tcp_user_timeout": 10_000,
            "options": f"-c statement_timeout={round(patience.statement_s * 1000)} "
            f"-c lock_timeout={patience.lock_s}s -c idle_in_transaction_session_timeout=30s",
        },
    )
    if patience.statement_s:
        give_up_on_hung_server(engine, patience)
    return engine


def open_memory_engine() -> Engine:
    """An SQLite database in memory, on one connection: for simulations. It goes with the engine, and starts empty."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """
    One read-write transaction: committed when the block ends, rolled back when it raises. Nothing else commits.

    SQLite takes its write lock at once (BEGIN IMMEDIATE), so that what the block reads is what it writes on.
    """
    with _turn(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def single_statements(engine: Engine) -> Iterator[Connection]:
    """
    A connection whose every statement is a transaction of its own, committed when it returns.

    For one statement that is all there is to do: PostgreSQL is asked once instead of three times.
    """
    if engine.dialect.name == "sqlite":
        with transaction(engine) as connection:
            yield connection
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


@contextmanager
def unread(connection: Connection) -> Iterator[None]:
    """
    Writes whose results nobody reads: PostgreSQL is sent all of the block's statements and answers them together.

    What one of them raises may be raised by a later one, or when the block ends; the transaction is lost either way.
    """
    if connection.dialect.name == "sqlite":
        yield
        return
    from psycopg import Error as DriverError

    driver: Any = connection.connection.driver_connection
    try:
        with driver.pipeline():
            yield
    except DriverError as error:
        # Raised past SQLAlchemy, by the end of the block: in its words, as everywhere else.
        raise DBAPIError.instance(None, None, error, DriverError, dialect=connection.dialect) from error


@contextmanager
def rehearsal(engine: Engine) -> Iterator[Connection]:
    """A transaction that is always rolled back: what would happen, and every error, with nothing changed."""
    with _turn(engine), engine.connect() as connection, connection.begin() as begun:
        yield connection
        begun.rollback()


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """One read-only transaction in which every query sees the same instant."""
    with engine.connect().execution_options(**_SNAPSHOT[engine.dialect.name]) as connection, connection.begin():
        yield connection


@contextmanager
def glance(engine: Engine) -> Iterator[Connection]:
    """A connection for a single SELECT, which sees one instant by itself: PostgreSQL is asked once, not three times."""
    if engine.dialect.name == "sqlite":
        with snapshot(engine) as connection:
            yield connection
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


def insert_new(
    connection: Connection,
    table: Table,
    values: Mapping[str, Any],
    *,
    unique: Sequence[str],
    returning: Sequence[str],
) -> RowMapping | None:
    """
    Insert a row unless one with the same `unique` columns is there; return its columns `returning`.

    None means that the row was there before (this waits for a concurrent insert of the same key to end).
    """
    statement = _insert_if_new(connection.dialect.name, table, tuple(unique), tuple(returning))
    return connection.execute(statement, dict(values)).mappings().one_or_none()


def insert_each_new(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    unique: Sequence[str],
    returning: Sequence[str],
) -> list[RowMapping]:
    """`insert_new` for several rows in one statement; answers for those that were new, in no order."""
    if not rows:
        return []
    statement = _insert_if_new(connection.dialect.name, table, tuple(unique), tuple(returning))
    return list(connection.execute(statement, [dict(row) for row in rows]).mappings())


@cache
def _insert_if_new(dialect: str, table: Table, unique: tuple[str, ...], returning: tuple[str, ...]) -> Insert:
    # Built once: SQLAlchemy takes longer to put such a statement together than the server to run it.
    words = postgresql if dialect == "postgresql" else sqlite
    statement: Insert = words.insert(table).on_conflict_do_nothing(index_elements=list(unique))
    return statement.returning(*(table.c[name] for name in returning))


def is_unavailable(error: BaseException) -> bool:
    """Whether `error` says that the database is away or busy, so that the same work may succeed later."""
    if isinstance(error, DependencyError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, OperationalError | InterfaceError | PoolTimeoutError)


@contextmanager
def _turn(engine: Engine) -> Iterator[None]:
    """
    One SQLite writer at a time in this process; nothing to wait for on PostgreSQL.

    SQLite lets writers wait by asking again after ever longer pauses: of eight busy threads, one may ask in vain until
    its 5 s are over. Here they queue, and only other processes are left to ask.
    """
    if engine.dialect.name != "sqlite":
        yield
        return
    lock = _TURNS.setdefault(engine, threading.Lock())
    if not lock.acquire(timeout=_BUSY_S):
        raise DependencyError(f"the database is busy: it was not this thread's turn to write within {_BUSY_S} s")
    try:
        yield
    finally:
        lock.release()


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # The driver's own implicit BEGIN comes too late and too weak; we begin by hand.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    # NORMAL would lose the last commits in a power cut; a 200 has promised them to the provider.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_S * 1000}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    (_BEGIN_READING if read_only else _BEGIN_WRITING).run(connection, {})
