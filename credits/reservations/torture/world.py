"""The simulated world: one Redis, one database, one clock, and callers that each believe in an epoch of their own."""

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
from credits.reservations.scripts import Library, Verb, library
from credits.reservations.steps import Call, GateRuntime, Step, perform
from credits.reservations.tables import shards
from credits.reservations.torture.model import Setup, Violation
from credits.reservations.torture.mutants import Tamper
from credits.reservations.torture.server import Wire

TENANT: Final = Tenant.SANDBOX
BEGIN_MS: Final = 1_800_000_000_000
RECEIPT_MS: Final = 120_000
CREDIT_TYPES: Final = ("images", "tokens", "video", "minutes")
_CALLERS: Final = 5
_SERVER_CLOCK_KEY: Final = "simulated_time"
_READS_TIME: Final = "redis.call('TIME')"


@dataclass(slots=True)
class Caller:
    """One process of the installation: its own connection state, its own clock."""

    runtime: GateRuntime
    clock_offset_ms: int = 0


@dataclass(slots=True)
class Server:
    """What lives as long as the simulator: the connections and an empty database to begin each run with."""

    path: Path
    wire: Wire = field(init=False)
    blobs: Wire = field(init=False)
    engine: Any = field(init=False)
    sql: sqlite3.Connection = field(init=False)
    _empty: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.wire, self.blobs = Wire(self.path), Wire(self.path, is_text=False)
        self.engine = open_memory_engine()
        # Importing the tables registered them.
        assert accounts.metadata is shards.metadata is metadata  # noqa: S101
        metadata.create_all(self.engine)
        self.sql = cast(sqlite3.Connection, self.engine.raw_connection().driver_connection)
        self._empty = self.sql.serialize()

    def empty(self) -> None:
        """Begin anew: no keys, no functions, no rows."""
        self.wire.execute_command("FLUSHALL", "SYNC")
        self.wire.execute_command("FUNCTION", "FLUSH", "SYNC")
        self.sql.deserialize(self._empty)

    def close(self) -> None:
        """Close the connections."""
        self.wire.close()
        self.blobs.close()
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
        self.now_ms = BEGIN_MS
        self.server_offset_ms = 0
        self.code = library() if self.is_virtual else _with_simulated_time(library())
        self.credit_types = CREDIT_TYPES[: setup.credit_types]
        shard_numbers = self.rng.choice(((0,), (0, 1)))
        self.account_ids = [
            SHARD_COUNT * (1 + index) + shard_numbers[index % len(shard_numbers)] for index in range(setup.accounts)
        ]
        self.shards = sorted({shard_of(account_id) for account_id in self.account_ids})
        self.armed: dict[int, str] = {}
        """The epoch that each shard's volatile table holds."""
        self._ever_armed: set[tuple[int, str]] = set()
        server.empty()
        for account_id in self.account_ids:
            server.sql.execute(
                "INSERT INTO accounts (id, tenant, external_id, sv, created_at_ms) VALUES (?, ?, ?, 0, ?)",
                (account_id, TENANT.value, name_of(account_id), BEGIN_MS),
            )
        self.callers = [self._caller() for _ in range(_CALLERS)]
        self._tell_time()

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
            self._arm(int(step.keys[0].split("{")[1].split("}")[0]), str(step.args[0]))
        return self._tamper.answer(step, answer)

    def restart(self) -> None:
        """Redis starts again with its data: what was volatile is gone."""
        self.armed.clear()
        self.server.wire.function_load(self.code.code, replace=True)

    def wipe(self) -> None:
        """Redis starts again with nothing, not even functions."""
        self.armed.clear()
        self.server.wire.execute_command("FLUSHALL", "SYNC")
        self.server.wire.execute_command("FUNCTION", "FLUSH", "SYNC")
        self._tell_time()

    def copy(self) -> list[tuple[bytes, bytes]]:
        """Every key with its value, as a backup has them."""
        keys = sorted(key for key in self.server.blobs.execute_command("KEYS", "cg:*"))
        return list(zip(keys, self.server.blobs.ask([("DUMP", key) for key in keys]), strict=True)) if keys else []

    def roll_back(self, copied: list[tuple[bytes, bytes]]) -> None:
        """Redis starts again from an earlier copy."""
        self.wipe()
        if copied:
            self.server.blobs.ask([("RESTORE", key, 0, value) for key, value in copied])

    def _arm(self, shard: int, epoch: str) -> None:
        # Armed again after a wipe, it would name two incarnations: what was read in one would be booked in the other.
        if (shard, epoch) in self._ever_armed:
            raise Violation(f"epoch {epoch} of shard {shard} was armed twice")
        self._ever_armed.add((shard, epoch))
        self.armed[shard] = epoch

    def _tell_time(self) -> None:
        if not self.is_virtual:
            seconds, ms = divmod(self.server_ms(), 1000)
            command = ("HSET", _SERVER_CLOCK_KEY, "s", seconds, "us", ms * 1000)
            # It goes along with the next question.
            self.server.wire.before = [command]

    def _caller(self) -> Caller:
        caller: Caller
        gate = Gate(client=cast(redis.Redis, self.server.wire), code=self.code)
        caller = Caller(
            GateRuntime(
                gate=gate,
                engine=self.server.engine,
                clock=lambda: self.now_ms + caller.clock_offset_ms,
                is_virtual=self.is_virtual,
                receipt_ms=RECEIPT_MS,
            ),
            clock_offset_ms=0 if self.is_virtual else self.rng.randint(-1500, 1500),
        )
        return caller


def name_of(account_id: int) -> str:
    """The account's name as its owner knows it."""
    return f"user {account_id}"


def _with_simulated_time(shipped: Library) -> Library:
    """The library as it is shipped, but for the one line that asks the server's clock."""
    if shipped.code.count(_READS_TIME) != 1:
        raise RuntimeError("the scripts must ask for the time in one place")
    asked = f"redis.call('HMGET', '{_SERVER_CLOCK_KEY}', 's', 'us')"
    return Library(name=shipped.name, code=shipped.code.replace(_READS_TIME, asked))
