"""The measurements: the same pairs of calls by bare httpx and by both clients, and tasks with and without `@spends`."""

import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from celery import Celery

from benchmarks.servers import connect_to, new_databases, start_redis
from credits import AsyncCreditsClient, CreditsClient, spends
from credits.api import keys
from credits.clock import system_clock_ms
from credits.config.load import load_catalogue
from credits.config.settings import Tenant
from credits.db import transaction
from credits.engine import Credits
from credits.ops.migrate import migrate
from tests.support.installation import CONFIG_FILE, Installation
from tests.support.library import Shop

ACCOUNT: Final = "user_1"
TYPE: Final = "image_generation"

_names = (f"job-{number}" for number in itertools.count())


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A server in its own processes, a key for it, and the library beside it."""

    url: str
    key: str
    library: Credits


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """What a reserve and its commit take."""

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    """Processor time of this process a pair."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a task takes of the processor, the rest of the process included."""

    cpu_ms: float


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Start everything over SQLite and a Valkey; it is gone at the end."""
    with ExitStack() as cleanup:
        [database_url] = new_databases("sqlite", folder, cleanup, "creditgate")
        migrate(database_url)
        broker = start_redis(folder, cleanup)
        engine = connect_to(database_url, cleanup)
        library = Shop(engine=engine, redis_url=broker.url, catalogue=load_catalogue(CONFIG_FILE)).process()
        cleanup.callback(library.close)
        library.add(ACCOUNT, TYPE, 10**9, key="benchmark")
        with transaction(engine) as connection:
            key = keys.create_key(
                connection, tenant=Tenant.SANDBOX, name="benchmark", scopes=["reserve"], now_ms=system_clock_ms()
            )
        server = cleanup.enter_context(Installation(folder / "run", database_url=database_url, broker_url=broker.url))
        server.env["CREDITGATE_RATE_LIMIT"] = "none"
        server.start_receiver()
        yield Stage(url=f"http://127.0.0.1:{server.port}", key=key, library=library)


def bare_pairs(stage: Stage, *, count: int) -> Pairs:
    """The least that anybody would have to do: two requests on one connection."""
    path = f"/v1/accounts/{ACCOUNT}/reservations"
    with httpx.Client(base_url=stage.url, headers={"Authorization": f"Bearer {stage.key}"}) as client:

        def pair() -> None:
            name = next(_names)
            body: dict[str, Any] = {"reservation_id": name, "items": {TYPE: 1}, "ttl_s": 60}
            client.post(path, json=body).raise_for_status()
            client.post(f"{path}/{name}/commit", json={"durability": "redis"}).raise_for_status()

        return _measured(pair, count=count, threads=1)


def threaded_pairs(stage: Stage, *, count: int, threads: int) -> Pairs:
    """The same by CreditsClient, heartbeat included."""
    with CreditsClient(stage.url, stage.key) as client:

        def pair() -> None:
            with client.reserve(ACCOUNT, {TYPE: 1}) as hold:
                hold.commit(durability="redis")

        return _measured(pair, count=count, threads=threads)


async def bare_together(stage: Stage, *, count: int, at_once: int) -> Pairs:
    """The same two requests by one httpx.AsyncClient, so many at once, each on a connection of its own."""
    path, limits = f"/v1/accounts/{ACCOUNT}/reservations", httpx.Limits(max_connections=at_once)
    headers = {"Authorization": f"Bearer {stage.key}"}
    async with httpx.AsyncClient(base_url=stage.url, headers=headers, limits=limits, timeout=60) as client:

        async def pair() -> None:
            name = next(_names)
            body: dict[str, Any] = {"reservation_id": name, "items": {TYPE: 1}, "ttl_s": 60}
            (await client.post(path, json=body)).raise_for_status()
            (await client.post(f"{path}/{name}/commit", json={"durability": "redis"})).raise_for_status()

        return await _measured_together(pair, count=count, at_once=at_once)


async def together(stage: Stage, *, count: int, at_once: int) -> Pairs:
    """The same by AsyncCreditsClient, so many jobs at once."""
    async with AsyncCreditsClient(stage.url, stage.key) as client:

        async def pair() -> None:
            async with client.reserve(ACCOUNT, {TYPE: 1}) as hold:
                await hold.commit(durability="redis")

        return await _measured_together(pair, count=count, at_once=at_once)


def wrapped_tasks(stage: Stage, *, count: int) -> dict[str, Task]:
    """An empty task, run in this process, without and with `@spends`."""
    app = Celery("benchmark", broker="memory://", set_as_current=False)

    def nothing(account: str) -> None:
        """Do nothing."""

    def task(name: str, **options: Any) -> Task:
        fun = spends(image_generation=1, **options)(nothing) if options else nothing
        made = app.task(name=f"{name}-{next(_names)}")(fun)
        made.apply((ACCOUNT,), throw=True)
        began_s = time.process_time()
        for _ in range(count):
            made.apply((ACCOUNT,), throw=True)
        return Task(cpu_ms=(time.process_time() - began_s) * 1000 / count)

    with CreditsClient(stage.url, stage.key) as client:
        return {
            "no decorator": task("bare"),
            "@spends, library, redis": task("redis", using=stage.library, durability="redis"),
            "@spends, library, ledger": task("ledger", using=stage.library),
            "@spends, CreditsClient": task("http", using=client),
        }


def _measured(pair: Callable[[], None], *, count: int, threads: int) -> Pairs:
    def timed(_: int) -> float:
        began_s = time.perf_counter()
        pair()
        return (time.perf_counter() - began_s) * 1000

    pair()
    with ThreadPoolExecutor(threads) as pool:
        began_s, cpu_s = time.perf_counter(), time.process_time()
        took_ms = list(pool.map(timed, range(count)))
        return _pairs(took_ms, time.perf_counter() - began_s, time.process_time() - cpu_s)


async def _measured_together(pair: Callable[[], Awaitable[None]], *, count: int, at_once: int) -> Pairs:
    took_ms: list[float] = []
    left = iter(range(count))

    async def jobs() -> None:
        for _ in left:
            began_s = time.perf_counter()
            await pair()
            took_ms.append((time.perf_counter() - began_s) * 1000)

    began_s, cpu_s = time.perf_counter(), time.process_time()
    await asyncio.gather(*(jobs() for _ in range(at_once)))
    return _pairs(took_ms, time.perf_counter() - began_s, time.process_time() - cpu_s)


def _pairs(took_ms: list[float], whole_s: float, cpu_s: float) -> Pairs:
    cuts = statistics.quantiles(took_ms, n=100)
    return Pairs(per_s=len(took_ms) / whole_s, p50_ms=cuts[49], p99_ms=cuts[98], cpu_ms=cpu_s * 1000 / len(took_ms))
