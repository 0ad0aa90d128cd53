"""Allocation of refunds and disputes: what they take from the payment's credits, freeze of them, or give back."""

from collections.abc import Sequence
from typing import assert_never

from credits.allocation.model import InHand
from credits.allocation.outcomes import done
from credits.allocation.telling import tell_of_dispute
from credits.errors import ReversalCurrencyError
from credits.facts import DisputeSeen, MoneyReturned, PaymentNamed, RefundsCounted, RefundSeen
from credits.inbox.model import PAYMENT_UNKNOWN, EventState, Outcome, payment_subject
from credits.inbox.rules import recheck_at_ms
from credits.plans import periods
from credits.reversals import payments, store
from credits.reversals import service as reversals
from credits.reversals.model import DisputeState, RefundState, ReturnOf
from credits.reversals.payments import Payment
from credits.reversals.rules import share
from credits.reversals.service import Retargeted
from credits.reversals.store import Reversal
from credits.units import Money


def know_payment(hand: InHand, names: Sequence[str], paid: Money | None = None) -> Payment:
    """
    Remember a payment under all of its names, and wake the refunds and disputes that waited for one of them.

    Call it before the account is locked, and `payment_granted` once its credits are posted.
    """
    payment = payments.name_payment(hand.connection, hand.tenant, names, paid=paid, now_ms=hand.now_ms)
    hand.learn(*(payment_subject(name) for name in payment.new_names))
    return payment


def payment_granted(hand: InHand, payment: Payment) -> None:
    """Take from a payment's new credits what went back of its money before they came."""
    if payment.is_new:
        return
    cause = store.last_cause(hand.connection, payment.id)
    if cause is not None:
        _retarget(hand, payment.id, cause)


def reversal_seen(
    hand: InHand, fact: RefundSeen | RefundsCounted | DisputeSeen | MoneyReturned | PaymentNamed
) -> Outcome:
    """Keep what a fact says of a payment's money, and begin what its credits need; each has its effect once."""
    match fact:
        case RefundSeen():
            return _refund_seen(hand, fact)
        case RefundsCounted():
            return _refunds_counted(hand, fact)
        case DisputeSeen():
            return _dispute_seen(hand, fact)
        case MoneyReturned():
            return _money_returned(hand, fact)
        case PaymentNamed():
            return _payment_named(hand, fact)
    assert_never(fact)


def _payment_named(hand: InHand, fact: PaymentNamed) -> Outcome:
    """Remember that several names mean one payment."""
    payment = know_payment(hand, fact.names)
    payment_granted(hand, payment)
    return done(f"one payment: {', '.join(fact.names)}", payment=fact.names[0])


def _refund_seen(hand: InHand, fact: RefundSeen) -> Outcome:
    """Take back what a refund was for, once; give it back if the refund failed."""
    payment_id = _payment_of(hand, fact.names)
    if payment_id is None:
        return _waiting(hand, fact.ref, fact.names)
    state = RefundState(fact.status.value)
    amount_minor = _in_currency_of(hand, payment_id, fact.ref, fact.amount)
    return _reversed(hand, payment_id, fact.ref, amount_minor, state, is_counted=fact.is_counted)


def _dispute_seen(hand: InHand, fact: DisputeSeen) -> Outcome:
    """Freeze what a dispute is about; take it back once if it is lost, set it free or restore it once if it is won."""
    payment_id = _payment_of(hand, fact.names)
    if payment_id is None:
        return _waiting(hand, fact.ref, fact.names)
    state = DisputeState(fact.status.value)
    amount_minor = None if fact.amount is None else fact.amount.amount_minor
    if fact.amount is not None and fact.amount.currency != _currency_of(hand, payment_id, fact.amount.currency):
        # Banks dispute in their own currency at times. Until it is decided, all of the payment is at stake.
        amount_minor = None
    return _reversed(hand, payment_id, fact.ref, amount_minor, state)


def _money_returned(hand: InHand, fact: MoneyReturned) -> Outcome:
    """Give back what refunds or disputes took, as far as their money came to us again, once."""
    payment_id = _payment_of(hand, fact.names)
    if payment_id is None:
        return _waiting(hand, fact.ref, fact.names)
    amount_minor = _in_currency_of(hand, payment_id, fact.ref, fact.amount)
    return _reversed(hand, payment_id, fact.ref, amount_minor, ReturnOf(fact.undoes.value))


def _refunds_counted(hand: InHand, fact: RefundsCounted) -> Outcome:
    """Take back up to what the provider says all refunds of the payment add up to."""
    payment_id = _payment_of(hand, fact.names)
    if payment_id is None:
        return _waiting(hand, fact.ref, fact.names)
    payment = payments.name_payment(hand.connection, hand.tenant, fact.names, paid=fact.charged, now_ms=hand.now_ms)
    row = payments.lock_payment(hand.connection, payment.id)
    refunded_minor = fact.refunded.amount_minor
    if row["currency"] is not None and row["currency"] != fact.refunded.currency:
        # Both figures of the event are in one currency: the share is known all the same.
        refunded_minor = share(row["paid_minor"], refunded_minor, fact.charged.amount_minor)
    store.note_count(hand.connection, payment.id, refunded_minor)
    return _outcome(fact.ref, _retarget(hand, payment.id, fact.ref))


def _reversed(
    hand: InHand,
    payment_id: int,
    ref: str,
    amount_minor: int | None,
    state: RefundState | DisputeState | ReturnOf,
    *,
    is_counted: bool = True,
) -> Outcome:
    payments.lock_payment(hand.connection, payment_id)
    seen = Reversal(ref=ref, amount_minor=amount_minor, state=state, is_counted=is_counted)
    store.note_reversal(hand.connection, hand.tenant, payment_id, seen, now_ms=hand.now_ms)
    lots = _retarget(hand, payment_id, ref)
    if state is DisputeState.OPEN:
        tell_of_dispute(hand, ref, lots={lot.account: lot.payment for lot in lots})
    return _outcome(f"{ref} ({state.value})", lots)


def _retarget(hand: InHand, payment_id: int, cause: str) -> list[Retargeted]:
    lots = reversals.retarget(
        hand.connection,
        hand.tenant,
        payment_id,
        hand.catalogue,
        cause=cause,
        actor=f"provider:{hand.provider}",
        event_id=hand.event.id,
        now_ms=hand.now_ms,
    )
    # What a change of plan and a refund take of a lot together is no more than there was.
    ids = [lot.grant_id for lot in lots]
    periods.settle_lots(hand.connection, hand.tenant, ids, hand.catalogue, now_ms=hand.now_ms)
    return lots


def _payment_of(hand: InHand, names: tuple[str, ...]) -> int | None:
    """The payment, which from now on has every name that the event gives it; None if nobody has seen it."""
    if payments.find_payment(hand.connection, hand.tenant, names) is None:
        return None
    return know_payment(hand, names).id


def _in_currency_of(hand: InHand, payment_id: int, ref: str, amount: Money | None) -> int | None:
    if amount is None:
        return None
    paid_in = _currency_of(hand, payment_id, amount.currency)
    if paid_in != amount.currency:
        raise ReversalCurrencyError(ref, refunded=amount.currency, paid=paid_in)
    return amount.amount_minor


def _currency_of(hand: InHand, payment_id: int, otherwise: str) -> str:
    return payments.lock_payment(hand.connection, payment_id)["currency"] or otherwise


def _waiting(hand: InHand, ref: str, names: tuple[str, ...]) -> Outcome:
    return Outcome(
        state=EventState.WAITING,
        code=PAYMENT_UNKNOWN,
        detail=f"{ref}: no payment called {' or '.join(names)} has been seen yet",
        due_at_ms=recheck_at_ms(hand.event.attempts, hand.now_ms),
        waits_for=tuple(payment_subject(name) for name in names),
    )


def _outcome(what: str, lots: Sequence[Retargeted]) -> Outcome:
    if not lots:
        return done(f"{what}: its payment has granted nothing, so nothing is taken back")
    words = [
        f"of {lot.granted} {lot.credit_type}, {lot.wanted.clawed} are taken back"
        + (f" and {lot.wanted.frozen} frozen" if lot.wanted.frozen else "")
        for lot in lots
    ]
    return done(f"{what}: {'; '.join(words)}")
