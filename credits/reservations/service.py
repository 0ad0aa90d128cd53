"""Reservations of one tenant: hold credits, commit what was used, give the rest back. What the library stands on."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from credits.config.settings import Tenant
from credits.db import snapshot
from credits.errors import (
    HoldEndedError,
    IdempotencyConflictError,
    InsufficientCreditsError,
    InvalidInputError,
    Shortage,
)
from credits.ids import checked_id, digest
from credits.ledger import store as ledger_store
from credits.ledger.model import Balance
from credits.reservations import store
from credits.reservations.journal import Origin
from credits.reservations.keys import shard_of
from credits.reservations.model import Answer, DebitKind, Durability, HoldState, Overage
from credits.reservations.protocol import on_account
from credits.reservations.records import HoldRecord, read_record
from credits.reservations.scripts import Verb
from credits.reservations.settlement import settle
from credits.reservations.steps import GateRuntime, run
from credits.units import MAX_AMOUNT, checked_amount

MAX_TYPES: Final = 16
MIN_TTL_S: Final = 1
MAX_TTL_S: Final = 86_400
MAX_EXTENSION_S: Final = 7 * 86_400
"""A hold ends this long after it was made, however often it is extended."""

LEDGER_WAIT_S: Final = 5.0
_POLL_S: Final = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Credits set aside for one job."""

    account: str
    account_id: int
    reservation_id: str
    hold: str
    items: Mapping[str, int]
    expires_at_ms: int
    state: HoldState
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The answer to a commit, with what it survives."""

    reservation_id: str
    durability: Durability
    """`ledger`: booked in SQL. `redis`: as durable as that Redis; booked within moments."""
    is_pending: bool = False
    """True if the ledger was asked for but did not answer in time: repeat the commit to learn more."""
    rescued: bool = False
    """The hold was gone; what was available paid for it."""
    replayed: bool = False


@dataclass(slots=True)
class Reservations:
    """
    The gate for one tenant. Safe to share between threads.

    Every call is safe to repeat by its name: the reservation id, and for a commit its step.
    Raises GateUnavailableError within seconds where Redis or, for what needs it, SQL is away.
    """

    runtime: GateRuntime
    tenant: Tenant
    credit_types: tuple[str, ...]
    """Every credit type there is: an op's entries are looked for under these."""
    max_exposure: int = MAX_AMOUNT
    """Unsettled credits of one account above which a commit waits for the ledger whatever it asked for."""
    _account_ids: dict[str, int] = field(default_factory=dict)
    _leaders: dict[int, threading.Lock] = field(default_factory=dict)

    def reserve(self, account: str, items: Mapping[str, int], *, reservation_id: str, ttl_s: float) -> Held:
        """
        Hold credits of every type in `items`, or of none, until commit, release, or `ttl_s` from now.

        Raises:
            InsufficientCreditsError: one type at least is short; it names what is needed and available of each.
            IdempotencyConflictError: the id was used before for other items.
        """
        name, wanted = checked_id(reservation_id, "reservation_id"), checked_items(items)
        ttl_ms = checked_ttl_ms(ttl_s)
        account_id = self._account_id(account)
        if account_id is None:
            raise InsufficientCreditsError(*(Shortage(kind, amount, 0) for kind, amount in wanted.items()))
        hold = hold_name(self.tenant, account_id, name)
        answer = self._call(
            account_id,
            Verb.RESERVE,
            (
                self.runtime.clock(),
                hold,
                fingerprint(*sorted(wanted.items())),
                ttl_ms,
                self.runtime.receipt_ms,
                name,
                *_flat(wanted),
            ),
        )
        match answer[0]:
            case Answer.HELD:
                state, due = HoldState.HELD, int(answer[1])
            case Answer.REPLAYED:
                state, due = HoldState(answer[1]), int(answer[2])
            case _:
                raise _refusal(answer, name)
        return Held(
            account=account,
            account_id=account_id,
            reservation_id=name,
            hold=hold,
            items=wanted,
            expires_at_ms=due,
            state=state,
            replayed=answer[0] == Answer.REPLAYED,
        )

    def commit(
        self,
        account: str,
        reservation_id: str,
        items: Mapping[str, int] | None = None,
        *,
        step: str = "final",
        final: bool = True,
        overage: Overage = Overage.DENY,
        durability: Durability = Durability.LEDGER,
    ) -> Committed:
        """
        Turn held credits into spending: all that is held, or `items` (0 allowed), by policy even more.

        With `final` the rest returns; without it the rest stays held for further steps, each named by `step`. A hold
        that is gone is paid from what is available, if that suffices.

        Raises:
            HoldEndedError: the hold is gone and the credits do not suffice; nothing was charged.
            InsufficientCreditsError: more than held was asked for, and the policy or the balance says no.
            IdempotencyConflictError: the step was committed before with other amounts.
        """
        name = checked_id(reservation_id, "reservation_id")
        used = None if items is None else checked_items(items, smallest=0)
        account_id = self._known_account_id(account, name)
        hold = hold_name(self.tenant, account_id, name)
        op = f"c:{hold}:{digest(step)[:12]}"
        content = fingerprint("all" if used is None else sorted(used.items()), final, overage.value)
        answer = self._call(
            account_id,
            Verb.COMMIT,
            (
                account_id,
                self.runtime.clock(),
                hold,
                op,
                content,
                int(final),
                overage.value,
                self.runtime.receipt_ms,
                name,
                *_flat(used or {}),
            ),
        )
        if answer[0] == Answer.GONE and self._is_booked(op):
            # Redis has forgotten what the ledger remembers for ever.
            return Committed(reservation_id=name, durability=Durability.LEDGER, replayed=True)
        if answer[0] not in {Answer.COMMITTED, Answer.RESCUED, Answer.REPLAYED}:
            raise _refusal(answer, name)
        return self._acknowledged(account_id, name, op, answer, durability)

    def spend(
        self,
        account: str,
        items: Mapping[str, int],
        *,
        key: str,
        kind: DebitKind = DebitKind.SPEND,
        origin: Origin | None = None,
        durability: Durability = Durability.LEDGER,
    ) -> Committed:
        """
        Reserve and commit in one step; once per key.

        Raises:
            InsufficientCreditsError: one type at least is short; nothing was taken.
            IdempotencyConflictError: the key was used before for something else.
        """
        name, wanted = checked_id(key, "key"), checked_items(items)
        account_id = self._account_id(account)
        if account_id is None:
            raise InsufficientCreditsError(*(Shortage(kind_, amount, 0) for kind_, amount in wanted.items()))
        hold = hold_name(self.tenant, account_id, f"{kind.value}\x1f{name}")
        op = f"{kind.value[0]}:{hold}"
        answer = self._call(
            account_id,
            Verb.SPEND,
            (
                account_id,
                self.runtime.clock(),
                hold,
                op,
                fingerprint(*sorted(wanted.items())),
                kind.value,
                self.runtime.receipt_ms,
                (origin or Origin(reservation_id=name)).as_text(),
                *_flat(wanted),
            ),
        )
        if answer[0] == Answer.INSUFFICIENT and self._is_booked(op):
            return Committed(reservation_id=name, durability=Durability.LEDGER, replayed=True)
        if answer[0] not in {Answer.COMMITTED, Answer.REPLAYED}:
            raise _refusal(answer, name)
        return self._acknowledged(account_id, name, op, answer, durability)

    def release(self, account: str, reservation_id: str) -> bool:
        """Give back what a hold still has; True if it was open until now. Safe to repeat."""
        name = checked_id(reservation_id, "reservation_id")
        account_id = self._account_id(account)
        if account_id is None:
            return False
        hold = hold_name(self.tenant, account_id, name)
        answer = self._call(account_id, Verb.RELEASE, (self.runtime.clock(), hold, self.runtime.receipt_ms))
        return answer[0] == Answer.RELEASED

    def extend(self, account: str, reservation_id: str, *, ttl_s: float) -> int:
        """
        Move a hold's deadline to `ttl_s` from now, never nearer; answers it in ms.

        Raises HoldEndedError if the hold is over.
        """
        name, ttl_ms = checked_id(reservation_id, "reservation_id"), checked_ttl_ms(ttl_s)
        account_id = self._account_id(account)
        if account_id is None:
            raise HoldEndedError(f"there is no hold {name!r}")
        answer = self._call(
            account_id,
            Verb.EXTEND,
            (self.runtime.clock(), hold_name(self.tenant, account_id, name), ttl_ms, MAX_EXTENSION_S * 1000),
        )
        if answer[0] != Answer.EXTENDED:
            raise HoldEndedError(f"hold {name!r} is over")
        return int(answer[1])

    def balances(self, account: str) -> dict[str, Balance]:
        """
        Balance, held, pending, available and debt per credit type, exact to this instant.

        `balance` is what the ledger will say once everything pending is booked plus what is pending: the ledger's own.
        """
        account_id = self._account_id(account)
        if account_id is None:
            return {}
        with snapshot(self.runtime.engine) as connection:
            booked = {kind: (sum_, debt) for kind, sum_, debt in ledger_store.all_balances(connection, account_id)}
        answer = self._call(account_id, Verb.READ, (self.runtime.clock(), self.runtime.receipt_ms, *booked))
        found = {}
        for at in range(1, len(answer), 6):
            kind, free, held, pending, debt = answer[at], *(int(word) for word in answer[at + 1 : at + 5])
            found[kind] = Balance(balance=booked[kind][0], held=held, pending=pending, available=free, debt=debt)
        return found

    def holds(self, account: str, *, limit: int = 100) -> list[HoldRecord]:
        """Open holds, the soonest due first."""
        account_id = self._account_id(account)
        if account_id is None:
            return []
        args = (self.runtime.clock(), self.runtime.receipt_ms, limit, "")
        return _records(self._call(account_id, Verb.LIST_HOLDS, args))

    def find(self, account: str, reservation_id: str) -> HoldRecord | None:
        """A hold by its id, one that ended included while Redis remembers it."""
        account_id = self._account_id(account)
        if account_id is None:
            return None
        hold = hold_name(self.tenant, account_id, checked_id(reservation_id, "reservation_id"))
        args = (self.runtime.clock(), self.runtime.receipt_ms, 1, hold)
        found = _records(self._call(account_id, Verb.LIST_HOLDS, args))
        return found[0] if found else None

    def _call(self, account_id: int, verb: Verb, args: Sequence[str | int]) -> list[str]:
        return run(self.runtime, on_account(self.runtime, account_id, verb, args))

    def _acknowledged(
        self, account_id: int, name: str, op: str, answer: list[str], durability: Durability
    ) -> Committed:
        unsettled = int(answer[1]) if len(answer) > 1 else 0
        must_book = durability is Durability.LEDGER or unsettled > self.max_exposure
        # A rescue may have charged a second time for what is booked: one settlement gives that back.
        is_booked = must_book and self._await_booked(account_id, op, settle_first=answer[0] == Answer.RESCUED)
        return Committed(
            reservation_id=name,
            durability=Durability.LEDGER if is_booked else Durability.REDIS,
            is_pending=must_book and not is_booked,
            rescued=answer[0] == Answer.RESCUED,
            replayed=answer[0] == Answer.REPLAYED,
        )

    def _await_booked(self, account_id: int, op: str, *, settle_first: bool) -> bool:
        """
        Settle until `op` is booked; False if that does not happen in 5 s.

        One thread of the process leads the shard's settlement; its transaction serves all who wait meanwhile.
        """
        shard = shard_of(account_id)
        leader = self._leaders.setdefault(shard, threading.Lock())
        deadline = time.monotonic() + LEDGER_WAIT_S
        while time.monotonic() < deadline:
            if leader.acquire(timeout=LEDGER_WAIT_S):
                try:
                    if not settle_first and self._is_booked(op):
                        return True
                    settled = run(self.runtime, settle(self.runtime, shard))
                finally:
                    leader.release()
                if self._is_booked(op):
                    return True
                if settled == 0:
                    # Nothing left to book: a commit of nothing, or a line that another settler has in hand.
                    if not self.runtime.gate.read_journal(shard, count=1):
                        return True
                    time.sleep(_POLL_S)
        return False

    def _is_booked(self, op: str) -> bool:
        with snapshot(self.runtime.engine) as connection:
            return store.is_booked(connection, self.tenant, op, self.credit_types)

    def _account_id(self, account: str) -> int | None:
        """The internal id of an account; None if it never had credits. Ids never change, so they are remembered."""
        name = checked_id(account, "account")
        known = self._account_ids.get(name)
        if known is not None:
            return known
        with snapshot(self.runtime.engine) as connection:
            found = ledger_store.find_account(connection, self.tenant, name)
        if found is not None:
            if len(self._account_ids) >= _MAX_REMEMBERED:
                self._account_ids.clear()
            self._account_ids[name] = found
        return found

    def _known_account_id(self, account: str, name: str) -> int:
        account_id = self._account_id(account)
        if account_id is None:
            raise HoldEndedError(f"there is no hold {name!r}: account {account!r} never had credits")
        return account_id


_MAX_REMEMBERED: Final = 100_000


def hold_name(tenant: Tenant, account_id: int, reservation_id: str) -> str:
    """A hold as Redis knows it: a digest of tenant, account and the caller's id, so that no spelling reaches a key."""
    return digest(tenant.value, account_id, reservation_id)[:32]


def fingerprint(*content: object) -> str:
    """What a call asked for, digested: the same name with another fingerprint is a conflict."""
    return digest(*content)[:32]


def checked_items(items: Mapping[str, int], *, smallest: int = 1) -> dict[str, int]:
    """The amounts per credit type, each within its bounds. Raises InvalidInputError."""
    if not 1 <= len(items) <= MAX_TYPES:
        raise InvalidInputError("items", f"must name 1 to {MAX_TYPES} credit types, got {len(items)}")
    return {
        kind: 0 if smallest == 0 and type(amount) is int and amount == 0 else checked_amount(amount, f"items.{kind}")
        for kind, amount in items.items()
    }


def checked_ttl_ms(ttl_s: float) -> int:
    """A hold's time to live in ms. Raises InvalidInputError outside 1 s to 24 h."""
    if type(ttl_s) not in {int, float} or not MIN_TTL_S <= ttl_s <= MAX_TTL_S:
        raise InvalidInputError("ttl_s", f"must be from {MIN_TTL_S} to {MAX_TTL_S} seconds, got {ttl_s!r}")
    return round(ttl_s * 1000)


def _flat(items: Mapping[str, int]) -> Iterable[str | int]:
    for kind, amount in items.items():
        yield kind
        yield amount


def _refusal(answer: list[str], name: str) -> Exception:
    """The error that an answer of refusal stands for."""
    shortages = [Shortage(answer[at], int(answer[at + 1]), int(answer[at + 2])) for at in range(1, len(answer) - 2, 3)]
    match answer[0]:
        case Answer.CONFLICT:
            return IdempotencyConflictError(name, first="other content", now="this")
        case Answer.INSUFFICIENT:
            return InsufficientCreditsError(*shortages)
        case Answer.GONE:
            words = "; ".join(f"{one.credit_type}: {one.needed} needed, {one.available} available" for one in shortages)
            return HoldEndedError(f"hold {name!r} is over" + (f" ({words})" if words else ""))
        case _:
            return InvalidInputError("items", f"the gate refused them ({answer[0]})")


def _records(answer: list[str]) -> list[HoldRecord]:
    return [read_record(answer[at], answer[at + 1]) for at in range(1, len(answer), 2)]
