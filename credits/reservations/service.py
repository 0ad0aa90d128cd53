"""Reservations of one tenant: hold credits, commit what was used, give the rest back. What the library stands on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from credits.config.settings import Tenant
from credits.db import glance
from credits.errors import HoldEndedError
from credits.ids import checked_id, digest
from credits.ledger import store as ledger_store
from credits.ledger.model import Balance, DebitKind
from credits.reservations import answers
from credits.reservations.answers import Committed, Held
from credits.reservations.asks import Ask, Commit, check_content, committed, database_needed
from credits.reservations.booked import Bookkeeper, Taken
from credits.reservations.checks import (
    MAX_EXTENSION_S,
    checked_items,
    checked_ttl_ms,
    fingerprint,
    flat,
    hold_name,
)
from credits.reservations.journal import Origin
from credits.reservations.model import Answer, Durability, Overage
from credits.reservations.protocol import Answered, in_its_epoch
from credits.reservations.records import HoldRecord
from credits.reservations.scripts import Verb
from credits.reservations.steps import GateRuntime, run
from credits.units import MAX_AMOUNT

_MAX_REMEMBERED: Final = 100_000


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
    max_exposure: int = MAX_AMOUNT
    """Unsettled credits of one account above which a commit waits for the ledger whatever it asked for."""
    books: Bookkeeper = field(init=False)
    _account_ids: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.books = Bookkeeper(self.runtime, self.tenant, self.credit_types)

    def reserve(self, account: str, items: Mapping[str, int], *, reservation_id: str, ttl_s: float) -> Held:
        """
        Hold credits of every type in `items`, or of none, until commit, release, or `ttl_s` from now.

        Raises:
            InsufficientCreditsError: one type at least is short; it names what is needed and available of each.
            IdempotencyConflictError: the id was used before for other items.
        """
        ask, wanted = self.reserve_ask(account, items, reservation_id=reservation_id, ttl_s=ttl_s)
        return answers.held(account, ask.name, wanted, self.call(ask).words)

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
        if_lost: Mapping[str, int] | None = None,
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
        commit = Commit(
            account=account,
            reservation_id=reservation_id,
            items=items,
            step=step,
            final=final,
            overage=overage,
            if_lost=if_lost,
        )
        ask = self.commit_ask(commit)
        answered = self.call(ask)
        if answered.words[0] == Answer.GONE and if_lost is not None:
            ask = self.commit_ask(commit, is_lost=True)
            answered = self.call(ask)
        replay = self.booked_replay(ask) if answered.words[0] == Answer.GONE else None
        return replay or self.acknowledged(ask, answered, durability)

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
        name, wanted = checked_id(key, "key"), checked_items(items, self.credit_types)
        account_id = self.account_id(account)
        if account_id is None:
            raise answers.nothing_there(wanted)
        hold = hold_name(self.tenant, account_id, f"{kind.value}\x1f{name}")
        op, content = f"{kind.value[0]}:{hold}", fingerprint(*sorted(wanted.items()))
        text = (origin or Origin(reservation_id=name)).as_text()
        now_ms, receipt_ms = self.runtime.clock(), self.runtime.receipt_ms
        args = (account_id, now_ms, hold, op, content, kind.value, receipt_ms, text, *flat(wanted))
        ask = Ask(account_id=account_id, name=name, verb=Verb.SPEND, args=args, op=op, content=content)
        # Redis forgets a receipt; the ledger never does. Who waits for the ledger anyway asks it first.
        replay = self.booked_replay(ask) if durability is Durability.LEDGER else None
        if replay is not None:
            return replay
        answered = self.call(ask)
        replay = self.booked_replay(ask) if answered.words[0] == Answer.INSUFFICIENT else None
        return replay or self.acknowledged(ask, answered, durability)

    def release(self, account: str, reservation_id: str) -> bool:
        """Give back what a hold still has; True if it was open until now. Safe to repeat."""
        name = checked_id(reservation_id, "reservation_id")
        account_id = self.account_id(account)
        if account_id is None:
            return False
        hold = hold_name(self.tenant, account_id, name)
        return self._words(account_id, Verb.RELEASE, hold, self.runtime.receipt_ms)[0] == Answer.RELEASED

    def extend(self, account: str, reservation_id: str, *, ttl_s: float) -> int:
        """
        Move a hold's deadline to `ttl_s` from now, never nearer; answers it in ms. It ends 7 days after it was made.

        Raises HoldEndedError if the hold is over.
        """
        name, ttl_ms = checked_id(reservation_id, "reservation_id"), checked_ttl_ms(ttl_s)
        account_id = self._account_id_of_hold(account, name)
        hold = hold_name(self.tenant, account_id, name)
        answer = self._words(account_id, Verb.EXTEND, hold, ttl_ms, MAX_EXTENSION_S * 1000)
        if answer[0] != Answer.EXTENDED:
            raise HoldEndedError(f"hold {name!r} is over")
        return int(answer[1])

    def balances(self, account: str) -> dict[str, Balance]:
        """
        Per credit type: the ledger's balance, what is held, pending and available, and the debt, at this instant.

        `pending` is what was committed and is not in the ledger yet; `balance` does not know of it yet.
        """
        account_id = self.account_id(account)
        if account_id is None:
            return {}
        with database_needed(), glance(self.runtime.engine) as connection:
            booked = {kind: sum_ for kind, sum_, _ in ledger_store.all_balances(connection, account_id)}
        answer = self._words(account_id, Verb.READ, self.runtime.receipt_ms, *booked)
        found = {}
        for at in range(1, len(answer), 6):
            kind, free, held, pending, debt = answer[at], *(int(word) for word in answer[at + 1 : at + 5])
            found[kind] = Balance(balance=booked[kind], held=held, pending=pending, available=free, debt=debt)
        return found

    def available(self, account: str, credit_type: str) -> int:
        """What could be reserved of one type right now."""
        account_id = self.account_id(account)
        if account_id is None:
            return 0
        return int(self._words(account_id, Verb.READ, self.runtime.receipt_ms, credit_type)[2])

    def holds(self, account: str, *, limit: int = 100) -> list[HoldRecord]:
        """Open holds, the soonest due first."""
        account_id = self.account_id(account)
        if account_id is None:
            return []
        return answers.hold_records(self._words(account_id, Verb.LIST_HOLDS, self.runtime.receipt_ms, limit, ""))

    def find(self, account: str, reservation_id: str) -> HoldRecord | None:
        """A hold by its id, one that ended included while Redis remembers it."""
        name = checked_id(reservation_id, "reservation_id")
        account_id = self.account_id(account)
        if account_id is None:
            return None
        hold = hold_name(self.tenant, account_id, name)
        found = answers.hold_records(self._words(account_id, Verb.LIST_HOLDS, self.runtime.receipt_ms, 1, hold))
        return found[0] if found else None

    # ── What single calls and batches share ──────────────────────────────────────────────────────────────

    def reserve_ask(
        self, account: str, items: Mapping[str, int], *, reservation_id: str, ttl_s: float
    ) -> tuple[Ask, dict[str, int]]:
        """A reservation as the gate is asked for it, with the checked items."""
        name, wanted = checked_id(reservation_id, "reservation_id"), checked_items(items, self.credit_types)
        ttl_ms = checked_ttl_ms(ttl_s)
        account_id = self.account_id(account)
        if account_id is None:
            raise answers.nothing_there(wanted)
        hold, content = hold_name(self.tenant, account_id, name), fingerprint(*sorted(wanted.items()))
        args = (self.runtime.clock(), hold, content, ttl_ms, self.runtime.receipt_ms, name, *flat(wanted))
        return Ask(account_id=account_id, name=name, verb=Verb.RESERVE, args=args), wanted

    def commit_ask(self, commit: Commit, *, is_lost: bool = False) -> Ask:
        """A commit as the gate is asked for it; `is_lost`: with the amounts that the hold can no longer tell."""
        name = checked_id(commit.reservation_id, "reservation_id")
        sent = None if commit.items is None else checked_items(commit.items, self.credit_types, smallest=0)
        account_id = self._account_id_of_hold(commit.account, name)
        hold = hold_name(self.tenant, account_id, name)
        op = f"c:{hold}:{digest(checked_id(commit.step, 'step'))[:12]}"
        # A digest of what was sent, without anything derived: a repetition must find the same.
        content = fingerprint("all" if sent is None else sorted(sent.items()), commit.final, commit.overage.value)
        used = commit.if_lost if is_lost else sent
        policy, receipt_ms = commit.overage.value, self.runtime.receipt_ms
        args = (account_id, self.runtime.clock(), hold, op, content, int(commit.final), policy, receipt_ms, name)
        return Ask(
            account_id=account_id,
            name=name,
            verb=Verb.COMMIT,
            args=(*args, *flat(used or {})),
            op=op,
            content=content,
        )

    def call(self, ask: Ask) -> Answered:
        """Ask the gate, and let the account be loaded first if it has to."""
        with database_needed():
            return run(self.runtime, in_its_epoch(self.runtime, ask.account_id, ask.verb, ask.args))

    def booked_replay(self, ask: Ask) -> Committed | None:
        """The answer to an op that the ledger has, whatever Redis remembers. Raises IdempotencyConflictError."""
        with database_needed():
            found = self.books.fingerprints([ask.op]).get(ask.op)
        if found is None:
            return None
        check_content(ask, found)
        return Committed(reservation_id=ask.name, durability=Durability.LEDGER, replayed=True)

    def acknowledged(self, ask: Ask, answered: Answered, durability: Durability) -> Committed:
        """The answer to a commit or a spend, once it is as durable as it was asked to be, or after 5 s."""
        taken = self.taken(ask, answered, durability)
        if taken is not None:
            self.books.await_booked([taken])
        return committed(ask, answered, taken)

    def taken(self, ask: Ask, answered: Answered, durability: Durability) -> Taken | None:
        """What has to be seen in the ledger before the answer; None if Redis will do. Raises what a refusal means."""
        if answered.words[0] not in {Answer.COMMITTED, Answer.RESCUED, Answer.REPLAYED}:
            raise answers.refusal(answered.words, ask.name)
        unsettled = int(answered.words[1]) if len(answered.words) > 1 else 0
        if durability is Durability.REDIS and unsettled <= self.max_exposure:
            return None
        return Taken(op=ask.op, account_id=ask.account_id, epoch=answered.epoch)

    def account_id(self, account: str) -> int | None:
        """The internal id of an account; None if it never had credits. Ids never change, so they are remembered."""
        name = checked_id(account, "account")
        known = self._account_ids.get(name)
        if known is not None:
            return known
        with database_needed(), glance(self.runtime.engine) as connection:
            found = ledger_store.find_account(connection, self.tenant, name)
        if found is not None:
            if len(self._account_ids) >= _MAX_REMEMBERED:
                self._account_ids.clear()
            self._account_ids[name] = found
        return found

    def _account_id_of_hold(self, account: str, name: str) -> int:
        account_id = self.account_id(account)
        if account_id is None:
            raise HoldEndedError(f"there is no hold {name!r}: account {account!r} never had credits")
        return account_id

    def _words(self, account_id: int, verb: Verb, *args: str | int) -> list[str]:
        ask = Ask(account_id=account_id, name="", verb=verb, args=(self.runtime.clock(), *args))
        return self.call(ask).words
