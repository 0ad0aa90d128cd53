"""Reservations of one tenant: hold credits, commit what was used, give the rest back. What the library stands on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from credits.errors import HoldEndedError, InvalidInputError
from credits.errors.tree import shown
from credits.ids import checked_id
from credits.ledger.model import DebitKind
from credits.reservations import answers
from credits.reservations.answers import Committed, Held
from credits.reservations.asks import TAKEN, Ask, Commit, check_content, committed, database_needed
from credits.reservations.blocks import Blocks
from credits.reservations.booked import Bookkeeper, TakenAlong
from credits.reservations.checks import (
    MAX_EXTENSION_S,
    checked_items,
    checked_member,
    checked_ttl_ms,
    content_of,
    content_of_commit,
    flat,
    hold_name,
    step_name,
)
from credits.reservations.journal import Origin
from credits.reservations.looks import Looking
from credits.reservations.member_names import gate_name
from credits.reservations.model import Answer, Durability, Overage
from credits.reservations.protocol import Answered
from credits.reservations.scripts import Verb
from credits.reservations.turns import Taken
from credits.units import MAX_AMOUNT


@dataclass(slots=True)
class Reservations(Looking):
    """
    The gate for one tenant. Safe to share between threads.

    Every call is safe to repeat by its name: the reservation id, and for a commit its step.
    Raises GateUnavailableError within seconds where Redis or, for what needs it, SQL is away.
    """

    max_exposure: int = MAX_AMOUNT
    """Unsettled credits of one account above which a commit waits for the ledger whatever it asked for."""
    books: Bookkeeper = field(init=False)
    blocks: Blocks = field(init=False)

    def __post_init__(self) -> None:
        self.books = Bookkeeper(self.runtime, self.tenant, self.credit_types)
        self.blocks = Blocks(self.runtime.engine, self.tenant)

    def reserve(
        self,
        account: str,
        items: Mapping[str, int],
        *,
        reservation_id: str,
        ttl_s: float,
        member: str | None = None,
    ) -> Held:
        """
        Hold credits of every type in `items`, or of none, until commit, release, or `ttl_s` from now.

        Raises:
            MemberLimitExceededError: it would pass a limit of `member`.
            InsufficientCreditsError: one type at least is short; it names what is needed and available of each.
            IdempotencyConflictError: the id was used before for other items.
        """
        ask, wanted = self.reserve_ask(account, items, reservation_id=reservation_id, ttl_s=ttl_s, member=member)
        return answers.held(account, ask.name, wanted, self.call(ask).words, member=ask.member)

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
        member: str | None = None,
    ) -> Committed:
        """
        Turn held credits into spending: all that is held, or `items` (0 allowed), by policy even more.

        With `final` the rest returns; without it the rest stays held for further steps, each named by `step`. A hold
        that is gone is paid from what is available, if that suffices; `member` says whose it was.

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
            member=member,
        )
        ask = self.commit_ask(commit)
        answered, along = self._take(ask, durability)
        if answered.words[0] == Answer.GONE and if_lost is not None:
            ask = self.commit_ask(commit, is_lost=True)
            answered, along = self._take(ask, durability)
        replay = self.booked_replay(ask) if answered.words[0] == Answer.GONE else None
        return replay or self.acknowledged(ask, answered, durability, along)

    def spend(
        self,
        account: str,
        items: Mapping[str, int],
        *,
        key: str,
        kind: DebitKind = DebitKind.SPEND,
        origin: Origin | None = None,
        durability: Durability = Durability.LEDGER,
        member: str | None = None,
    ) -> Committed:
        """
        Reserve and commit in one step; once per key.

        Raises:
            MemberLimitExceededError: it would pass a limit of `member`.
            InsufficientCreditsError: one type at least is short; nothing was taken.
            IdempotencyConflictError: the key was used before for something else.
        """
        name, wanted = checked_id(key, "key"), checked_items(items, self.credit_types)
        whose = checked_member(member)
        account_id = self.account_id(account)
        if account_id is None:
            raise answers.nothing_there(wanted)
        self.blocks.refuse(account_id, account)
        hold = hold_name(self.tenant, account_id, f"{kind.value}\x1f{name}")
        op, content = f"{kind.value[0]}:{hold}", content_of(wanted, whose)
        text = (origin or Origin(reservation_id=name)).as_text()
        now_ms, receipt_ms = self.runtime.clock(), self.runtime.receipt_ms
        args = (account_id, now_ms, hold, op, content, kind.value, receipt_ms, text, gate_name(whose), *flat(wanted))
        ask = Ask(account_id=account_id, name=name, verb=Verb.SPEND, args=args, op=op, content=content, member=whose)
        # Redis forgets a receipt; the ledger never does. Who waits for the ledger anyway asks it first.
        replay = self.booked_replay(ask) if durability is Durability.LEDGER else None
        if replay is not None:
            return replay
        answered, along = self._take(ask, durability)
        replay = self.booked_replay(ask) if answered.words[0] == Answer.INSUFFICIENT else None
        return replay or self.acknowledged(ask, answered, durability, along)

    def release(self, account: str, reservation_id: str) -> bool:
        """Give back what a hold still has; True if it was open until now. Safe to repeat."""
        name = checked_id(reservation_id, "reservation_id")
        account_id = self.account_id(account)
        if account_id is None:
            return False
        hold = hold_name(self.tenant, account_id, name)
        return self.words(account_id, Verb.RELEASE, hold, self.runtime.receipt_ms)[0] == Answer.RELEASED

    def extend(self, account: str, reservation_id: str, *, ttl_s: float) -> int:
        """
        Move a hold's deadline to `ttl_s` from now, never nearer; answers it in ms. It ends 7 days after it was made.

        Raises HoldEndedError if the hold is over.
        """
        name, ttl_ms = checked_id(reservation_id, "reservation_id"), checked_ttl_ms(ttl_s)
        account_id = self._account_id_of_hold(account, name)
        hold = hold_name(self.tenant, account_id, name)
        answer = self.words(account_id, Verb.EXTEND, hold, ttl_ms, MAX_EXTENSION_S * 1000)
        if answer[0] != Answer.EXTENDED:
            raise HoldEndedError(f"hold {name!r} is over")
        return int(answer[1])

    # ── What single calls and batches share ──────────────────────────────────────────────────────────────

    def reserve_ask(
        self,
        account: str,
        items: Mapping[str, int],
        *,
        reservation_id: str,
        ttl_s: float,
        member: str | None = None,
    ) -> tuple[Ask, dict[str, int]]:
        """A reservation as the gate is asked for it, with the checked items."""
        name, wanted = checked_id(reservation_id, "reservation_id"), checked_items(items, self.credit_types)
        ttl_ms, whose = checked_ttl_ms(ttl_s), checked_member(member)
        account_id = self.account_id(account)
        if account_id is None:
            raise answers.nothing_there(wanted)
        self.blocks.refuse(account_id, account)
        hold, content, now_ms = (
            hold_name(self.tenant, account_id, name),
            content_of(wanted, whose),
            self.runtime.clock(),
        )
        args = (now_ms, hold, content, ttl_ms, self.runtime.receipt_ms, name, gate_name(whose), *flat(wanted))
        return Ask(account_id=account_id, name=name, verb=Verb.RESERVE, args=args, member=whose), wanted

    def commit_ask(self, commit: Commit, *, is_lost: bool = False) -> Ask:
        """A commit as the gate is asked for it; `is_lost`: with the amounts that the hold can no longer tell."""
        name = checked_id(commit.reservation_id, "reservation_id")
        sent = None if commit.items is None else checked_items(commit.items, self.credit_types, smallest=0)
        whose = checked_member(commit.member)
        if type(commit.final) is not bool:
            raise InvalidInputError("final", f"must be True or False, got {shown(commit.final)}")
        account_id = self._account_id_of_hold(commit.account, name)
        hold = hold_name(self.tenant, account_id, name)
        op = f"c:{hold}:{step_name(checked_id(commit.step, 'step'))}"
        content = content_of_commit(sent, final=commit.final, overage=commit.overage)
        used = commit.if_lost if is_lost else sent
        policy, receipt_ms = commit.overage.value, self.runtime.receipt_ms
        args = (account_id, self.runtime.clock(), hold, op, content, int(commit.final), policy, receipt_ms, name)
        return Ask(
            account_id=account_id,
            name=name,
            verb=Verb.COMMIT,
            args=(*args, gate_name(whose), *flat(used or {})),
            op=op,
            content=content,
            member=whose,
        )

    def booked_replay(self, ask: Ask) -> Committed | None:
        """The answer to an op that the ledger has, whatever Redis remembers. Raises IdempotencyConflictError."""
        with database_needed():
            found = self.books.fingerprints([ask.op]).get(ask.op)
        if found is None:
            return None
        check_content(ask, found)
        return Committed(reservation_id=ask.name, durability=Durability.LEDGER, replayed=True)

    def acknowledged(
        self, ask: Ask, answered: Answered, durability: Durability, along: TakenAlong | None = None
    ) -> Committed:
        """The answer to a commit or a spend, once it is as durable as it was asked to be, or after 5 s."""
        taken = self.taken(ask, answered, durability)
        if taken is not None and along is not None:
            taken = along.taken
        if taken is not None and not taken.is_booked:
            self.books.await_booked([taken], since_s=None if along is None else along.since_s)
        return committed(ask, answered, taken)

    def taken(self, ask: Ask, answered: Answered, durability: Durability) -> Taken | None:
        """What has to be seen in the ledger before the answer; None if Redis will do. Raises what a refusal means."""
        if answered.words[0] not in TAKEN:
            raise answers.refusal(answered.words, ask.name)
        unsettled = int(answered.words[1]) if len(answered.words) > 1 else 0
        if durability is Durability.REDIS and unsettled <= self.max_exposure:
            return None
        return Taken(op=ask.op, account_id=ask.account_id, epoch=answered.epoch)

    def _take(self, ask: Ask, durability: Durability) -> tuple[Answered, TakenAlong | None]:
        """What the gate says to `ask`; and if it was booked along with it, what came of that."""
        along = self.books.take_and_book(ask) if durability is Durability.LEDGER else None
        return (self.call(ask), None) if along is None else (along.answered, along)

    def _account_id_of_hold(self, account: str, name: str) -> int:
        account_id = self.account_id(account)
        if account_id is None:
            raise HoldEndedError(f"there is no hold {name!r}: account {account!r} never had credits")
        return account_id
