"""What a measurement runs on: the API and the empty route side by side, under gunicorn or granian."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from benchmarks.http.load import ACCOUNTS
from benchmarks.servers import connect_to, new_databases, start_redis
from credits.api import keys
from credits.clock import system_clock_ms
from credits.config.load import load_catalogue
from credits.config.settings import Tenant
from credits.db import transaction
from credits.engine import Credits
from credits.ops.commands import RECEIVER
from credits.ops.migrate import migrate
from tests.support.installation import CONFIG_FILE, Installation
from tests.support.processes import free_port, signal_group, start, wait_until

EMPTY: Final = "benchmarks.http.empty:make_app()"
THREADS: Final = 8
TYPE: Final = "image_generation"
CREDITS: Final = 10**9


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Both programs, running."""

    engine: Engine
    our_port: int
    empty_port: int
    key: str


@contextmanager
def stage(server: str, database: str, folder: Path, *, processes: int, is_settling: bool = False) -> Iterator[Stage]:
    """
    Start everything over `sqlite` or `postgresql`; everything is gone at the end.

    `is_settling`: with beat, so that a worker books meanwhile what was committed; else commits at `ledger` level do.
    """
    with ExitStack() as cleanup:
        redis = start_redis(folder, cleanup)
        [url] = new_databases(database, folder, cleanup, "ours")
        migrate(url)
        ours = cleanup.enter_context(Installation(folder / "ours", database_url=url, broker_url=redis.url))
        empty = cleanup.enter_context(Installation(folder / "empty", database_url=url, broker_url=redis.url))
        ours.env["CREDITGATE_RATE_LIMIT"] = "100000/second"
        if server == "gunicorn":
            ours.start_receiver(processes=processes, threads=THREADS)
            empty.start_receiver(app=EMPTY, processes=processes, threads=THREADS)
            ports = ours.port, empty.port
        else:
            ports = _granian(ours, RECEIVER, processes, cleanup), _granian(empty, EMPTY, processes, cleanup)
        ours.start_worker(concurrency=1)
        if is_settling:
            ours.start_beat()
        engine = connect_to(url, cleanup)
        yield Stage(engine=engine, our_port=ports[0], empty_port=ports[1], key=_furnish(engine))


def _furnish(engine: Engine) -> str:
    """Give every account credits, and answer a key."""
    library = Credits(engine=engine, catalogue=load_catalogue(CONFIG_FILE), tenant=Tenant.SANDBOX)
    for number in range(ACCOUNTS):
        library.add(f"user_{number}", TYPE, CREDITS, key=f"start-{number}")
    with transaction(engine) as connection:
        return keys.create_key(
            connection, tenant=Tenant.SANDBOX, name="load", scopes=["reserve"], now_ms=system_clock_ms()
        )


def _granian(installation: Installation, app: str, processes: int, cleanup: ExitStack) -> int:
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", str(processes)]
    options += ["--interface", "wsgi", "--blocking-threads", str(THREADS), "--no-log"]
    factory = ["--factory"] if app.endswith("()") else []
    argv = [sys.executable, "-m", "granian", *options, *factory, app.removesuffix("()")]
    process = start(argv, log=installation.folder / "granian.log", env=installation.env, cwd=installation.folder)
    cleanup.callback(_stop, process)
    wait_until(lambda: _listens(port), timeout_s=60, what="granian answers")
    return port


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        signal_group(process, 9)  # type: ignore[arg-type]
        process.wait()


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
