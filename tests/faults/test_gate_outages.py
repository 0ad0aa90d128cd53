"""Redis goes away and comes back: with its data, without, with an old copy. Nobody hangs, and nothing is overspent."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from credits.clock import system_clock_ms
from credits.config.catalogue import Catalogue
from credits.engine import Credits
from credits.errors import GateUnavailableError, HoldEndedError, InsufficientCreditsError
from credits.ops.audit.model import Finding
from credits.ops.audit.service import audit
from credits.reservations.model import Durability
from credits.reservations.sweeps import sweep_gate
from tests.support.library import TYPE, Shop, figures
from tests.support.pace import Pace
from tests.support.processes import wait_until
from tests.support.valkey import ValkeyServer

HEARS_WITHIN_S = 2.5


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A server that has on disk what it has answered."""
    server = ValkeyServer(tmp_path / "valkey", durable=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def shop(engine: Engine, server: ValkeyServer, catalogue: Catalogue) -> Shop:
    return Shop(engine=engine, redis_url=server.url, catalogue=catalogue)


@pytest.fixture
def library(shop: Shop) -> Credits:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    return library


def disagreements(shop: Shop) -> list[Finding]:
    """What the audit finds after one sweep of another process."""
    sweep_gate(shop.gate())
    with redis.Redis.from_url(shop.redis_url, decode_responses=True, protocol=2) as client:
        return audit(shop.engine, client, now_ms=system_clock_ms()).findings


def test_a_frozen_redis_is_an_error_in_time_and_serves_again_without_a_restart(
    library: Credits, server: ValkeyServer, shop: Shop
) -> None:
    library.reserve("user_1", image_generation=10, reservation_id="before")
    server.freeze()
    with Pace() as pace, pytest.raises(GateUnavailableError):
        library.reserve("user_1", image_generation=10, reservation_id="during")
    server.thaw()

    library.reserve("user_1", image_generation=10, reservation_id="during")

    assert pace.fair_s < HEARS_WITHIN_S
    assert figures(library, "user_1") == (100, 20, 0, 80, 0)
    assert disagreements(shop) == []


def test_64_threads_on_a_frozen_redis_all_hear_in_time(library: Credits, server: ValkeyServer) -> None:
    library.balances("user_1")
    waited_s: list[float] = []

    def attempt() -> None:
        began_s = time.monotonic()
        with pytest.raises(GateUnavailableError):
            library.reserve("user_1", image_generation=1)
        waited_s.append(time.monotonic() - began_s)

    server.freeze()
    threads = [threading.Thread(target=attempt) for _ in range(64)]
    with Pace() as pace:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    server.thaw()

    assert len(waited_s) == 64
    assert pace.fair(max(waited_s)) < HEARS_WITHIN_S


def test_holds_survive_a_redis_that_was_killed_and_came_back_with_its_data(
    library: Credits, server: ValkeyServer, shop: Shop
) -> None:
    hold = library.reserve("user_1", image_generation=30, ttl_s=600)
    unsettled = library.spend("user_1", image_generation=5, key="unsettled", durability="redis")
    server.kill()
    with pytest.raises(GateUnavailableError):
        library.reserve("user_1", image_generation=1)
    server.start()

    committed = hold.commit(image_generation=20)

    assert unsettled.durability is Durability.REDIS
    assert (committed.rescued, committed.durability) == (False, Durability.LEDGER)
    assert figures(library, "user_1") == (75, 0, 0, 75, 0)
    assert disagreements(shop) == []


def test_an_idle_shard_settles_what_survived_a_restart_by_itself(
    library: Credits, server: ValkeyServer, shop: Shop
) -> None:
    library.spend("user_1", image_generation=5, key="unsettled", durability="redis")
    server.kill()
    server.start()

    assert disagreements(shop) == []
    assert library.ledger_balances("user_1")[TYPE].balance == 95


def test_a_redis_that_lost_everything_is_filled_again_and_late_commits_are_rescued(
    library: Credits, server: ValkeyServer, shop: Shop
) -> None:
    rescued = library.reserve("user_1", image_generation=60, ttl_s=600)
    too_late = library.reserve("user_1", image_generation=40, ttl_s=600)
    server.kill()
    shutil.rmtree(server.folder)
    server.start()
    loaded = figures(library, "user_1")

    answer = rescued.commit()
    library.spend("user_1", image_generation=10, key="first come")
    with pytest.raises(HoldEndedError):
        too_late.commit()

    assert loaded == (100, 0, 0, 100, 0)
    assert answer.rescued
    assert figures(library, "user_1") == (30, 0, 0, 30, 0)
    assert disagreements(shop) == []


def test_what_was_committed_before_a_wipe_is_not_charged_again(
    library: Credits, server: ValkeyServer, shop: Shop
) -> None:
    hold = library.reserve("user_1", image_generation=60, reservation_id="job", ttl_s=600)
    hold.commit()
    library.spend("user_1", image_generation=5, key="s")
    with redis.Redis.from_url(server.url) as client:
        client.flushall()

    again = [hold.commit(), library.spend("user_1", image_generation=5, key="s")]

    assert [one.durability for one in again] == [Durability.LEDGER, Durability.LEDGER]
    sweep_gate(shop.gate())
    assert figures(library, "user_1") == (35, 0, 0, 35, 0)
    assert disagreements(shop) == []


def test_an_old_copy_of_redis_is_not_believed(library: Credits, server: ValkeyServer, shop: Shop) -> None:
    library.spend("user_1", image_generation=5, key="s1")
    server.stop()
    copy = server.folder.with_name("copy")
    shutil.copytree(server.folder, copy)
    server.start()
    library.spend("user_1", image_generation=90, key="s2")
    server.kill()
    shutil.rmtree(server.folder)
    copy.rename(server.folder)
    server.start()

    with pytest.raises(InsufficientCreditsError, match="6 needed, 5 available"):
        library.reserve("user_1", image_generation=6)

    assert figures(library, "user_1") == (5, 0, 0, 5, 0)
    assert disagreements(shop) == []


def test_a_block_goes_on_through_an_outage_shorter_than_its_ttl(
    library: Credits, server: ValkeyServer, shop: Shop
) -> None:
    with library.reserve("user_1", image_generation=30, ttl_s=9) as hold:
        first_end_ms = hold.expires_at_ms
        server.freeze()
        # Long enough for an extension to be tried, and to fail.
        time.sleep(4.5)
        server.thaw()
        wait_until(lambda: hold.expires_at_ms > first_end_ms, what="the hold is extended")
        committed = hold.commit()

    assert not committed.rescued
    assert figures(library, "user_1") == (70, 0, 0, 70, 0)
