"""Decides what an invoice earns of which only the first lines are told, where its provider cannot be asked for more."""

from collections.abc import Sequence

from credits.errors import IncompletePayloadError
from credits.facts import PlanPaid
from credits.inbox.model import EventState, Outcome
from credits.plans.changes import Billed


def may_grant(fact: PlanPaid, whole: Sequence[Billed]) -> bool:
    """
    Whether the periods that are told cost no more than all lines together.

    Otherwise a line that is not told gives money back, and with it credits: granted alone, the periods would bring more
    than was paid.
    """
    return fact.subtotal is None or sum(one.minor for one in whole) <= fact.subtotal.amount_minor


def outcome_of(fact: PlanPaid, *, granted: bool) -> Outcome:
    """
    What becomes of the event: it waits for its other lines, which are granted once when it is processed with them.

    Where lines that are told are held back, an operator has to know.
    """
    told = "the invoice has more lines than its event carries"
    if not granted:
        why = "others give money back, and all of them count together"
    elif any(line.is_proration for line in fact.lines):
        why = "a change of plan is decided by all of its lines"
    else:
        return Outcome(
            state=EventState.WAITING, code=IncompletePayloadError.code, detail=f"{told}; the others are not granted yet"
        )
    return Outcome(
        state=EventState.FAILED, code=IncompletePayloadError.code, detail=f"{told}; {why}, so these are held back"
    )
