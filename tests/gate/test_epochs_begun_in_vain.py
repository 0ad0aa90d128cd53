"""An epoch that SQL has and no Redis was armed for: whoever finds out begins another, and nothing waits for ever."""

from collections.abc import Iterator

import pytest

from credits.reservations import store
from credits.reservations.keys import shard_of
from credits.reservations.protocol import apply_credits
from credits.reservations.torture.model import Setup
from credits.reservations.torture.mutants import Tamper
from credits.reservations.torture.server import own_servers
from credits.reservations.torture.world import Server, World
from tests.support.procedures import finish, grant, granted


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with own_servers() as path:
        server = Server(path)
        yield server
        server.close()


@pytest.fixture
def world(server: Server) -> World:
    return World(server, 1, Setup(accounts=2, credit_types=1), Tamper())


def test_a_credit_reaches_the_gate_though_whoever_began_the_epoch_died_before_arming_it(world: World) -> None:
    account_id = granted(world, 100)
    grant(world, account_id, 20, "second")
    shard = shard_of(account_id)
    with world.server.engine.begin() as connection:
        store.raise_epoch(connection, shard, store.read_epoch(connection, shard))

    runtime = world.callers[0].runtime
    done = [finish(world, apply_credits(runtime, [account_id])) for _ in range(3)]

    assert sum(done) == 1
    assert world.server.sql.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
