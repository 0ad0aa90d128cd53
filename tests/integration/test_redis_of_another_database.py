"""A Redis that was filled from another database is not believed: what it knows of its accounts is not about ours."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, null, select, update

from credits.db import open_engine, snapshot, transaction
from credits.errors import GateUnavailableError
from credits.reservations.keys import shard_keys
from credits.reservations.model import Durability
from credits.reservations.sweeps import sweep_gate
from credits.reservations.tables import shards
from tests.support.ledger import assert_ledger_is_sound, balance_of
from tests.support.library import OTHER, TYPE, Shop, figures
from tests.support.valkey import ValkeyServer

ALIKE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
"""On a database whose rows are numbered like the stranger's. Whose a Redis is is the same to any."""


@pytest.fixture
def stranger(shop: Shop, migrated_sqlite_file: Path, tmp_path: Path) -> Iterator[Shop]:
    """A shop of another database on the same Redis, whose rows have the same numbers."""
    file = tmp_path / "stranger.sqlite3"
    shutil.copy(migrated_sqlite_file, file)
    engine = open_engine(f"sqlite:///{file}")
    yield replace(shop, engine=engine)
    engine.dispose()


@ALIKE
def test_a_redis_of_another_database_lends_no_credits_and_books_none(shop: Shop, stranger: Shop) -> None:
    rich = shop.process()
    for name in ("ada", "ben"):
        rich.add(name, TYPE, 1_000, key=f"{name}'s")
        rich.spend(name, {TYPE: 10}, key=f"{name} spends", durability=Durability.REDIS)

    poor = stranger.process()
    for kind in (TYPE, OTHER):
        poor.add("eve", kind, 50, key=f"eve's {kind}")
    with pytest.raises(GateUnavailableError, match="filled from another database"):
        poor.spend("eve", {TYPE: 1}, key="eve spends")
    swept = sweep_gate(stranger.gate())

    assert swept.settled == 0
    assert balance_of(stranger.engine, "eve", TYPE) == 50
    assert_ledger_is_sound(stranger.engine)
    assert sweep_gate(shop.gate()).settled == 2
    assert figures(rich, "ada") == (990, 0, 0, 990, 0)
    for credits_ in (rich, poor):
        credits_.close_gate()


@ALIKE
def test_a_database_that_had_a_redis_of_its_own_is_refused_by_anothers(
    shop: Shop, stranger: Shop, valkey_server: ValkeyServer
) -> None:
    before = stranger.process()
    before.add("eve", TYPE, 50, key="eve's")
    before.spend("eve", {TYPE: 1}, key="eve spends")
    before.close_gate()
    valkey_server.empty()
    rich = shop.process()
    rich.add("ada", TYPE, 1_000, key="ada's")
    rich.spend("ada", {TYPE: 1}, key="ada spends")
    rich.close_gate()

    poor = stranger.process()
    with pytest.raises(GateUnavailableError, match="filled from another database"):
        poor.reserve("eve", {TYPE: 49}, reservation_id="a job", ttl_s=60)
    poor.close_gate()


@ALIKE
def test_a_redis_of_another_database_serves_once_it_is_emptied(
    shop: Shop, stranger: Shop, valkey_server: ValkeyServer
) -> None:
    rich, poor = shop.process(), stranger.process()
    rich.add("ada", TYPE, 1_000, key="ada's")
    rich.spend("ada", {TYPE: 1}, key="ada spends")
    poor.add("eve", TYPE, 50, key="eve's")
    with pytest.raises(GateUnavailableError):
        poor.spend("eve", {TYPE: 1}, key="eve spends")

    valkey_server.empty()
    poor.spend("eve", {TYPE: 1}, key="eve spends")

    assert figures(poor, "eve") == (49, 0, 0, 49, 0)
    for credits_ in (rich, poor):
        credits_.close_gate()


@pytest.mark.one_server
def test_a_shard_of_a_release_that_named_no_owners_gets_one(shop: Shop, engine: Engine, redis_url: str) -> None:
    old = shop.process()
    old.add("ada", TYPE, 1_000, key="ada's")
    old.reserve("ada", {TYPE: 5}, reservation_id="a job", ttl_s=60)
    old.close_gate()
    with transaction(engine) as connection:
        (shard,) = connection.execute(select(shards.c.id)).scalars()
        connection.execute(update(shards).values(owner=null()))
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        client.delete(shard_keys(shard).owner)

        new = shop.process()
        seen = figures(new, "ada")

        with snapshot(engine) as connection:
            owner = connection.execute(select(shards.c.owner)).scalar_one()
        assert client.get(shard_keys(shard).owner) == owner is not None
    assert seen == (1_000, 5, 0, 995, 0)
    new.close_gate()
