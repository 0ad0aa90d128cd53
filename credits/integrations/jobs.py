"""One run of a job that pays for itself: what a Celery task and a Flask view share. Every run of a job has one name."""

import inspect
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from credits.errors import CreditsError, DependencyError, IdempotencyConflictError
from credits.ids import new_id
from credits.integrations.cover import covered
from credits.log import get_logger
from credits.reservations.hold import Hold
from credits.reservations.model import Durability, HoldState, Overage
from credits.units import checked_amount

PAY_PATIENCE_S: Final = 30.0
"""How long a job that is done waits for a gate that is away before it fails unpaid."""

MAX_KEPT_S: Final = 86_400.0
"""No hold is made or extended for more than a day at a time."""

_PAUSE_S: Final = 0.25

T = TypeVar("T")

log = get_logger(__name__)


class SpendsCredits(Protocol):
    """Whoever holds credits for a job: `Credits` in the same process, or `CreditsClient` over HTTP."""

    def reserve(
        self,
        account: str,
        items: Mapping[str, int] | None = None,
        *,
        reservation_id: str | None = None,
        ttl_s: float = 60,
        member: str | None = None,
    ) -> Hold: ...

    def release(self, account: str, reservation_id: str) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one job holds and how it pays."""

    account: str
    items: Mapping[str, int]
    name: str
    """Of the hold, and so of the charge: the same for every run of the job."""
    ttl_s: float = 60.0
    overage: Overage = Overage.DENY
    durability: Durability = Durability.LEDGER
    member: str | None = None
    """Whose budget in the account it counts against."""


class Job:
    """
    One run of a job. However many runs there are, one after the other or at once, the job is charged once.

    The charge is the final commit of the hold that has the job's name. If an earlier run let that hold end, this run
    holds the same credits anew under a name of its own, and pays under the job's name all the same.
    """

    def __init__(self, library: SpendsCredits, terms: Terms) -> None:
        """
        Hold the credits, or find them held.

        Raises:
            InsufficientCreditsError: too few; nothing is held.
            MemberLimitExceededError: more than the member may spend; nothing is held.
            IdempotencyConflictError: the job's name was used before with other items.
            GateUnavailableError: no answer; safe to repeat.
        """
        self.terms = terms
        self.spent: Mapping[str, int] | None = None
        """What the run has used so far, to be said by the job itself. None: all that is held."""
        hold = _reserve(library, terms, terms.name)
        self.was_paid_before = hold.state is HoldState.COMMITTED
        """True if an earlier run has paid. This one is free."""
        self._is_covered = hold.is_over and not self.was_paid_before
        if self._is_covered:
            # Its worker died, or it failed and is run again. No run begins without credits set aside for it.
            cover = _reserve(library, terms, new_id())
            hold = covered(hold, cover, ttl_s=terms.ttl_s)
        self.hold = hold

    def pay(self, *, patience_s: float = PAY_PATIENCE_S) -> None:
        """
        Commit what was used, once for all runs; nothing if the job has committed or released its hold by itself.

        A gate that is away is waited for.

        Raises:
            HoldEndedError, InsufficientCreditsError: the credits do not suffice; nothing was charged.
            GateUnavailableError: no answer within `patience_s`; whether it is charged is not known. Safe to repeat.
        """
        deadline_s = time.monotonic() + patience_s
        while self.hold.state not in {HoldState.COMMITTED, HoldState.RELEASED}:
            try:
                self.hold.commit(self.spent, overage=self.terms.overage, durability=self.terms.durability)
            except IdempotencyConflictError:
                # Another run of the same job was done first, and used another amount. It has paid for the job.
                log.warning("job.paid_by_another_run", job=self.terms.name, account=self.terms.account)
                return
            except DependencyError:
                if time.monotonic() + _PAUSE_S >= deadline_s:
                    raise
                time.sleep(_PAUSE_S)

    def give_back(self) -> None:
        """Release what it holds: the job failed, and nothing more is charged. Else the deadline frees it."""
        if self.hold.is_over:
            return
        try:
            self.hold.release()
        except CreditsError as error:
            log.warning("hold.not_released", account=self.terms.account, reservation=self.terms.name, code=error.code)

    def keep(self, for_s: float) -> None:
        """Hold on for the next run, which is to begin within `for_s`."""
        if self._is_covered:
            # The next run does not know the cover's name. It takes one of its own.
            self.give_back()
        elif not self.hold.is_over:
            try:
                self.hold.extend(min(for_s, MAX_KEPT_S))
            except CreditsError as error:
                # The next run holds its credits anew, if there are any.
                log.warning("hold.not_extended", hold=self.terms.name, code=error.code)


def _reserve(library: SpendsCredits, terms: Terms, name: str) -> Hold:
    return library.reserve(terms.account, terms.items, reservation_id=name, ttl_s=terms.ttl_s, member=terms.member)


class LibraryOfProcess:
    """The library that jobs of this process use: made by the first of them, and anew after a fork."""

    def __init__(self, make: Callable[[], SpendsCredits]) -> None:
        self._make = make
        self._made: tuple[int, SpendsCredits] | None = None

    def __call__(self) -> SpendsCredits:
        process = os.getpid()
        if self._made is None or self._made[0] != process:
            # Connections must not be shared with the process this one was forked from.
            self._made = (process, self._make())
        return self._made[1]


def library_from_env() -> SpendsCredits:
    """`CreditsClient` where CREDITGATE_URL says whom to call; else `Credits`, as this folder configures it."""
    if os.environ.get("CREDITGATE_URL"):
        from credits.client import CreditsClient  # one of the two is not needed, and may not be installed

        return CreditsClient()
    from credits.engine import Credits

    return Credits.from_env()


def library_of(using: SpendsCredits | Callable[[], SpendsCredits] | None) -> Callable[[], SpendsCredits]:
    """A function that answers the library: of one that is given, of one that makes it, or from the environment."""
    if using is None:
        return LibraryOfProcess(library_from_env)
    if callable(using):
        return LibraryOfProcess(using)
    return lambda: using


_current: ContextVar[Job | None] = ContextVar("credits_job", default=None)


@contextmanager
def as_current(job: Job) -> Iterator[None]:
    """Let `current_job` answer `job` while the block runs."""
    token = _current.set(job)
    try:
        yield
    finally:
        # A generator may be closed elsewhere than where it began.
        with suppress(ValueError):
            _current.reset(token)


def current_job() -> Job:
    """The job that is running here, for its cost: `current_job().spent = {"tokens": 120}`. Raises RuntimeError."""
    job = _current.get()
    if job is None:
        raise RuntimeError("no job is running here: call it in a task or view that spends credits")
    return job


def current_hold() -> Hold:
    """The hold of the job that is running here. Raises RuntimeError outside of one."""
    return current_job().hold


Arguments = Mapping[str, Any]
"""The arguments of a task or view by name, with defaults."""

Amount = int | Callable[[Arguments], int]
Items = Mapping[str, Amount] | Callable[[Arguments], Mapping[str, int]]


Named = str | Callable[[Arguments], T]
"""What a job says of itself by one of its arguments: the argument's name, or a function of them all."""


def check_amounts(fun: Callable[..., Any], items: Items | None, amounts: Mapping[str, Amount], example: str) -> None:
    """Find amounts that no job could be paid by. Raises TypeError for none or both, InvalidAmountError for one."""
    if not callable(items) and not items and not amounts:
        raise TypeError(f"say what {fun.__qualname__} spends, for example {example}")
    if callable(items) and amounts:
        raise TypeError("give the amounts as a function of all of them or by credit type, not both")
    for kind, amount in {**({} if callable(items) else items or {}), **amounts}.items():
        if not callable(amount):
            checked_amount(amount, f"items.{kind}", smallest=0)


def check_named(fun: Callable[..., Any], named: Named[Any] | None, what: str, example: str) -> None:
    """Raise TypeError if `named` is no argument of `fun`."""
    if isinstance(named, str) and named not in inspect.signature(fun).parameters:
        raise TypeError(
            f"{fun.__qualname__} has no argument {named!r} for the {what}: name one of its arguments, or give a "
            f"function of them: {example}"
        )


def value_of(named: Named[T], arguments: Arguments) -> T:
    """What `named` says for these arguments."""
    found: T = named(arguments) if callable(named) else arguments[named]
    return found


def items_for(items: Items | None, amounts: Mapping[str, Amount], arguments: Arguments) -> dict[str, int]:
    """What a job with these arguments holds. A type of which it needs 0 is left out."""
    chosen = items(arguments) if callable(items) else {**(items or {}), **amounts}
    found = {kind: amount(arguments) if callable(amount) else amount for kind, amount in chosen.items()}
    return {kind: amount for kind, amount in found.items() if type(amount) is not int or amount != 0}
