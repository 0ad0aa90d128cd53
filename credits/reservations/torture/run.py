"""Runs of the simulator: who moves next, what goes wrong with the step, and the rest that every run comes to."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy.exc import OperationalError

from credits.errors import GateUnavailableError
from credits.reservations.keys import SHARD_COUNT
from credits.reservations.scripts import Verb
from credits.reservations.steps import Call, Pause, Sql, Step, Steps
from credits.reservations.torture.actors import Scene
from credits.reservations.torture.checks import Checker
from credits.reservations.torture.faults import Saboteur
from credits.reservations.torture.freezers import FREEZING_ROLES
from credits.reservations.torture.model import Fault, Finding, Promises, Report, Setup, Violation
from credits.reservations.torture.mutants import Tamper, without_guard
from credits.reservations.torture.officers import MEMBER_ROLES
from credits.reservations.torture.rest import come_to_rest
from credits.reservations.torture.staff import ROLES
from credits.reservations.torture.view import questions
from credits.reservations.torture.world import Caller, Server, World

_CROWD: Final = 9
"""Actors at work at once."""
_FIRST_GRANTERS: Final = 8
"""There is something to spend from the start."""
_MISHAPS: Final = (
    (Fault.CRASH_BEFORE, 0.010),
    (Fault.CRASH_AFTER, 0.010),
    (Fault.REPLY_LOST, 0.040),
    (Fault.REFUSED, 0.020),
    (Fault.STALL, 0.050),
)
_STALLS: Final = (5, 30, 120)


@dataclass(slots=True, eq=False)
class Actor:
    """Somebody at work: a procedure that stands before its next step."""

    role: str
    caller: Caller
    steps: Steps[None]
    step: Step
    asleep: int = 0
    epochs_read: dict[int, int] = field(default_factory=dict)
    """By shard, as SQL had them at its last reading step."""


class Simulation:
    """One run, from its seed."""

    def __init__(self, server: Server, seed: int, setup: Setup, tamper: Tamper) -> None:
        self._world = World(server, seed, setup, tamper)
        self._rng = self._world.rng
        self._promises, self.report = Promises(), Report(runs=1)
        self._checker = Checker(self._world, self._promises)
        self._saboteur = Saboteur(self._world, self._checker, self._promises, self.report.faults)
        self._serial, self._entered, self._actors = itertools.count(1), itertools.count(), list[Actor]()
        self._mishaps = [(fault, chance) for fault, chance in _MISHAPS if fault in setup.faults]

    def play(self) -> Finding | None:
        """Play the run to its rest; answers the violation that ended it, if one did."""
        try:
            while self.report.steps < self._world.setup.steps:
                self._move()
            self._saboteur.make_peace()
            come_to_rest(self._world, self._checker, self._promises, self.report)
        except Violation as violation:
            return self._finding(str(violation))
        # Whatever a script or a procedure raises that is not an outage is a finding too.
        except Exception as error:  # noqa: BLE001
            return self._finding(f"{type(error).__name__}: {error}")
        finally:
            self.report.checks = self._checker.count
        return None

    def _finding(self, message: str) -> Finding:
        return Finding(seed=self._world.seed, step=self.report.steps, message=message)

    def _move(self) -> None:
        """One move: somebody comes, something happens to Redis, or somebody takes a step."""
        if len(self._actors) < _CROWD:
            self._enter()
            return
        actor = self._rng.choice(self._actors)
        if actor.asleep > 0:
            actor.asleep -= 1
            return
        if isinstance(actor.step, Pause):
            actor.asleep = actor.step.ms // 10
            self._go_on(actor, lambda: actor.steps.send(None))
            return
        if self._rng.random() < self._world.setup.strike_chance:
            self._saboteur.strike()
        self._step(actor)

    def _enter(self) -> None:
        roles = ROLES | MEMBER_ROLES if self._world.members else ROLES
        if self._world.setup.disputes:
            roles = roles | FREEZING_ROLES
        names = list(roles)
        role = self._rng.choices(names, [roles[name][1] for name in names])[0]
        if next(self._entered) < _FIRST_GRANTERS:
            role = "granter"
        caller = self._rng.choice(self._world.callers)
        scene = Scene(
            rng=self._rng,
            runtime=caller.runtime,
            account_id=self._rng.choice(self._world.account_ids),
            credit_types=self._world.credit_types,
            promises=self._promises,
            outcomes=self.report.outcomes,
            serial=self._serial,
            members=self._world.members,
        )
        steps = roles[role][0](scene)
        try:
            self._actors.append(Actor(role=role, caller=caller, steps=steps, step=next(steps)))
        except StopIteration:
            return

    def _step(self, actor: Actor) -> None:
        mishap = self._mishap()
        if mishap is not None:
            self.report.faults[mishap.value] += 1
        if mishap is Fault.STALL:
            actor.asleep = self._rng.choice(_STALLS)
            return
        self.report.steps += 1
        self._world.pass_time(self._rng.choice((0, 1, 5, 40)))
        if mishap is Fault.CRASH_BEFORE:
            self._leave(actor)
            return
        if mishap is Fault.REFUSED:
            self._go_on(actor, lambda: actor.steps.throw(_outage(actor.step)))
            return
        answer = self._checked(actor)
        match mishap:
            case Fault.CRASH_AFTER:
                self._leave(actor)
            case Fault.REPLY_LOST:
                self._go_on(actor, lambda: actor.steps.throw(_outage(actor.step)))
            case _:
                self._go_on(actor, lambda: actor.steps.send(answer))

    def _mishap(self) -> Fault | None:
        dice = self._rng.random()
        for fault, chance in self._mishaps:
            dice -= chance
            if dice < 0:
                return fault
        return None

    def _go_on(self, actor: Actor, go: Callable[[], Step]) -> None:
        try:
            actor.step = go()
        except StopIteration:
            self._actors.remove(actor)
        except (GateUnavailableError, OperationalError):
            # It has given up, as a worker does whose next round comes soon.
            self.report.outcomes[f"{actor.role} gave up"] += 1
            self._actors.remove(actor)

    def _leave(self, actor: Actor) -> None:
        """It dies where it stands: nothing of it runs any more."""
        actor.steps.close()
        self._actors.remove(actor)

    def _checked(self, actor: Actor) -> Any:
        """Carry a step out, and check what it may have changed. What a script may change is read in its own packet."""
        caller, step = actor.caller, actor.step
        if isinstance(step, Call):
            wire = self._world.server.wires[caller.master]
            shard, account_ids = _touched(step, self._world.account_ids)
            wire.after = questions([shard], account_ids)
            try:
                answer = self._world.perform(caller, step)
            finally:
                wire.after = []
            if step.verb is Verb.APPLY and answer[0] == "GAP" and not self._world.was_split:
                raise Violation(f"credit {step.args[2]} came to the gate before the one below it")
            if step.verb is Verb.FINISH_LOAD and answer[0] == "LOADED" and step.args[0] != actor.epochs_read[shard]:
                raise Violation(f"loaded in epoch {step.args[0]} what was read in {actor.epochs_read[shard]}")
            self._checker.check_gate(caller.master, [shard], account_ids, wire.seen)
            self._checker.check_time(caller.master, step, answer)
            return answer
        answer = self._world.perform(caller, step)
        if isinstance(step, Sql) and step.is_read:
            actor.epochs_read = self._checker.ledger.epochs()
        elif isinstance(step, Sql):
            self._checker.check_ledger()
        return answer


def _touched(step: Call, account_ids: list[int]) -> tuple[int, list[int]]:
    """The shard that a script works on, and the accounts it names, or all of the shard's if it names none."""
    shard = int(step.keys[0].split("{")[1].split("}")[0])
    named = [int(key.rsplit(":", 1)[1]) for key in step.keys if ":account:" in key]
    return shard, named or [one for one in account_ids if one % SHARD_COUNT == shard]


def _outage(step: Step) -> Exception:
    if isinstance(step, Sql):
        return OperationalError("simulated", {}, Exception("the database is away"))
    return GateUnavailableError("simulated: Redis is away")


def campaign(server: Server, setup: Setup, *, first_seed: int, steps: int) -> Iterator[Report]:
    """Run seed after seed until `steps` steps are done; answers each run's report as it ends."""
    done = 0
    for seed in itertools.count(first_seed):
        if done >= steps:
            return
        report = play(server, seed, setup)
        done += max(report.steps, 1)
        yield report


def play(server: Server, seed: int, setup: Setup) -> Report:
    """Play one seed."""
    with without_guard(setup.mutant) as tamper:
        simulation = Simulation(server, seed, setup, tamper)
        finding = simulation.play()
    if finding is not None:
        simulation.report.findings.append(finding)
    return simulation.report
