"""
The gate's procedures as steps: each `yield` is one call of Redis, one SQL transaction, or a pause.

Between any two steps the process may die, stall, or lose a reply; every procedure is written so that this costs time
and never credits. `run` carries the steps out; the simulator carries out the same steps in every bad order it can find.
"""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine

from credits.clock import Clock
from credits.db import snapshot, transaction
from credits.failpoints import failpoint, is_any_active
from credits.reservations.gate import Command, Gate, JournalLine, journal_range, lines_of
from credits.reservations.keys import shard_keys
from credits.reservations.scripts import Verb

T = TypeVar("T")


class Call(NamedTuple):
    """Run one script. Answers its words."""

    verb: Verb
    keys: tuple[str, ...]
    args: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class ReadJournal:
    """Read the oldest lines of a shard's journal. Answers a list of JournalLine."""

    shard: int
    count: int
    after: str = "-"


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Serve a shard's epoch beside another version of the library that serves it. Answers whether one did."""

    shard: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Say whose a shard of this Redis is, unless that was said before. Answers whose it is."""

    shard: int
    owner: str


@dataclass(frozen=True, slots=True)
class Sql:
    """Run one transaction. Answers what `work` answers."""

    work: Callable[[Connection], Any]
    is_read: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Let somebody else finish first."""

    ms: int


@dataclass(frozen=True, slots=True)
class Together:
    """Steps of which none rests on another's answer, in this order and in one round trip. Answers a list of answers."""

    parts: tuple[Call | ReadJournal, ...]


Step = Call | ReadJournal | TakeOver | Claim | Sql | Pause | Together

Steps = Generator[Step, Any, T]
"""A procedure that answers T in the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRuntime:
    """What the procedures run on."""

    gate: Gate
    engine: Engine
    clock: Clock
    is_virtual: bool = False
    """Whether Redis takes the time from `clock` instead of its own: for tests and simulations only."""
    is_stepwise: bool = False
    """Whether what could be sent together is asked one by one: simulations look, and let others act, in between."""
    receipt_ms: int = 3_600_000
    """How long a finished hold is remembered in Redis; the ledger remembers its op for ever."""
    ledger_wait_s: float = 5.0
    """How long a commit waits for the ledger before it answers `pending`."""


def run(runtime: GateRuntime, procedure: "Steps[T]") -> T:
    """Carry a procedure out to its end. Errors of a step are raised inside the procedure, at that step."""
    answer: Any = None
    error: Exception | None = None
    while True:
        try:
            step = procedure.send(answer) if error is None else procedure.throw(error)
        except StopIteration as end:
            result: T = end.value
            return result
        answer, error = None, None
        try:
            answer = perform(runtime, step)
        # It is the procedure's to decide what an error of a step means.
        except Exception as raised:  # noqa: BLE001
            error = raised


def together(runtime: GateRuntime, parts: Sequence[Call | ReadJournal]) -> Steps[list[Any]]:
    """The answers to steps of which none rests on another's answer: in one round trip, if there are several."""
    answers: list[Any] = []
    if len(parts) > 1 and not runtime.is_stepwise:
        answers = yield Together(tuple(parts))
        return answers
    for part in parts:
        answer: Any = yield part
        answers.append(answer)
    return answers


def perform(runtime: GateRuntime, step: Step) -> Any:
    """Carry one step out."""
    match step:
        case Call():
            if not is_any_active():
                return runtime.gate.call(step.verb, step.keys, step.args)
            failpoint(f"gate.before_{step.verb.value}")
            words = runtime.gate.call(step.verb, step.keys, step.args)
            failpoint(f"gate.after_{step.verb.value}")
            return words
        case ReadJournal():
            lines: list[JournalLine] = runtime.gate.read_journal(step.shard, count=step.count, after=step.after)
            return lines
        case TakeOver():
            failpoint("gate.before_take_over")
            is_served = runtime.gate.take_over(step.shard, step.epoch)
            failpoint("gate.after_take_over")
            return is_served
        case Claim():
            return runtime.gate.claim(step.shard, step.owner)
        case Sql():
            with (snapshot if step.is_read else transaction)(runtime.engine) as connection:
                done = step.work(connection)
                if not step.is_read:
                    failpoint("gate.before_sql_commit")
                return done
        case Pause():
            time.sleep(step.ms / 1000)
            return None
        case Together():
            if is_any_active():
                return [perform(runtime, part) for part in step.parts]
            return _perform_together(runtime, step.parts)


def _perform_together(runtime: GateRuntime, parts: Sequence[Call | ReadJournal]) -> list[Any]:
    found = runtime.gate.ask_many([_question(runtime.gate, part) for part in parts])
    answers: list[Any] = []
    for part, answer in zip(parts, found, strict=True):
        if isinstance(answer, Exception):
            # By itself it says what is wrong; and a Redis that does not have the library is taught it.
            answers.append(perform(runtime, part))
        else:
            answers.append(lines_of(answer) if isinstance(part, ReadJournal) else answer)
    return answers


def _question(gate: Gate, part: Call | ReadJournal) -> tuple[str, Command]:
    if isinstance(part, ReadJournal):
        return shard_keys(part.shard).journal, journal_range(part.shard, count=part.count, after=part.after)
    return part.keys[0], gate.question(part.verb, part.keys, part.args)
