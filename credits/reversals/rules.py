"""
Decides what refunds and disputes take from a payment's credits. Pure functions, in whole numbers.

A lot's target is its credits × money that went back ÷ money that was paid, rounded up: nobody keeps a larger share of
the credits than of the price, and the whole price takes exactly all. What is done is always the difference to the
target. So the order, number and delay of events make no difference to where it ends.
"""

from credits.config.shortfall import Shortfall
from credits.reversals.model import (
    DisputeState,
    LotState,
    PaidBack,
    Plan,
    RefundState,
    Step,
    Targets,
)


def refunded_minor(back: PaidBack) -> int:
    """
    What refunds took back: those that are known and did not fail, and what the provider counts beyond those it named.

    A failed refund is in no later count of a provider's; the highest count may have it.
    """
    named = sum(refund.amount_minor for refund in back.refunds if refund.is_counted)
    went = sum(refund.amount_minor for refund in back.refunds if refund.state is not RefundState.FAILED)
    came = sum(refund.amount_minor for refund in back.refunds if refund.state is RefundState.RETURNED)
    return _still_gone(went, came, back.refunds_returned_minor) + max(0, back.counted_minor - named)


def disputed_minor(back: PaidBack) -> int:
    """What lost disputes took, less what came back of them."""
    went = sum(one.amount_minor for one in back.disputes if one.state is not DisputeState.OPEN)
    came = sum(one.amount_minor for one in back.disputes if one.state is DisputeState.WON)
    return _still_gone(went, came, back.disputes_returned_minor)


def _still_gone(went_minor: int, came_minor: int, returned_minor: int) -> int:
    """
    What went, less what came back.

    That it came back may be told twice: by what had gone, and by what returned. These are never added up.
    """
    return max(0, went_minor - max(came_minor, returned_minor))


def share(granted: int, part_minor: int, paid_minor: int) -> int:
    """`granted` × `part_minor` ÷ `paid_minor`, rounded up; all of it for the whole price, or where nothing was paid."""
    if part_minor <= 0:
        return 0
    if part_minor >= paid_minor:
        return granted
    return -(-granted * part_minor // paid_minor)


def targets(granted: int, back: PaidBack) -> Targets:
    """
    What of a lot is to be taken back, and what more is to be frozen while disputes are open.

    Money goes back once: what was refunded before a dispute of the whole is not disputed twice.
    """
    gone = refunded_minor(back) + disputed_minor(back)
    contested = sum(one.amount_minor for one in back.disputes if one.state is DisputeState.OPEN)
    clawed = share(granted, gone, back.paid_minor)
    return Targets(clawed=clawed, frozen=share(granted, gone + contested, back.paid_minor) - clawed)


def plan_for(lot: LotState, wanted: Targets, policy: Shortfall, *, after: Step | None = None) -> Plan:
    """
    What to do next towards `wanted`; a plan that does nothing once it is reached.

    `after`: what the gate has just done. Once it took what was free of the lot, what remains is held by jobs: it stays
    with them, and is looked for again later. When they spend it, it is owed.
    """
    excess = max(0, lot.clawed + lot.forgiven - wanted.clawed)
    forgiven = lot.forgiven - min(lot.forgiven, excess)
    restored = max(0, lot.clawed + forgiven - wanted.clawed)
    # Credits that lapsed unused are gone already: whoever paid for them is not asked for them as well. What a change of
    # plan took stands for other money; but nobody gives back more than there was.
    owing = min(wanted.clawed, lot.granted - lot.returned) - lot.lapsed
    missing = max(0, owing - (lot.clawed - restored) - forgiven)
    of_frozen = min(lot.frozen, missing)
    missing, frozen = missing - of_frozen, lot.frozen - of_frozen
    unfrozen = max(0, frozen - wanted.frozen)
    within_reach = lot.remaining - of_frozen - frozen
    judged = min(lot.judged, wanted.clawed)
    spent = max(0, missing - within_reach) if after is not None or not within_reach else 0
    if spent and policy is Shortfall.CLAMP and wanted.clawed > judged:
        # What is spent from now on was no longer paid for, and is owed under any policy.
        forgiven, missing, spent = forgiven + spent, within_reach, 0
    gap = min(wanted.frozen - (frozen - unfrozen), within_reach - missing)
    step, amount = _step(missing, within_reach, spent, gap, after)
    return Plan(
        restored=restored,
        forgiven=forgiven,
        judged=judged if step in {Step.TAKE, Step.OWE} else wanted.clawed,
        clawed_frozen=of_frozen,
        unfrozen=unfrozen,
        step=step,
        amount=amount,
        is_waiting=step is None and (missing > 0 or gap > 0),
    )


def _step(missing: int, within_reach: int, spent: int, gap: int, after: Step | None) -> tuple[Step | None, int]:
    if missing and within_reach and after is None:
        return Step.TAKE, min(missing, within_reach)
    if spent:
        return Step.OWE, spent
    if gap > 0 and after is not Step.FREEZE:
        return Step.FREEZE, gap
    return None, 0
