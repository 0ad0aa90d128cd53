"""Which events may share one transaction: a commit for twenty payments instead of a commit for each."""

from collections.abc import Iterable, Sequence
from typing import Final

from credits.config.settings import Tenant
from credits.facts import CustomerLinked, Fact, NothingToDo, PlanPaid, PurchasePaid, SubscriptionSeen
from credits.inbox.model import ClaimedEvent

Prepared = tuple[ClaimedEvent, Sequence[Fact]]
"""An event and what it says."""

_TELLING: Final = (SubscriptionSeen, CustomerLinked)
"""What payments may have to wait for."""


def sharing(prepared: Iterable[Prepared]) -> list[Prepared]:
    """
    The events that may share a transaction, account by account.

    Those are payments and subscriptions of which is known whose they are before anything is asked. Of one account,
    what others may wait for comes first.
    """
    known = [(account, each) for each in prepared if (account := _account_of(*each)) is not None]
    return [each for _, each in sorted(known, key=lambda pair: (pair[0], not _is_telling(pair[1][1]), pair[1][0].id))]


def named_accounts(prepared: Iterable[Prepared]) -> set[tuple[Tenant, str]]:
    """
    The accounts of which is known beforehand that the events are about them.

    Locked before anything else, always in one order, they keep two workers from waiting for each other in a circle:
    whatever else an event writes belongs to its account.
    """
    return {(event.tenant, account) for event, facts in prepared if (account := _account_of(event, facts))}


def _is_telling(facts: Sequence[Fact]) -> bool:
    return any(isinstance(fact, _TELLING) for fact in facts)


def _account_of(event: ClaimedEvent, facts: Sequence[Fact]) -> str | None:
    """The one account that an event's facts are about, "" if it moves nothing; None if that has to be found out."""
    accounts: set[str | None] = set()
    for fact in facts:
        if isinstance(fact, PurchasePaid | PlanPaid | SubscriptionSeen | CustomerLinked):
            accounts.add(event.attached_account or fact.payer.account)
        elif not isinstance(fact, NothingToDo):
            return None
    return accounts.pop() if len(accounts) == 1 else ("" if not accounts else None)
