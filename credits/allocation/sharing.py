"""Which events may share one transaction: a commit for twenty payments instead of a commit for each."""

from collections.abc import Iterable, Sequence

from credits.facts import Fact, NothingToDo, PlanPaid, PurchasePaid
from credits.inbox.model import ClaimedEvent

Prepared = tuple[ClaimedEvent, Sequence[Fact]]
"""An event and what it says."""


def sharing(prepared: Iterable[Prepared]) -> list[Prepared]:
    """
    The events that may share a transaction, in the order in which they are to lock their accounts.

    Those are payments of which is known whose they are before anything is asked: with the accounts always locked in
    one order, two workers never wait for each other in a circle.
    """
    known = [(account, each) for each in prepared if (account := _account_of(*each)) is not None]
    return [each for _, each in sorted(known, key=lambda pair: (pair[0], pair[1][0].id))]


def _account_of(event: ClaimedEvent, facts: Sequence[Fact]) -> str | None:
    """The one account that an event's payments are for, "" if it moves nothing; None if that has to be found out."""
    accounts: set[str | None] = set()
    for fact in facts:
        if isinstance(fact, PurchasePaid | PlanPaid):
            accounts.add(event.attached_account or fact.payer.account)
        elif not isinstance(fact, NothingToDo):
            return None
    return accounts.pop() if len(accounts) == 1 else ("" if not accounts else None)
