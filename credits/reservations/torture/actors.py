"""Who works on the gate in the simulator: clients here, the installation's own workers in staff.py."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from sqlalchemy.exc import OperationalError

from credits.errors import GateUnavailableError
from credits.ids import digest
from credits.ledger.model import DebitKind
from credits.reservations import store
from credits.reservations.checks import MAX_EXTENSION_S, content_of, fingerprint, hold_name
from credits.reservations.keys import shard_of
from credits.reservations.member_names import gate_name
from credits.reservations.model import Answer, Overage
from credits.reservations.protocol import on_account
from credits.reservations.scripts import Verb
from credits.reservations.settlement import settle_shards
from credits.reservations.steps import GateRuntime, Pause, Sql, Steps
from credits.reservations.torture.model import Promises, Violation
from credits.reservations.torture.world import TENANT

T = TypeVar("T")

_ATTEMPTS: Final = 5
_LEDGER_ROUNDS: Final = 6
_PROCESSES: Final = 3


@dataclass(slots=True)
class Scene:
    """What one actor plays with."""

    rng: random.Random
    runtime: GateRuntime
    account_id: int
    credit_types: tuple[str, ...]
    promises: Promises
    outcomes: Counter[str]
    serial: Iterator[int]
    members: Sequence[str] = ()

    def some_member(self) -> str | None:
        """For whom a client comes: mostly for a member, where there are any."""
        return self.rng.choice((None, *self.members, *self.members)) if self.members else None

    def some_items(self, most: int = 9) -> dict[str, int]:
        """Amounts of one type or more."""
        count = self.rng.randint(1, len(self.credit_types))
        return {kind: self.rng.randint(1, most) for kind in self.rng.sample(self.credit_types, count)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Debiting:
    """A commit or a spend: one op, to be sent as often as it takes."""

    verb: Verb
    op: str
    args: tuple[str | int, ...]
    """The verb's, behind account id and time."""
    items: Mapping[str, int]
    member: str | None = None


def insist(scene: Scene, attempt: Callable[[], Steps[T]]) -> Steps[T | None]:
    """Repeat until an answer comes, as a caller does who has a name to repeat it by; None after a few times."""
    for _ in range(_ATTEMPTS):
        try:
            return (yield from attempt())
        except (GateUnavailableError, OperationalError):
            yield Pause(10)
    scene.outcomes["gave up"] += 1
    return None


def client(scene: Scene) -> Steps[None]:
    """Hold, think, then commit, in one step or several, release, extend, or vanish."""
    rng, name = scene.rng, f"job {next(scene.serial)}"
    hold, wanted = hold_name(TENANT, scene.account_id, name), scene.some_items()
    ttl_ms, member = rng.choice((1_000, 5_000, 60_000, 60_000, 600_000)), scene.some_member()
    content = content_of(wanted, member)
    words = [gate_name(member), *(word for item in wanted.items() for word in item)]

    def attempt() -> Steps[list[str]]:
        args = (scene.runtime.clock(), hold, content, ttl_ms, scene.runtime.receipt_ms, name, *words)
        return (yield from on_account(scene.runtime, scene.account_id, Verb.RESERVE, args))

    answer = yield from insist(scene, attempt)
    scene.outcomes[f"reserve {answer[0] if answer else 'unknown'}"] += 1
    if answer and answer[0] in {Answer.CONFLICT, Answer.BAD}:
        raise Violation(f"reserve {name} was answered {answer}")
    if not answer or answer[0] in {Answer.INSUFFICIENT, Answer.LIMIT}:
        return
    yield Pause(rng.choice((0, 0, 20, 150)))
    fate = rng.random()
    if fate < 0.10:
        return
    if fate < 0.18:
        yield from insist(scene, lambda: _release(scene, hold))
        return
    if fate < 0.30:
        yield from insist(scene, lambda: _extend(scene, hold))
    yield from _commit_in_steps(scene, name, hold, wanted, member)


def _release(scene: Scene, hold: str) -> Steps[None]:
    args = (scene.runtime.clock(), hold, scene.runtime.receipt_ms)
    answer = yield from on_account(scene.runtime, scene.account_id, Verb.RELEASE, args)
    scene.outcomes[f"release {answer[0]}"] += 1


def _extend(scene: Scene, hold: str) -> Steps[None]:
    args = (scene.runtime.clock(), hold, 60_000, MAX_EXTENSION_S * 1000)
    answer = yield from on_account(scene.runtime, scene.account_id, Verb.EXTEND, args)
    scene.outcomes[f"extend {answer[0]}"] += 1


def _commit_in_steps(scene: Scene, name: str, hold: str, held: Mapping[str, int], member: str | None) -> Steps[None]:
    rng, left = scene.rng, dict(held)
    for number in range(rng.randint(0, 2)):
        used = {kind: rng.randint(0, amount) for kind, amount in left.items()}
        debiting = _commit(scene, name, hold, f"step {number}", used, member, is_final=False, overage=Overage.DENY)
        if not (yield from _send(scene, debiting)):
            return
        left = {kind: amount - used[kind] for kind, amount in left.items()}
        yield Pause(rng.choice((0, 50)))
    overage = rng.choice(tuple(Overage))
    fate = rng.random()
    if fate < 0.25:
        # Everything that is left, whatever it is.
        debiting = _commit(scene, name, hold, "final", left, member, is_final=True, overage=overage, is_all=True)
    elif fate < 0.5:
        above = {kind: amount + rng.randint(0, 6) for kind, amount in left.items()}
        debiting = _commit(scene, name, hold, "final", above, member, is_final=True, overage=overage)
    else:
        less = {kind: rng.randint(0, amount) for kind, amount in left.items()}
        debiting = _commit(scene, name, hold, "final", less, member, is_final=True, overage=overage)
    yield from _send(scene, debiting)


def _commit(
    scene: Scene,
    name: str,
    hold: str,
    step: str,
    items: Mapping[str, int],
    member: str | None,
    *,
    is_final: bool,
    overage: Overage,
    is_all: bool = False,
) -> Debiting:
    op = f"c:{hold}:{digest(step)[:12]}"
    if overage is Overage.ALLOW_DEBT:
        scene.promises.may_owe.add(op)
        scene.promises.unbound.add(op)
    if is_all:
        scene.promises.of_rest.add(op)
    words = (gate_name(member), *(() if is_all else (word for item in items.items() for word in item)))
    content = fingerprint("all" if is_all else sorted(items.items()), is_final, overage.value)
    return Debiting(
        verb=Verb.COMMIT,
        op=op,
        args=(
            hold,
            op,
            content,
            int(is_final),
            overage.value,
            scene.runtime.receipt_ms,
            name,
            *words,
        ),
        items=items,
        member=member,
    )


def spender(scene: Scene) -> Steps[None]:
    """Spend in one step, without a hold."""
    name = f"spend {next(scene.serial)}"
    items, kind = scene.some_items(), scene.rng.choice((DebitKind.SPEND, DebitKind.DEDUCT))
    hold = hold_name(TENANT, scene.account_id, f"{kind.value}\x1f{name}")
    op = f"{kind.value[0]}:{hold}"
    member = scene.some_member()
    words = [gate_name(member), *(word for item in items.items() for word in item)]
    if kind is DebitKind.DEDUCT:
        scene.promises.unbound.add(op)
    args = (hold, op, content_of(items, member), kind.value, scene.runtime.receipt_ms, name, *words)
    yield from _send(scene, Debiting(verb=Verb.SPEND, op=op, args=args, items=items, member=member))


def _send(scene: Scene, debiting: Debiting) -> Steps[bool]:
    """Send it until it is answered; at times once more, much later, without having looked. True if it was done."""
    is_ledger = scene.rng.random() < 0.4
    is_done = yield from _send_once(scene, debiting, is_ledger=is_ledger)
    while scene.rng.random() < 0.25:
        yield Pause(scene.rng.choice((5, 100, 700)))
        is_done = (yield from _send_once(scene, debiting, is_ledger=is_ledger)) or is_done
    if is_done and scene.rng.random() < 0.05:
        yield from _mistake(scene, debiting)
    return bool(is_done)


def _mistake(scene: Scene, debiting: Debiting) -> Steps[None]:
    """The same name for something else. Redis says so while it remembers; if it does not, somebody has to look."""
    other = {kind: amount + 1 for kind, amount in debiting.items.items()}
    scene.promises.contested[debiting.op] = other
    hold, op, _fingerprint, *more = debiting.args
    words = [word for item in other.items() for word in item]
    count = 5 if debiting.verb is Verb.COMMIT else 4
    args = (
        scene.account_id,
        scene.runtime.clock(),
        hold,
        op,
        fingerprint(sorted(other.items())),
        *more[:count],
        *words,
    )
    answer = yield from on_account(scene.runtime, scene.account_id, debiting.verb, args)
    scene.outcomes[f"mistaken {debiting.verb.value} {answer[0]}"] += 1
    if answer[0] == Answer.REPLAYED:
        raise Violation(f"{debiting.op} was answered {answer} for another content")


def _send_once(scene: Scene, debiting: Debiting, *, is_ledger: bool) -> Steps[bool | None]:
    is_done = yield from insist(scene, lambda: _debit(scene, debiting, is_ledger=is_ledger))
    if is_done is False:
        scene.promises.refuse(debiting.op)
    return is_done


def _debit(scene: Scene, debiting: Debiting, *, is_ledger: bool) -> Steps[bool]:
    """One attempt, by the rules of the library's commit and spend."""
    account_id, op = scene.account_id, debiting.op
    scene.promises.refused.discard(op)
    args = (account_id, scene.runtime.clock(), *debiting.args)
    answer = yield from on_account(scene.runtime, account_id, debiting.verb, args)
    scene.outcomes[f"{debiting.verb.value} {answer[0]}"] += 1
    if answer[0] in {Answer.CONFLICT, Answer.BAD}:
        raise Violation(f"{op} was answered {answer}")
    if answer[0] in {Answer.GONE, Answer.INSUFFICIENT, Answer.LIMIT}:
        # Redis may have forgotten what the ledger remembers.
        if not (yield from _is_booked(scene, op)):
            return False
        scene.promises.acknowledge(op, account_id, debiting.items, is_ledger=True)
        return True
    scene.promises.acknowledge(op, account_id, debiting.items, is_ledger=False)
    if is_ledger and any(debiting.items.values()):
        is_booked = yield from _await_booked(scene, op)
        scene.outcomes[f"ledger {'booked' if is_booked else 'pending'}"] += 1
        if is_booked:
            scene.promises.acknowledge(op, account_id, debiting.items, is_ledger=True)
    return True


def _await_booked(scene: Scene, op: str) -> Steps[bool]:
    # As many names as processes: who leads is one of them, and may die while it does.
    leader = f"process {scene.rng.randint(1, _PROCESSES)}"
    for _ in range(_LEDGER_ROUNDS):
        shard = shard_of(scene.account_id)
        settlement = yield from settle_shards(scene.runtime, [shard], leader=leader)
        if settlement.led_after:
            scene.outcomes["ledger led"] += 1
            yield Pause(10)
        if op in settlement.fingerprints or (yield from _is_booked(scene, op)):
            return True
        yield Pause(10)
    return False


def _is_booked(scene: Scene, op: str) -> Steps[bool]:
    found: bool = yield Sql(
        lambda connection: store.is_booked(connection, TENANT, op, scene.credit_types), is_read=True
    )
    return found
