"""PostgreSQL is killed or frozen under the gate: jobs go on, and everything is booked when it is back."""

from collections.abc import Iterator

import pytest
import redis

from credits.clock import system_clock_ms
from credits.config.catalogue import Catalogue
from credits.db import open_engine
from credits.ops.audit.service import audit
from credits.ops.migrate import migrate
from credits.reservations.model import Durability
from credits.reservations.sweeps import sweep_gate
from tests.support.library import TYPE, Shop, figures
from tests.support.pace import Pace
from tests.support.postgres import PostgresServer, postgres_folder


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    """A server of this test's own, which has on disk what it has committed."""
    with postgres_folder() as folder:
        server = PostgresServer(folder, durable=True)
        server.start()
        yield server
        server.stop()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_jobs_go_on_without_postgresql_and_are_booked_when_it_is_back(
    database: PostgresServer, redis_url: str, catalogue: Catalogue, fault: str
) -> None:
    url = database.create_database("shop")
    migrate(url)
    shop = Shop(engine=open_engine(url), redis_url=redis_url, catalogue=catalogue, ledger_wait_s=5)
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    library.reserve("user_1", image_generation=1).release()

    getattr(database, fault)()
    first = library.reserve("user_1", image_generation=30).commit(durability="redis")
    with Pace() as pace:
        second = library.reserve("user_1", image_generation=20).commit()
    {"kill": database.start, "freeze": database.thaw}[fault]()
    sweep_gate(shop.gate())

    assert (first.durability, first.is_pending) == (Durability.REDIS, False)
    assert second.is_pending
    assert pace.fair_s < 15
    assert figures(library, "user_1") == (50, 0, 0, 50, 0)
    with redis.Redis.from_url(redis_url, decode_responses=True, protocol=2) as client:
        assert audit(shop.engine, client, now_ms=system_clock_ms()).findings == []
    shop.engine.dispose()
