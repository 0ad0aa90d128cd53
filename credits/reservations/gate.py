"""One connection to the gate: calls a verb of this release's library, and knows which epoch each shard is in."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from credits.circuit import Circuit
from credits.errors import GateUnavailableError
from credits.redis_client import RedisClient, masters_of, node_of
from credits.redis_cluster import ClusterClient
from credits.reservations import versions
from credits.reservations.keys import shard_keys
from credits.reservations.scripts import Library, Verb, library
from credits.reservations.wire import DirectLine

_MAX_NODES: Final = 1024

Command = tuple[str | int, ...]
"""As Redis is sent it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLine:
    """One entry of a shard's journal as it stands in Redis."""

    stream_id: str
    fields: dict[str, str]


@dataclass(slots=True)
class Gate:
    """
    The gate's scripts over one Redis, or a cluster. Safe to share between threads.

    Every error of the server or the network is a GateUnavailableError: the call may or may not have run, and is safe
    to repeat by its name.
    """

    client: RedisClient
    code: Library = field(default_factory=library)
    epochs: dict[int, int] = field(default_factory=dict)
    shared: set[int] = field(default_factory=set)
    """The shards that other processes settle as well, as last heard of each."""
    line: DirectLine = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.line = DirectLine(self.client)

    def call(self, verb: Verb, keys: Sequence[str], args: Sequence[str | int]) -> list[str]:
        """Run one script; answers its words."""
        command = self.question(verb, keys, args)
        try:
            return self._execute(command)
        except ResponseError as error:
            if "not found" not in str(error).lower():
                raise GateUnavailableError(f"the gate refused {verb.value}: {error}") from error
        # A Redis that is new, or was emptied with its functions, learns them from whoever comes first.
        self._load_library(keys[0])
        return self._execute(command)

    def call_many(self, calls: Sequence[tuple[Verb, Sequence[str], Sequence[str | int]]]) -> list[list[str] | None]:
        """
        Run many scripts in one round trip; answers the words of each, None where the server refused one.

        The calls of one batch are independent: each of them ran or did not. If the connection fails, the whole batch is
        a GateUnavailableError, and is safe to repeat; in a cluster, only if no node answers.
        """
        commands = [(keys[0], self.question(verb, keys, args)) for verb, keys, args in calls]
        answers = self.ask_many(commands)
        for (key, _), answer in zip(commands, answers, strict=True):
            if isinstance(answer, ResponseError) and "not found" in str(answer).lower():
                self._load_library(key)
                if not self.is_cluster:
                    break
        return [answer if isinstance(answer, list) else None for answer in answers]

    def question(self, verb: Verb, keys: Sequence[str], args: Sequence[str | int]) -> Command:
        """The command that runs one script."""
        return ("FCALL", self.code.function(verb), len(keys), *keys, *args)

    def ask_many(self, commands: Sequence[tuple[str, Command]]) -> list[Any]:
        """
        The answers to independent commands, each given with its key, in one round trip; of one refused, the error.

        If the connection fails, any of them may have run; in a cluster that is raised only if no node answers.
        """
        with _answering():
            return self.line.run_many(commands)

    def journal_lengths(self, shards: Sequence[int]) -> list[int]:
        """How many lines the journal of each shard has; 0 where a cluster's node does not answer."""
        keys = [shard_keys(shard).journal for shard in shards]
        answers = self.ask_many([(key, ("XLEN", key)) for key in keys])
        return [answer if isinstance(answer, int) else 0 for answer in answers]

    def scan(self, cursor: int, pattern: str, *, count: int) -> tuple[int, list[str]]:
        """
        Some keys that match, and where to go on; 0 at the end. It never stops the server as KEYS would.

        A cluster's nodes are gone through one after the other; one that does not answer is passed over.
        """
        with _answering():
            servers = masters_of(self.client)
            within, number = divmod(cursor, _MAX_NODES)
            try:
                after, keys = (
                    servers[number].scan(within, match=pattern, count=count) if number < len(servers) else (0, [])
                )
            except (RedisError, OSError):
                if not self.is_cluster:
                    raise
                after, keys = 0, []
        if int(after):
            return int(after) * _MAX_NODES + number, [str(key) for key in keys]
        return (number + 1 if number + 1 < len(servers) else 0), [str(key) for key in keys]

    @property
    def is_cluster(self) -> bool:
        """Whether some shards may be away while others are not."""
        return isinstance(self.client, ClusterClient)

    def where(self, shard: int) -> str:
        """A name of the server that has a shard, the same for all that it has."""
        with _answering():
            return self.client.name_of(shard_keys(shard).shard) if isinstance(self.client, ClusterClient) else ""

    def read_journal(self, shard: int, *, count: int, after: str = "-") -> list[JournalLine]:
        """Up to `count` lines of a shard's journal, the oldest first; `after` continues behind a line."""
        return lines_of(self._run(*journal_range(shard, count=count, after=after)))

    def await_told(self, shard: int, *, after: str, wait_ms: int) -> dict[str, str]:
        """What settlers of a shard tell behind `after`, within `wait_ms`: fingerprints by op of what is booked."""
        answer: Any = self._run("XREAD", "BLOCK", wait_ms, "STREAMS", shard_keys(shard).told, after)
        told: dict[str, str] = {}
        for _, lines in answer or ():
            for _, fields in lines:
                told.update(json.loads(_pairs(fields)["b"]))
        return told

    def take_over(self, shard: int, epoch: int) -> bool:
        """Serve an epoch that another version of the library serves, beside it; False if none does."""
        with _answering():
            return versions.take_over(node_of(self.client, shard_keys(shard).shard), self.code, shard, epoch)

    def claim(self, shard: int, owner: str) -> str:
        """Say whose a shard of this Redis is, unless that was said before; answers whose it is."""
        return self.set_first(shard_keys(shard).owner, owner)

    def set_first(self, key: str, text: str, *, kept_s: int | None = None) -> str:
        """Set a key, for a while or for good, unless it is set; answers what it says by now."""
        until = () if kept_s is None else ("EX", kept_s)
        # Not SET with GET: a cluster's client makes of its answer whether it was set.
        _, found = self.ask_many([(key, ("SET", key, text, "NX", *until)), (key, ("GET", key))])
        return _as_text(found, key)

    def text_of(self, key: str) -> str | None:
        """What a key says; None if it is not set."""
        [found] = self.ask_many([(key, ("GET", key))])
        return None if found is None else _as_text(found, key)

    def delete_idle_libraries(self, *, now_ms: int) -> list[str]:
        """Delete the versions of the library that nobody called for a day; answers their names."""
        with _answering():
            return [
                name
                for server in masters_of(self.client)
                for name in versions.delete_idle(server, self.code, now_ms=now_ms)
            ]

    def _execute(self, command: Command) -> list[str]:
        answer: Any = self._run(*command)
        return answer if isinstance(answer, list) else [str(answer)]

    def _run(self, *command: str | int) -> Any:
        try:
            return self.line.run(command)
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            raise _unavailable(error) from error

    def _load_library(self, key: str) -> None:
        try:
            node_of(self.client, key).function_load(self.code.code)
        except ResponseError as error:
            # Two clients may load it at once; the second one finds it there.
            if "already exists" not in str(error):
                raise GateUnavailableError(f"the gate's library could not be loaded: {error}") from error
        except (RedisError, OSError) as error:
            raise GateUnavailableError(f"Redis did not answer ({type(error).__name__})") from error


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise _unavailable(error) from error


def _as_text(found: Any, key: str) -> str:
    if not isinstance(found, str):
        raise GateUnavailableError(f"Redis did not say what {key} is ({type(found).__name__})")
    return found


def _unavailable(error: Exception) -> GateUnavailableError:
    return GateUnavailableError(f"Redis did not answer ({type(error).__name__})")


@dataclass(slots=True)
class GuardedGate(Gate):
    """
    For servers with many threads: while Redis does not answer, calls fail at once but for one that tries.

    Otherwise each thread would wait for the timeout, and whoever queues for a thread for several.
    """

    circuit: Circuit = field(default_factory=Circuit)

    def _run(self, *command: str | int) -> Any:
        return self._guarded(self.line.run, command)

    def ask_many(self, commands: Sequence[tuple[str, Command]]) -> list[Any]:
        """As any gate; at once an error while Redis does not answer."""
        answers: list[Any] = self._guarded(self.line.run_many, commands)
        return answers

    def _guarded(self, ask: Callable[[Any], Any], asked: Sequence[Any]) -> Any:
        if not self.circuit.lets_through():
            raise GateUnavailableError("Redis did not answer a moment ago")
        try:
            answer = ask(asked)
        except ResponseError:
            self.circuit.answered()
            raise
        except (RedisError, OSError) as error:
            self.circuit.failed()
            raise _unavailable(error) from error
        self.circuit.answered()
        return answer


def journal_range(shard: int, *, count: int, after: str = "-") -> Command:
    """The command that reads lines of a journal."""
    start = after if after == "-" else f"({after}"
    return ("XRANGE", shard_keys(shard).journal, start, "+", "COUNT", count)


def lines_of(answer: Any) -> list[JournalLine]:
    """The lines that Redis answered."""
    return [JournalLine(stream_id=line_id, fields=_pairs(fields)) for line_id, fields in answer]


def _pairs(fields: Any) -> dict[str, str]:
    if isinstance(fields, dict):
        return fields
    return dict(zip(fields[::2], fields[1::2], strict=True))
