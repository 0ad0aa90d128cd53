"""The simulated world: Redis, a database, clocks, and callers that each believe in an epoch of their own."""

import random
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import redis

from credits.config.settings import Tenant
from credits.db import metadata, open_memory_engine
from credits.ledger.tables import accounts
from credits.reservations.gate import Gate
from credits.reservations.keys import SHARD_COUNT, shard_of
from credits.reservations.scripts import Library, Verb, library, library_of, source
from credits.reservations.steps import Call, GateRuntime, Step, perform
from credits.reservations.tables import shards
from credits.reservations.torture.model import Setup, Violation
from credits.reservations.torture.mutants import Tamper
from credits.reservations.torture.server import MASTERS, Wire
from credits.reservations.wire import DirectLine

TENANT: Final = Tenant.SANDBOX
BEGIN_MS: Final = 1_800_000_000_000
MONTH_END_MS: Final = 1_801_468_800_000 - 4_000
"""Four seconds before February 2027 begins in Los Angeles: runs with members begin here."""
ZONES: Final = {"America/Los_Angeles": -8 * 60, "UTC": 0, "Asia/Kathmandu": 5 * 60 + 45}
"""With their minutes from UTC, the whole of that winter."""
RECEIPT_MS: Final = 120_000
CREDIT_TYPES: Final = ("images", "tokens", "video", "minutes")
_CALLERS: Final = 5
SERVER_CLOCK_KEY: Final = "simulated_time"
_READS_TIME: Final = "redis.call('TIME')"


@dataclass(slots=True)
class Caller:
    """One process of the installation: its own connection state, its own clock."""

    runtime: GateRuntime
    clock_offset_ms: int = 0
    master: int = 0
    """Which of the two servers it takes for the master."""


@dataclass(slots=True)
class Server:
    """What lives as long as the simulator: connections to two Redis, and an empty database to begin each run with."""

    folder: Path
    wires: list[Wire] = field(init=False)
    blobs: list[Wire] = field(init=False)
    engine: Any = field(init=False)
    sql: sqlite3.Connection = field(init=False)
    _empty: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.wires = [Wire(self.folder / name) for name in MASTERS]
        self.blobs = [Wire(self.folder / name, is_text=False) for name in MASTERS]
        self.engine = open_memory_engine()
        # All of them: importing the tables registers them in one place.
        if not accounts.metadata is shards.metadata is metadata:
            raise RuntimeError("the tables of the ledger and of the gate are registered in two places")
        metadata.create_all(self.engine)
        self.sql = cast(sqlite3.Connection, self.engine.raw_connection().driver_connection)
        self._empty = self.sql.serialize()

    def empty(self) -> None:
        """Begin anew: no keys, no functions, no rows."""
        for wire in self.wires:
            wire.ask([("FLUSHALL", "SYNC"), ("FUNCTION", "FLUSH", "SYNC")])
        self.sql.deserialize(self._empty)

    def close(self) -> None:
        """Close the connections."""
        for wire in (*self.wires, *self.blobs):
            wire.close()
        self.engine.dispose()


class World:
    """
    Where one run happens. Everything random comes from `rng`; time passes only by `pass_time`.

    Half of the runs let the callers bring the time, as a sandbox does; in the others the scripts ask the server, as
    everywhere else, and the simulator answers for it.
    """

    def __init__(self, server: Server, seed: int, setup: Setup, tamper: Tamper) -> None:
        self.server, self.setup, self.seed, self._tamper = server, setup, seed, tamper
        self.rng = random.Random(seed)  # noqa: S311
        self.is_virtual = self.rng.random() < 0.5
        self.now_ms = MONTH_END_MS if setup.members else BEGIN_MS
        self.server_offset_ms = 0
        self.versions = _versions(seed, is_virtual=self.is_virtual)
        """Of the library, beside each other: each caller has one."""
        self.credit_types = CREDIT_TYPES[: setup.credit_types]
        shard_numbers = self.rng.choice(((0,), (0, 1)))
        self.account_ids = [
            SHARD_COUNT * (1 + index) + shard_numbers[index % len(shard_numbers)] for index in range(setup.accounts)
        ]
        self.shards = sorted({shard_of(account_id) for account_id in self.account_ids})
        self.master = 0
        """Which of the two servers is the master, as those see it who are not cut off from it."""
        self.is_split = False
        """Whether the other one still takes itself for the master too, and some callers with it."""
        self.was_split = False
        self.armed: dict[tuple[int, int], str] = {}
        """By server and shard, the epoch that its volatile table holds."""
        self._ever_armed: set[tuple[int, str]] = set()
        server.empty()
        for account_id in self.account_ids:
            server.sql.execute(
                "INSERT INTO accounts (id, tenant, external_id, sv, created_at_ms) VALUES (?, ?, ?, 0, ?)",
                (account_id, TENANT.value, name_of(account_id), BEGIN_MS),
            )
        self.zones = dict.fromkeys(self.account_ids, "UTC")
        if setup.members:
            self._settle_zones()
        self.callers: list[Caller] = []
        for _ in range(_CALLERS):
            self.callers.append(self._caller())
        self._tell_time()

    @property
    def members(self) -> list[str]:
        """Members of every account; the names are harder to carry than most."""
        return ["ada", "Zoë Ünü", "50%|off;=,~+"][: self.setup.members]

    def _settle_zones(self) -> None:
        for account_id in self.account_ids:
            self.zones[account_id] = self.rng.choice(tuple(ZONES))
            words = (self.zones[account_id], account_id)
            self.server.sql.execute("UPDATE accounts SET time_zone = ? WHERE id = ?", words)

    def pass_time(self, ms: int) -> None:
        """Let `ms` pass for everybody."""
        self.now_ms += ms
        self._tell_time()

    def jump_server_clock(self, ms: int) -> None:
        """Set the server's clock off by `ms` more. Without effect where callers bring the time."""
        self.server_offset_ms += ms
        self._tell_time()

    def server_ms(self) -> int:
        """What the server's clock says."""
        return self.now_ms + self.server_offset_ms

    def perform(self, caller: Caller, step: Step) -> Any:
        """Carry a step out, as the shipped code does."""
        step = self._tamper.step(step)
        answer = perform(caller.runtime, step)
        if isinstance(step, Call) and step.verb is Verb.ARM and answer[0] == "ARMED":
            self._arm(caller.master, int(step.keys[0].split("{")[1].split("}")[0]), str(step.args[0]))
        return self._tamper.answer(step, answer)

    @property
    def wire(self) -> Wire:
        """The connection to the master."""
        return self.server.wires[self.master]

    @property
    def masters(self) -> list[int]:
        """The servers that anybody takes for the master."""
        return [self.master, 1 - self.master] if self.is_split else [self.master]

    def restart(self) -> None:
        """Redis starts again with its data: what was volatile is gone."""
        self._disarm(self.master)
        for version in self.versions:
            self.wire.function_load(version.code, replace=True)

    def wipe(self) -> None:
        """Redis starts again with nothing, not even functions."""
        self._disarm(self.master)
        self.wire.ask([("FLUSHALL", "SYNC"), ("FUNCTION", "FLUSH", "SYNC")])
        self._tell_time()

    def copy(self) -> list[tuple[bytes, bytes]]:
        """Every key with its value, as a backup has them."""
        blobs = self.server.blobs[self.master]
        keys = sorted(blobs.execute_command("KEYS", "cg:*"))
        return list(zip(keys, blobs.ask([("DUMP", key) for key in keys]), strict=True)) if keys else []

    def roll_back(self, copied: list[tuple[bytes, bytes]]) -> None:
        """Redis starts again from an earlier copy."""
        self.wipe()
        if copied:
            self.server.blobs[self.master].ask([("RESTORE", key, 0, value) for key, value in copied])

    def split(self, copied: list[tuple[bytes, bytes]]) -> None:
        """A network cut: the replica, which has `copied`, is promoted; some callers still reach the old master only."""
        self.is_split, self.was_split, self.master = True, True, 1 - self.master
        self.roll_back(copied)
        for caller in self.rng.sample(self.callers, self.rng.randint(1, _CALLERS - 1)):
            self._connect(caller)

    def heal(self) -> None:
        """The cut is over: everybody goes to the new master, and what only the old one had is gone."""
        self.is_split = False
        for caller in self.callers:
            self._connect(caller)
        self._disarm(1 - self.master)
        self.server.wires[1 - self.master].ask([("FLUSHALL", "SYNC"), ("FUNCTION", "FLUSH", "SYNC")])

    def _connect(self, caller: Caller) -> None:
        caller.master = self.master
        caller.runtime.gate.client = cast(redis.Redis, self.wire)
        caller.runtime.gate.line = DirectLine(self.wire)

    def _disarm(self, master: int) -> None:
        for shard in self.shards:
            self.armed.pop((master, shard), None)

    def _arm(self, master: int, shard: int, epoch: str) -> None:
        # Armed again after a wipe, it would name two incarnations: what was read in one would be booked in the other.
        if (shard, epoch) in self._ever_armed:
            raise Violation(f"epoch {epoch} of shard {shard} was armed twice")
        self._ever_armed.add((shard, epoch))
        self.armed[master, shard] = epoch

    def _tell_time(self) -> None:
        if not self.is_virtual:
            seconds, ms = divmod(self.server_ms(), 1000)
            for wire in self.server.wires:
                # It goes along with the next question.
                wire.before = [("HSET", SERVER_CLOCK_KEY, "s", seconds, "us", ms * 1000)]

    def _caller(self) -> Caller:
        caller: Caller
        code = self.versions[len(self.callers) % len(self.versions)]
        gate = Gate(client=cast(redis.Redis, self.wire), code=code)
        caller = Caller(
            GateRuntime(
                gate=gate,
                engine=self.server.engine,
                clock=lambda: self.now_ms + caller.clock_offset_ms,
                is_virtual=self.is_virtual,
                is_stepwise=True,
                receipt_ms=RECEIPT_MS,
            ),
            clock_offset_ms=0 if self.is_virtual else self.rng.randint(-1500, 1500),
        )
        return caller


def name_of(account_id: int) -> str:
    """The account's name as its owner knows it."""
    return f"user {account_id}"


def _versions(seed: int, *, is_virtual: bool) -> list[Library]:
    """One in most runs; two releases beside each other in every third."""
    count = 2 if seed % 3 == 0 else 1
    shipped = [library(), library_of(f"{source()}\n-- the next release\n")][:count]
    return shipped if is_virtual else [with_simulated_time(one) for one in shipped]


def with_simulated_time(shipped: Library) -> Library:
    """The library as it is shipped, but for the one line that asks the server's clock."""
    if shipped.code.count(_READS_TIME) != 1:
        raise RuntimeError("the scripts must ask for the time in one place")
    asked = f"redis.call('HMGET', '{SERVER_CLOCK_KEY}', 's', 'us')"
    return Library(name=shipped.name, code=shipped.code.replace(_READS_TIME, asked))
