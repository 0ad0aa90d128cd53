"""What the library does with members of accounts: their limits, and how far each is used up."""

from collections.abc import Sequence

from sqlalchemy import Engine

from credits.audit_log import Act
from credits.clock import Clock, checked_instant_ms
from credits.db import glance, transaction
from credits.errors import UnknownCreditTypeError
from credits.ids import checked_id, checked_text
from credits.ledger.model import MAX_ACTOR_LENGTH, MAX_REASON_LENGTH
from credits.members import service, store
from credits.members.model import LimitUse, Member, MemberLimit, Per
from credits.reservations.asks import database_needed
from credits.reservations.library import Spending
from credits.reservations.member_names import gate_name
from credits.reservations.scripts import Verb

MAX_MEMBERS = 1000
"""Of one page."""


class Budgeting(Spending):
    """Limits of members, for one tenant. Each change is safe to repeat, and leaves a line in the audit log."""

    engine: Engine
    _clock: Clock

    def members(self, account: str, *, after: str = "", limit: int = 100) -> list[Member]:
        """Members that have a limit or have spent, by name, with what each has used. `after` continues behind one."""
        account_id = self.reservations.account_id(account)
        if account_id is None:
            return []
        with database_needed(), glance(self.engine) as connection:
            names = store.members_of(connection, account_id, after=after, limit=min(limit, MAX_MEMBERS))
            limits = store.limits_of(connection, account_id, names)
        return [self._member(account_id, name, limits.get(name, ())) for name in names]

    def member(self, account: str, member: str) -> Member:
        """One member, known or not: who has no limit may spend what the account has."""
        name, account_id = checked_id(member, "member"), self.reservations.account_id(account)
        if account_id is None:
            return Member(member=name, limits=())
        with database_needed(), glance(self.engine) as connection:
            limits = store.limits_of(connection, account_id, [name]).get(name, ())
        return self._member(account_id, name, limits)

    def set_member_limit(
        self,
        account: str,
        member: str,
        credit_type: str,
        amount: int,
        *,
        per: Per | str,
        actor: str = "app",
        reason: str = "",
    ) -> MemberLimit:
        """
        Let a member spend at most `amount` credits of a type per day, per month, or for ever.

        It takes the place of the limit that the member had of this type and window; others stay beside it. Days and
        months are those of the account's time zone. It holds for the next reservation; what is held or spent stays.
        """
        limit = self.member_limit(member, credit_type, amount, per=per)
        with transaction(self.engine) as connection:
            name, act = checked_id(account, "account"), _act(actor, reason)
            service.set_limit(connection, self.tenant, name, limit, act, now_ms=self._clock())
        self.bring_member_changes(account)
        return limit

    def raise_member_limit(
        self,
        account: str,
        member: str,
        credit_type: str,
        amount: int,
        *,
        per: Per | str,
        until_ms: int,
        reason: str,
        actor: str = "app",
    ) -> MemberLimit:
        """
        Raise a limit to `amount` until an instant, for a reason; then it is again what it was.

        Raises InvalidInputError if there is no such limit, `amount` is not above it, or the instant is past or more
        than a year away.
        """
        asked = self.member_limit(member, credit_type, amount, per=per)
        checked_instant_ms(until_ms, "until_ms")
        with transaction(self.engine) as connection:
            raised = service.raise_limit(
                connection,
                self.tenant,
                checked_id(account, "account"),
                asked,
                _act(actor, reason),
                until_ms=until_ms,
                now_ms=self._clock(),
            )
        self.bring_member_changes(account)
        return raised

    def remove_member_limits(
        self,
        account: str,
        member: str,
        credit_type: str | None = None,
        *,
        per: Per | str | None = None,
        actor: str = "app",
        reason: str = "",
    ) -> int:
        """Remove a member's limits, of one type and window or all; answers how many there were."""
        with transaction(self.engine) as connection:
            removed = service.remove_limits(
                connection,
                self.tenant,
                checked_id(account, "account"),
                checked_id(member, "member"),
                _act(actor, reason),
                credit_type=credit_type,
                per=None if per is None else service.checked_per(per),
                now_ms=self._clock(),
            )
        self.bring_member_changes(account)
        return removed

    def set_time_zone(self, account: str, time_zone: str, *, actor: str = "app", reason: str = "") -> bool:
        """Set whose midnight begins the days and months of an account's limits; False if it was that one already."""
        with transaction(self.engine) as connection:
            name, act = checked_id(account, "account"), _act(actor, reason)
            is_new = service.set_time_zone(connection, self.tenant, name, time_zone, act, now_ms=self._clock())
        self.bring_member_changes(account)
        return is_new

    def member_limit(self, member: str, credit_type: str, amount: int, *, per: Per | str) -> MemberLimit:
        """A limit with every field within its bounds. Raises InvalidInputError."""
        if credit_type not in self.catalogue.credit_types:
            raise UnknownCreditTypeError(credit_type, ", ".join(self.catalogue.credit_types))
        return MemberLimit(
            member=checked_id(member, "member"),
            credit_type=credit_type,
            per=service.checked_per(per),
            amount=service.checked_limit(amount),
        )

    def _member(self, account_id: int, name: str, limits: Sequence[MemberLimit]) -> Member:
        gate = self.reservations
        words = gate.words(account_id, Verb.READ_MEMBER, gate.runtime.receipt_ms, gate_name(name))
        now_ms, ends = int(words[2]), {Per.DAY: int(words[4]), Per.MONTH: int(words[5]), Per.EVER: None}
        figures = {
            words[at]: (held, {Per.DAY: day, Per.MONTH: month, Per.EVER: ever})
            for at in range(6, len(words), 5)
            for held, day, month, ever in [tuple(map(int, words[at + 1 : at + 5]))]
        }
        nothing = (0, dict.fromkeys(Per, 0))
        return Member(
            member=name,
            used={
                kind: held + spent[Per.EVER]
                for kind, (held, spent) in sorted(figures.items())
                if held + spent[Per.EVER]
            },
            limits=tuple(
                LimitUse(
                    credit_type=limit.credit_type,
                    per=limit.per,
                    limit=limit.at(now_ms),
                    amount=limit.amount,
                    raised_until_ms=limit.raised_until_ms if limit.at(now_ms) != limit.amount else None,
                    used=held + spent[limit.per],
                    held=held,
                    ends_at_ms=ends[limit.per],
                )
                for limit in limits
                for held, spent in [figures.get(limit.credit_type, nothing)]
            ),
        )


def _act(actor: str, reason: str) -> Act:
    return Act(
        actor=checked_text(actor, "actor", max_length=MAX_ACTOR_LENGTH),
        reason=checked_text(reason, "reason", max_length=MAX_REASON_LENGTH),
    )
