"""Values of the simulator: what may go wrong, what was promised to whom, what was found."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from credits.reservations.torture.mutants import Mutant


class Fault(StrEnum):
    """What the simulator does to a step, or to Redis."""

    CRASH_BEFORE = "crash_before"
    CRASH_AFTER = "crash_after"
    STALL = "stall"
    REPLY_LOST = "reply_lost"
    REFUSED = "refused"
    RESTART = "restart"
    WIPE = "wipe"
    ROLLBACK = "rollback"
    KEY_DELETED = "key_deleted"
    CLOCK_JUMP = "clock_jump"
    SPLIT = "split"


LOSING = frozenset({Fault.WIPE, Fault.ROLLBACK, Fault.KEY_DELETED, Fault.SPLIT})
"""Faults after which Redis may lack commits that it acknowledged."""


class Violation(Exception):  # noqa: N818
    """A rule of the gate did not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What one run plays with. The same setup and seed play the same run."""

    accounts: int = 3
    credit_types: int = 2
    faults: frozenset[Fault] = frozenset(Fault)
    steps: int = 800
    """Steps before the run comes to rest."""
    strike_chance: float = 0.01
    """How likely something happens to Redis before a step."""
    members: int = 0
    """How many members each account has, with limits; most of its clients are then for one of them."""
    disputes: bool = False
    """Whether lots are frozen, set free, taken for good, and what clawbacks took is given back."""
    mutant: Mutant | None = None
    """The guard that is missing, to see that it is missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A violation, and how to see it again."""

    seed: int
    step: int
    message: str


@dataclass(frozen=True, slots=True)
class Promise:
    """A commit or spend that was acknowledged: what the ledger must say of its op in the end."""

    account_id: int
    items: Mapping[str, int]
    is_ledger: bool


@dataclass(slots=True)
class Promises:
    """What the actors were told. The ledger is held to it when the run has come to rest."""

    kept: dict[str, Promise] = field(default_factory=dict)
    """By op."""
    refused: set[str] = field(default_factory=set)
    """Ops whose caller was told, finally, that nothing was charged."""
    contested: dict[str, Mapping[str, int]] = field(default_factory=dict)
    """Ops that were sent with a second content, by mistake of their caller: that content."""
    of_rest: set[str] = field(default_factory=set)
    """Ops that commit whatever their hold still has: a Redis that goes back may have it hold more."""
    losable: set[str] = field(default_factory=set)
    """Ops whose journal line a fault took away."""
    may_owe: set[str] = field(default_factory=set)
    """Ops that allowed debt."""
    granted: dict[str, tuple[int, str, int]] = field(default_factory=dict)
    """(account, credit type, amount) by key."""
    unbound: set[str] = field(default_factory=set)
    """Ops that no limit of a member holds up: debt that is allowed, deductions by hand."""

    def acknowledge(self, op: str, account_id: int, items: Mapping[str, int], *, is_ledger: bool) -> None:
        """An actor was told that `op` is done."""
        before = self.kept.get(op)
        self.kept[op] = Promise(account_id, dict(items), is_ledger or (before is not None and before.is_ledger))
        self.refused.discard(op)

    def refuse(self, op: str) -> None:
        """An actor was told that `op` charged nothing."""
        if op not in self.kept:
            self.refused.add(op)


@dataclass(slots=True)
class Report:
    """What a campaign did and found."""

    steps: int = 0
    runs: int = 0
    checks: int = 0
    lost_acknowledgements: int = 0
    """Commits at level `redis` that a wipe, a rollback or a deleted key took: allowed, and counted."""
    faults: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        """Add another report's numbers to these."""
        self.steps += other.steps
        self.runs += other.runs
        self.checks += other.checks
        self.lost_acknowledgements += other.lost_acknowledgements
        self.faults.update(other.faults)
        self.outcomes.update(other.outcomes)
        self.findings += other.findings
