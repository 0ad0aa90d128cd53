"""A hold in the hands of a job: commit it, release it, or leave the block and it goes back."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Protocol, TypeVar

from credits.clock import iso
from credits.errors import CreditsError, DependencyError, HoldEndedError, InvalidInputError
from credits.log import get_logger
from credits.reservations.answers import Committed, Held
from credits.reservations.heartbeat import Beating, Heartbeat, heartbeat
from credits.reservations.model import Durability, HoldState, Overage
from credits.reservations.records import HoldRecord

FINAL_STEP: Final = "final"

Choice = TypeVar("Choice", Overage, Durability)

log = get_logger(__name__)


class HoldCalls(Protocol):
    """What a hold needs of the gate: asked directly by the library, over HTTP by the client."""

    def commit(
        self,
        account: str,
        reservation_id: str,
        items: Mapping[str, int] | None = None,
        /,
        *,
        step: str = "final",
        final: bool = True,
        overage: Overage = Overage.DENY,
        durability: Durability = Durability.LEDGER,
        if_lost: Mapping[str, int] | None = None,
        member: str | None = None,
    ) -> Committed: ...

    def release(self, account: str, reservation_id: str, /) -> bool: ...

    def extend(self, account: str, reservation_id: str, /, *, ttl_s: float) -> int: ...

    def find(self, account: str, reservation_id: str, /) -> HoldRecord | None: ...


class HoldSeen:
    """A hold as this process knows it, whoever it asks: what both kinds of hold share."""

    def __init__(self, held: Held, *, ttl_s: float) -> None:
        self._held = held
        self._ttl_s = ttl_s
        self._state = held.state
        self._expires_at_ms = held.expires_at_ms
        self._committed: dict[str, int] = {}
        self._steps: set[str] = set()
        self._is_in_doubt = False
        """Whether the last commit was not answered: it may have arrived, and finds its credits when it is repeated."""

    @property
    def account(self) -> str:
        return self._held.account

    @property
    def member(self) -> str | None:
        """For whom of the account's members; None: for nobody in particular."""
        return self._held.member

    @property
    def reservation_id(self) -> str:
        """The name under which every call about this hold may be repeated, from any process."""
        return self._held.reservation_id

    @property
    def items(self) -> Mapping[str, int]:
        """What was reserved."""
        return self._held.items

    @property
    def expires_at_ms(self) -> int:
        """The deadline, as last heard."""
        return self._expires_at_ms

    @property
    def replayed(self) -> bool:
        """True if this reservation was made before: the same hold again, in whatever state it is."""
        return self._held.replayed

    @property
    def state(self) -> HoldState:
        """HELD until it is committed, released, or known to have expired."""
        return self._state

    @property
    def is_over(self) -> bool:
        """True once nothing is held any more, as far as this process knows."""
        return self._state is not HoldState.HELD

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.reservation_id!r} of {self.account!r}: {dict(self.items)}, "
            f"{self._state.name.lower()}, until {iso(self._expires_at_ms)}>"
        )

    def _left(self, record: HoldRecord | None) -> Mapping[str, int] | None:
        """
        What a commit of everything comes to if Redis has lost the hold; None where this process cannot know.

        `record` is what Redis has of a hold that another process may have made.
        """
        if record is not None and record.steps > len(self._steps):
            return None
        left = {kind: amount - self._committed.get(kind, 0) for kind, amount in self.items.items()}
        return {kind: amount for kind, amount in left.items() if amount > 0} or None

    def _has_committed(self, step: str, used: Mapping[str, int] | None, *, final: bool, answer: Committed) -> None:
        self._is_in_doubt = False
        if step not in self._steps:
            self._steps.add(step)
            for kind, amount in (used or {}).items():
                self._committed[kind] = self._committed.get(kind, 0) + amount
        if final or answer.rescued:
            self._end(HoldState.COMMITTED)

    def _lost(self) -> None:
        if not self.is_over:
            self._end(HoldState.EXPIRED)

    def _end(self, state: HoldState) -> None:
        self._state = state


class Hold(HoldSeen):
    """
    Credits set aside for one job.

    As a context manager it is extended while the block runs, and released when the block ends without a final commit,
    by an exception or by itself. A process that dies leaves it to its deadline, and so does a block whose last commit
    was not answered: it may be repeated. For one job, in one thread at a time.
    """

    def __init__(self, gate: HoldCalls, held: Held, *, ttl_s: float, beats: Heartbeat = heartbeat) -> None:
        super().__init__(held, ttl_s=ttl_s)
        self._gate = gate
        self._beats = beats
        self._beating: Beating | None = None

    def commit(
        self,
        items: Mapping[str, int] | None = None,
        *,
        step: str | None = None,
        final: bool = True,
        overage: Overage | str = Overage.DENY,
        durability: Durability | str = Durability.LEDGER,
        **amounts: int,
    ) -> Committed:
        """
        Pay for what was used: all that is held, or these amounts (`image_generation=0` is one). The rest goes back.

        With `final=False` the rest stays held, and `step` names this part. Safe to repeat with the same step.
        A hold that is over is paid from what is available, if that suffices: the answer then says `rescued`.

        Raises:
            HoldEndedError: the hold is over and the credits do not suffice; nothing was charged.
            InsufficientCreditsError: more than held, and neither policy nor balance allow it; nothing was charged.
            MemberLimitExceededError: more than held, and a limit of the hold's member forbids it; nothing was charged.
            IdempotencyConflictError: the step was committed before with other amounts.
            GateUnavailableError: Redis did not answer; repeat the call, it charges once.
        """
        used, name = chosen_items(items, amounts), chosen_step(step, final=final)
        try:
            committed = self._gate.commit(
                self.account,
                self.reservation_id,
                used,
                step=name,
                final=final,
                overage=chosen(Overage, overage, "overage"),
                durability=chosen(Durability, durability, "durability"),
                if_lost=self._left(self._found()) if used is None else None,
                member=self.member,
            )
        except DependencyError:
            self._is_in_doubt = True
            raise
        self._has_committed(name, used, final=final, answer=committed)
        return committed

    def release(self) -> bool:
        """Give back what is still held; True if something was. Safe to repeat."""
        was_open = self._gate.release(self.account, self.reservation_id)
        if not self.is_over:
            self._end(HoldState.RELEASED)
        return was_open

    def extend(self, ttl_s: float) -> int:
        """Move the deadline to `ttl_s` from now, never nearer; answers it in ms. Raises HoldEndedError."""
        try:
            self._expires_at_ms = self._gate.extend(self.account, self.reservation_id, ttl_s=ttl_s)
        except HoldEndedError:
            self._lost()
            raise
        return self._expires_at_ms

    @contextmanager
    def kept_alive(self) -> Iterator["Hold"]:
        """Extend it while the block runs, and leave it as it is when the block ends: for who decides by themselves."""
        self._start_beating()
        try:
            yield self
        finally:
            self._stop_beating()

    def __enter__(self) -> "Hold":
        self._start_beating()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_beating()
        if self.is_over or self._is_in_doubt:
            return
        try:
            self.release()
        except CreditsError as failed:
            # The deadline frees it; what the block did or raised is more important than this.
            log.warning("hold.not_released", account=self.account, reservation=self.reservation_id, code=failed.code)

    def _found(self) -> HoldRecord | None:
        # Nobody else can have committed parts of a hold that this process made.
        return self._gate.find(self.account, self.reservation_id) if self.replayed else None

    def _end(self, state: HoldState) -> None:
        super()._end(state)
        self._stop_beating()

    def _start_beating(self) -> None:
        if not self.is_over:
            self._beating = Beating(
                self.reservation_id, self._ttl_s, lambda: self.extend(self._ttl_s), on_end=self._lost
            )
            self._beats.start(self._beating)

    def _stop_beating(self) -> None:
        if self._beating is not None:
            self._beats.stop(self._beating)


def chosen_step(step: str | None, *, final: bool) -> str:
    """The name of a commit. Raises InvalidInputError if it needs one and has none."""
    if step is None and not final:
        raise InvalidInputError("step", "must name this part of the job, for example step='page-1', if final=False")
    return FINAL_STEP if step is None else step


def chosen_items(items: Mapping[str, int] | None, amounts: Mapping[str, int]) -> Mapping[str, int] | None:
    """Amounts given as a mapping or as keywords; None if neither. Raises InvalidInputError for both."""
    if items is not None and amounts:
        raise InvalidInputError("items", "give the amounts as items={…} or as keywords, not both")
    return items if items is not None else (amounts or None)


def chosen(choices: type[Choice], value: Choice | str, field: str) -> Choice:
    """The member of `choices` that `value` names. Raises InvalidInputError that lists them."""
    try:
        return choices(value)
    except ValueError:
        known = ", ".join(choices)
        raise InvalidInputError(field, f"must be one of {known}, got {value!r}") from None
