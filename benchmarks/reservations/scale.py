"""What a reservation costs among a million accounts, thousands of holds or lots; and how much memory each takes."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import redis

from benchmarks.reservations.stage import environment_of
from benchmarks.servers import new_databases, start_redis
from credits import Commit, Credits, Reserve
from credits.db import transaction
from credits.ids import new_id
from credits.ops.migrate import migrate
from credits.reservations.keys import account_keys
from credits.reservations.sweeps import apply_outbox, settle_journals

TYPE: Final = "image_generation"
ITEMS: Final = {TYPE: 1}
GRANTED: Final = 10**9
OPEN_HOLDS: Final = 2_000
FINISHED_HOLDS: Final = 10_000
LOTS: Final = 2_000
BATCH: Final = 5_000
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of a reservation and its commit at `redis` level: medians."""

    wall_us: float
    server_us: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A library over a Valkey of its own, which keeps nothing on disk."""

    library: Credits
    server: redis.Redis

    def pairs(self, account: str, count: int) -> Cost:
        """Reserve and commit `count` times, one after the other."""
        took_s, before_s = [], self._cpu_s()
        for _ in range(count):
            began_s = time.perf_counter()
            self.library.reserve(account, ITEMS).commit(durability="redis")
            took_s.append(time.perf_counter() - began_s)
        return Cost(wall_us=median(took_s) * 1e6, server_us=(self._cpu_s() - before_s) / count * 1e6)

    def settle(self) -> None:
        """Book what lies in the journals."""
        while settle_journals(self.library.reservations.runtime):
            pass

    def memory(self) -> int:
        """Bytes that the server has in use."""
        return int(self.server.info("memory")["used_memory"])

    def grant(self, accounts: list[str], *, lots: int = 1) -> None:
        """Grant each of the accounts so many lots, and let the gate load them."""
        for first in range(0, len(accounts), 1_000):
            with transaction(self.library.engine) as connection:
                for account in accounts[first : first + 1_000]:
                    for number in range(lots):
                        self.library.add_in(
                            connection,
                            account,
                            TYPE,
                            GRANTED,
                            key=f"{account}-{number}",
                            reason="benchmark",
                            actor="it",
                        )
        while apply_outbox(self.library.reservations.runtime):
            pass
        for account in accounts:
            assert self.library.can_deduct(account, TYPE, 1)

    def _cpu_s(self) -> float:
        info = self.server.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


@contextmanager
def place(folder: Path, name: str) -> Iterator[Place]:
    """Start one on SQLite: the database is not what is measured."""
    with ExitStack() as cleanup:
        server = start_redis(folder, cleanup, name=name)
        [database_url] = new_databases("sqlite", folder, cleanup, name)
        migrate(database_url)
        library = Credits.from_env(environment_of(database_url, server.url), folder)
        cleanup.callback(library.close)
        client = redis.Redis.from_url(server.url)
        cleanup.callback(client.close)
        yield Place(library=library, server=client)


def scale(folder: Path, *, accounts: int, rounds: int, pairs: int) -> dict[str, Cost]:
    """What a pair costs in each situation, measured in turn; the first one is what the others are compared with."""
    with place(folder, "empty") as empty, place(folder, "full") as full:
        fresh = [f"fresh_{number}" for number in range(rounds + 1)]
        empty.grant([*fresh, "open", "finished"])
        empty.grant(["lots"], lots=LOTS)
        full.grant(fresh)
        _fill(full, fresh[-1], accounts)
        _hold(empty, ["open"] * OPEN_HOLDS)
        _finish(empty, _hold(empty, ["finished"] * FINISHED_HOLDS))
        situations = {
            "nothing else": lambda number: empty.pairs(fresh[number], pairs),
            f"{accounts:,} idle accounts": lambda number: full.pairs(fresh[number], pairs),
            f"{OPEN_HOLDS:,} open holds on the account": lambda _: empty.pairs("open", pairs),
            f"{FINISHED_HOLDS:,} finished holds on the account": lambda _: empty.pairs("finished", pairs),
            f"{LOTS:,} lots of the account": lambda _: empty.pairs("lots", pairs),
        }
        taken: dict[str, list[Cost]] = {name: [] for name in situations}
        for number in range(rounds):
            for name, measure in situations.items():
                taken[name].append(measure(number))
                empty.settle()
                full.settle()
    return {
        name: Cost(wall_us=median(cost.wall_us for cost in costs), server_us=median(cost.server_us for cost in costs))
        for name, costs in taken.items()
    }


def memory(folder: Path, *, count: int) -> dict[str, float]:
    """Bytes of Redis, keys and all: of an idle account, an open hold, a finished one, and a lot above the first."""
    with place(folder, "memory") as there:
        names = [f"idle_{number}" for number in range(count)]
        there.grant(["first"])
        marks = [there.memory()]
        there.grant(names)
        marks.append(there.memory())
        holds = _hold(there, names)
        marks.append(there.memory())
        _finish(there, holds)
        there.settle()
        marks.append(there.memory())
        there.grant(["lots"], lots=LOTS)
        marks.append(there.memory())
        _hold(there, ["first"] * OPEN_HOLDS)
        marks.append(there.memory())
    account, hold, receipt = ((marks[at + 1] - marks[at]) / count for at in range(3))
    return {
        "bytes_an_idle_account": account,
        "bytes_an_open_hold": hold,
        "bytes_an_open_hold_among_many": (marks[5] - marks[4]) / OPEN_HOLDS,
        "bytes_a_finished_hold": hold + receipt,
        "bytes_a_lot": (marks[4] - marks[3] - account) / LOTS,
    }


def _fill(there: Place, like: str, accounts: int) -> None:
    """Copy an idle account to as many others: the very bytes that the scripts wrote."""
    account_id = there.library.reservations.account_id(like)
    assert account_id is not None
    written = there.server.dump(account_keys(account_id).account)
    assert written is not None
    for first in range(0, accounts, 10_000):
        pipeline = there.server.pipeline(transaction=False)
        for number in range(first, min(first + 10_000, accounts)):
            pipeline.execute_command("RESTORE", account_keys(10**6 + number).account, 0, written)
        pipeline.execute()


def _hold(there: Place, accounts: list[str]) -> list[tuple[str, str]]:
    made: list[tuple[str, str]] = []
    for first in range(0, len(accounts), BATCH):
        wanted = [
            Reserve(account=account, items=ITEMS, reservation_id=new_id(), ttl_s=DAY_S)
            for account in accounts[first : first + BATCH]
        ]
        held = there.library.reserve_many(wanted)
        assert not [one for one in held if isinstance(one, Exception)]
        made += [(one.account, str(one.reservation_id)) for one in wanted]
    return made


def _finish(there: Place, holds: list[tuple[str, str]]) -> None:
    for first in range(0, len(holds), BATCH):
        commits = [Commit(account=account, reservation_id=name) for account, name in holds[first : first + BATCH]]
        done = there.library.commit_many(commits, durability="redis")
        assert not [one for one in done if isinstance(one, Exception)]
        there.settle()
