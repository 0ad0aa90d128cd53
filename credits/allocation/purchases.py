"""Allocation of purchases: what a paid, pending or voided checkout leads to."""

from dataclasses import dataclass, replace

from credits.allocation.model import InHand
from credits.allocation.outcomes import done, ignored
from credits.allocation.payer import account_of, remember, unattributed
from credits.allocation.reversals import know_payment, payment_granted
from credits.allocation.telling import tell_of_purchase
from credits.allocation.unnamed import Sought, sought_quote
from credits.errors import (
    AmountMismatchError,
    FreePurchaseError,
    QuoteContradictedError,
    UnknownQuoteError,
    UnquotedPurchaseError,
)
from credits.facts import Payer, PurchasePaid, PurchasePending, PurchaseVoided
from credits.grants.rules import order_of_purchase
from credits.inbox.model import Outcome
from credits.ledger import service as ledger
from credits.ledger import store as ledger_store
from credits.pricing import store as purchases
from credits.pricing.store import PurchaseState, Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """Whose credits they are, of which type and how many."""

    account: str
    credit_type: str
    amount: int


def purchase_paid(hand: InHand, fact: PurchasePaid) -> Outcome:
    """Add the credits that were bought, once for this payment, whatever number of events tells of it."""
    payment = know_payment(hand, (fact.key, *fact.also_known_as), fact.paid)
    sought = sought_quote(hand, fact)
    fact = replace(fact, quote_id=fact.quote_id or sought.quote_id)
    skipped = _not_ours(hand, fact, sought)
    if skipped is not None:
        return skipped
    quote = _quote_of(hand, fact)
    if quote is None and fact.credit_type is not None and hand.catalogue.purchases.unquoted == "hold":
        _refuse_unquoted(hand, fact)
    credit_type = hand.event.attached_credit_type or (quote.credit_type if quote else fact.credit_type)
    amount = hand.event.attached_amount or (quote.amount if quote else fact.amount)
    if credit_type is None or amount is None:
        if sought.otherwise is not None:
            return sought.otherwise
        if hand.catalogue.purchases.unknown == "ignore":
            return ignored("the payment names no credits; purchases.unknown says to ignore those")
        return _unknown(hand, fact, "credits_unknown", "the payment does not say which credits it bought")
    account = quote.account if quote and not hand.event.attached_account else account_of(hand, fact.payer)
    if account is None:
        return _unknown(hand, fact, "nobody_to_credit", "nothing on the payment says whose it is")
    if fact.paid is not None and fact.paid.amount_minor == 0 and hand.catalogue.purchases.free == "hold":
        raise FreePurchaseError(f"{fact.key} cost nothing")
    bought = Bought(account=account, credit_type=hand.catalogue.credit_type(credit_type).key, amount=amount)
    outcome = _credit(hand, fact, bought, sought, is_quoted=quote is not None)
    payment_granted(hand, payment)
    return outcome


def _credit(hand: InHand, fact: PurchasePaid, bought: Bought, sought: Sought, *, is_quoted: bool) -> Outcome:
    order = order_of_purchase(
        fact,
        account=bought.account,
        credit_type=bought.credit_type,
        amount=bought.amount,
        purchases=hand.catalogue.purchases,
        event_id=hand.event.id,
    )
    # First the customer, then the account: in the order in which subscriptions take them, or two events of one new
    # customer would wait for each other.
    remember(hand, fact.payer if sought.is_payer_known else Payer(), bought.account)
    posted = ledger.grant(hand.connection, hand.tenant, order, now_ms=hand.now_ms)
    # An operator may have attached the payment before the event came that names its quote: that is paid now, too.
    if not posted.replayed or is_quoted:
        _note_credited(hand, fact, bought, reason=sought.reason)
    if not posted.replayed:
        tell_of_purchase(hand, fact, account=bought.account, credit_type=bought.credit_type, amount=bought.amount)
    word = "were granted before for the same payment" if posted.replayed else "granted"
    said = f"{bought.amount} {bought.credit_type} {word} to {bought.account} ({fact.key})"
    return done("; ".join(filter(None, (said, sought.reason))), account=bought.account, payment=fact.key)


def purchase_pending(hand: InHand, fact: PurchasePending) -> Outcome:
    """Note that the money is on the way."""
    purchases.note_state(
        hand.connection,
        hand.tenant,
        fact.key,
        PurchaseState.PENDING,
        reason=fact.reason,
        quote_id=fact.quote_id,
        now_ms=hand.now_ms,
    )
    return done(f"{fact.key} is not paid yet: {fact.reason}", payment=fact.key)


def purchase_voided(hand: InHand, fact: PurchaseVoided) -> Outcome:
    """Note that no money will come."""
    know_payment(hand, (fact.key,))
    purchases.note_state(
        hand.connection,
        hand.tenant,
        fact.key,
        PurchaseState.EXPIRED if fact.is_expired else PurchaseState.FAILED,
        reason=fact.reason,
        quote_id=fact.quote_id,
        now_ms=hand.now_ms,
    )
    return done(f"{fact.key} will not be paid: {fact.reason}", payment=fact.key)


def note_subscribed(hand: InHand, key: str, quote_id: str, *, reason: str = "") -> None:
    """Note that a subscription began by our checkout. Its invoices grant the credits."""
    purchase = purchases.find_purchase(hand.connection, hand.tenant, quote_id)
    # Somebody else's quote, or one for credits, has not become a subscription whatever the metadata says.
    if purchase is None or purchase["plan"] is None:
        return
    purchases.note_state(
        hand.connection,
        hand.tenant,
        key,
        PurchaseState.SUBSCRIBED,
        reason=reason,
        quote_id=quote_id,
        now_ms=hand.now_ms,
    )


def _not_ours(hand: InHand, fact: PurchasePaid, sought: Sought) -> Outcome | None:
    """An order whose product is a plan's or earns nothing grants nothing here; None if it may buy credits."""
    if fact.product_id is None:
        return None
    plan = hand.catalogue.plan_of(hand.provider, fact.product_id)
    if plan is not None:
        account = sought.account or account_of(hand, fact.payer)
        if account is not None:
            remember(hand, fact.payer, account)
        elif sought.otherwise is not None:
            return sought.otherwise
        if fact.quote_id is not None:
            note_subscribed(hand, fact.key, fact.quote_id, reason=sought.reason)
        return done(f"an order for plan {plan.key}; its invoices grant the credits")
    if hand.catalogue.earns_nothing(fact.product_id):
        return ignored(f"product {fact.product_id} is listed in other_prices")
    return None


def _quote_of(hand: InHand, fact: PurchasePaid) -> Quote | None:
    """The quote this payment answers. Raises AmountMismatchError if another price than the quoted one was asked."""
    if fact.quote_id is None:
        return None
    quote = purchases.find_quote(hand.connection, hand.tenant, fact.quote_id)
    if quote is None:
        raise UnknownQuoteError(fact.quote_id)
    if fact.asked != quote.price:
        asked = "an amount that the event does not tell" if fact.asked is None else str(fact.asked)
        raise AmountMismatchError(fact.quote_id, str(quote.price), asked)
    # An operator who has looked at the payment has the last word.
    if hand.event.attached_account is None:
        _refuse_contradictions(quote, fact)
    return quote


def _refuse_contradictions(quote: Quote, fact: PurchasePaid) -> None:
    """What stands beside the quote's id was written by us, too. If it differs, somebody has changed one of them."""
    said = {"account": fact.payer.account, "credit_type": fact.credit_type, "amount": fact.amount}
    for field, value in said.items():
        quoted = getattr(quote, field)
        if value is not None and value != quoted:
            raise QuoteContradictedError(quote.quote_id, field, quoted, value)


def _refuse_unquoted(hand: InHand, fact: PurchasePaid) -> None:
    """Held for an operator, unless one has said what it bought, or its credits were granted before."""
    is_attached = hand.event.attached_account is not None
    if not is_attached and ledger_store.find_entry(hand.connection, hand.tenant, fact.key) is None:
        raise UnquotedPurchaseError(f"{fact.key} names {fact.amount} {fact.credit_type}, and no quote of ours")


def _unknown(hand: InHand, fact: PurchasePaid, code: str, detail: str) -> Outcome:
    """An operator has to say it, unless one did so already for another event of the same payment."""
    if ledger_store.find_entry(hand.connection, hand.tenant, fact.key) is not None:
        return done(f"its credits were granted before ({fact.key})", payment=fact.key)
    return unattributed(hand, fact.payer, code, detail)


def _note_credited(hand: InHand, fact: PurchasePaid, bought: Bought, *, reason: str) -> None:
    purchases.note_state(
        hand.connection,
        hand.tenant,
        fact.key,
        PurchaseState.CREDITED,
        reason=reason,
        quote_id=fact.quote_id,
        now_ms=hand.now_ms,
        account=bought.account,
        credit_type=bought.credit_type,
        amount=bought.amount,
        paid_minor=None if fact.paid is None else fact.paid.amount_minor,
        currency=None if fact.paid is None else fact.paid.currency,
    )
