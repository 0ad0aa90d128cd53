"""The gate or the ledger refuses."""

from dataclasses import dataclass

from credits.errors.tree import CreditsError, shown


class IdempotencyConflictError(CreditsError):
    """A key was used before, for other content. Nothing was changed."""

    code = "idempotency_conflict"
    fix = "Use a new key for a new request; repeat an old key only with the same content."

    def __init__(self, key: str, first: str, now: str) -> None:
        super().__init__(f"key {key!r} was used before for {first}; now it came with {now}")
        self.key = key


@dataclass(frozen=True, slots=True)
class Shortage:
    """One credit type of which there is too little."""

    credit_type: str
    needed: int
    available: int


class InsufficientCreditsError(CreditsError):
    """The account holds fewer available credits than were asked for. Nothing was changed."""

    code = "insufficient_credits"
    fix = "Buy or grant credits, then try again; the same key may be used."
    buy_url: str | None = None
    """Where the account buys more; the server says so, if it knows (CREDITGATE_BUY_URL)."""

    def __init__(self, *shortages: Shortage) -> None:
        super().__init__(
            "; ".join(f"{one.credit_type}: {one.needed} needed, {one.available} available" for one in shortages)
        )
        self.shortages = shortages


@dataclass(frozen=True, slots=True)
class LimitExceeded:
    """One limit that would be passed."""

    credit_type: str
    per: str
    """day, month or ever"""
    limit: int
    used: int
    """Committed in the window, and held now."""
    needed: int
    ends_at_ms: int | None
    """When the window ends and the limit begins anew; None: never."""


class MemberLimitExceededError(CreditsError):
    """A member has used up what its account lets it spend. Nothing was changed, whatever the account has."""

    code = "member_limit_exceeded"
    fix = "Wait for the window's end, ask for less, or raise the limit with `credits members raise`."

    def __init__(self, member: str, *exceeded: LimitExceeded) -> None:
        super().__init__(
            f"member {shown(member)}: "
            + "; ".join(
                f"{one.needed} {one.credit_type} needed, {max(0, one.limit - one.used)} left of {one.limit} "
                + ("for ever" if one.per == "ever" else f"per {one.per}")
                for one in exceeded
            )
        )
        self.member = member
        self.exceeded = exceeded


class AccountBlockedError(CreditsError):
    """The account owes credits that were refunded after they were spent, and may reserve nothing meanwhile."""

    code = "account_blocked"
    fix = "Repay the debt with the next purchase or grant; or let an operator run `credits accounts unblock`."

    def __init__(self, account: str, credit_type: str, debt: int, reason: str) -> None:
        super().__init__(f"account {account} is blocked: it owes {debt} {credit_type}, {reason}")
        self.account = account
        self.credit_type = credit_type
        self.debt = debt
        self.reason = reason


class BalanceLimitError(CreditsError):
    """A grant would lift a balance above the bound that every part of the system can count to."""

    code = "balance_limit"
    fix = "Grant less; no account may hold more than 2^53 − 1 credits of a type."


class HoldEndedError(CreditsError):
    """The hold is over (expired, released, lost with a Redis) and its credits are gone. Nothing was charged."""

    code = "hold_ended"
    fix = "Reserve again; extend holds while their jobs run, or reserve with a longer ttl_s."
    buy_url: str | None = None
    """As of InsufficientCreditsError."""

    def __init__(self, message: str, *shortages: Shortage) -> None:
        super().__init__(message)
        self.shortages = shortages
