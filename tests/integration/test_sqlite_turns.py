"""Many threads of one process write to one SQLite file: each gets its turn soon."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, func, select

from credits.db import open_engine, snapshot, transaction
from credits.job_runs import job_runs, take_slot
from tests.support.pace import Pace

_THREADS = 8
_WRITES = 400


@pytest.fixture
def database_kind() -> str:
    """PostgreSQL locks rows, and lets writers wait in line by itself."""
    return "sqlite"


def test_no_writer_starves_among_busy_ones(database_url: str) -> None:
    engine = open_engine(database_url, pool_size=_THREADS)

    with Pace() as pace, ThreadPoolExecutor(_THREADS) as threads:
        waits_s = list(threads.map(lambda number: _write(engine, number), range(_WRITES)))

    with snapshot(engine) as connection:
        assert connection.execute(select(func.count()).select_from(job_runs)).scalar_one() == _WRITES
    assert pace.fair(max(waits_s)) < 3
    engine.dispose()


def _write(engine: Engine, number: int) -> float:
    began_s = time.monotonic()
    with transaction(engine) as connection:
        take_slot(connection, f"job-{number}", period_ms=1, now_ms=1)
    return time.monotonic() - began_s
