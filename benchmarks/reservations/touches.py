"""First touches: after Redis lost everything, accounts are loaded again as they are asked for."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis
from sqlalchemy import event

from benchmarks.reservations.scale import GRANTED, ITEMS, TYPE
from benchmarks.reservations.stage import environment_of
from benchmarks.servers import new_databases, start_redis
from credits import Credits
from credits.db import transaction
from credits.ops.migrate import migrate
from credits.reservations.sweeps import apply_outbox

RATE: Final = 200
SERVED_MS: Final = 10.0
_THREADS: Final = 16
_SNAPSHOT: Final = "SELECT accounts.sv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Touches:
    """How first touches went, each counted from the moment it was due."""

    accounts: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    within_10_ms: float
    """The part of them, from 0 to 1."""
    snapshots: int
    """SQL snapshots of accounts that all of them took."""


def first_touches(folder: Path, *, accounts: int) -> Touches:
    """Wipe Redis, functions and all, then reserve on each account once, 200 a second, through PostgreSQL."""
    with ExitStack() as cleanup:
        server = start_redis(folder, cleanup)
        [url] = new_databases("postgresql", folder, cleanup, "touched")
        migrate(url)
        library = Credits.from_env(environment_of(url, server.url), folder)
        cleanup.callback(library.close)
        names = [f"account_{number}" for number in range(accounts)]
        _grant(library, names)
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("FLUSHALL", "SYNC")
            client.execute_command("FUNCTION", "FLUSH", "SYNC")
        snapshots: list[str] = []
        event.listen(library.engine, "before_cursor_execute", lambda *words: _note(snapshots, words[2]))
        latencies_ms = sorted(_touch_all(library, names))
    return Touches(
        accounts=accounts,
        p50_ms=latencies_ms[len(latencies_ms) // 2],
        p99_ms=latencies_ms[int(len(latencies_ms) * 0.99)],
        max_ms=latencies_ms[-1],
        within_10_ms=sum(1 for one in latencies_ms if one <= SERVED_MS) / accounts,
        snapshots=len(snapshots),
    )


def _touch_all(library: Credits, names: list[str]) -> list[float]:
    began_s = time.perf_counter() + 0.1

    def touch(number: int) -> float:
        due_s = began_s + number / RATE
        time.sleep(max(0.0, due_s - time.perf_counter()))
        library.reserve(names[number], ITEMS)
        return (time.perf_counter() - due_s) * 1000

    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(touch, range(len(names))))


def _grant(library: Credits, names: list[str]) -> None:
    for first in range(0, len(names), 1_000):
        with transaction(library.engine) as connection:
            for name in names[first : first + 1_000]:
                library.add_in(connection, name, TYPE, GRANTED, key=name, reason="benchmark", actor="it")
    while apply_outbox(library.reservations.runtime):
        pass


def _note(snapshots: list[str], statement: str) -> None:
    if statement.startswith(_SNAPSHOT):
        snapshots.append(statement)
