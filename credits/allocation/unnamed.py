"""Find the quote of an order that its provider lists without our custom data."""

from dataclasses import dataclass

from sqlalchemy import RowMapping

from credits.allocation.matching import Candidate, Later, Matched, Tie, Unclear, match
from credits.allocation.model import InHand
from credits.allocation.payer import unattributed
from credits.errors import CreditsError
from credits.facts import PurchasePaid
from credits.ids import email_digest, quote_reference
from credits.inbox.model import EventState, Outcome
from credits.inbox.unfinished import MOST_UNFINISHED, unfinished_bodies
from credits.ledger import store as ledger_store
from credits.payload import parse
from credits.plans import store as plans
from credits.pricing.likely import quotes_like
from credits.pricing.store import FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What looking for an order's quote came to."""

    quote_id: str | None = None
    account: str | None = None
    reason: str = ""
    """Why we believe that it is this one; kept with the purchase."""
    is_payer_known: bool = True
    """False: nothing but price and time says so, which is too little to tie the customer to the account for good."""
    otherwise: Outcome | None = None
    """What becomes of the event if nothing else says whose it is."""


NOT_SOUGHT = Sought()


def sought_quote(hand: InHand, fact: PurchasePaid) -> Sought:
    """The quote of an order that nothing names; nothing is sought for one that is named, or granted before."""
    if fact.listed is None or fact.quote_id is not None or hand.event.attached_account is not None:
        return NOT_SOUGHT
    rule = hand.catalogue.purchases.unnamed
    plan_product = _plan_product(hand, fact)
    if rule == "hold" or not (plan_product or fact.listed.is_ours):
        return NOT_SOUGHT
    if ledger_store.find_entry(hand.connection, hand.tenant, fact.key) is not None:
        return NOT_SOUGHT
    verdict = match(
        _candidates(hand, fact, plan_product),
        paid_at_ms=fact.occurred_at_ms,
        now_ms=hand.now_ms,
        believes_price=rule == "match",
        other_orders=lambda candidate: _other_orders(hand, fact, candidate),
    )
    match verdict:
        case Matched(chosen=chosen, tie=tie):
            return Sought(
                quote_id=chosen.quote_id,
                account=chosen.account,
                reason=f"no webhook told of it; found by {tie.value}",
                is_payer_known=tie is not Tie.NONE,
            )
        case Later(quote_id=quote_id, at_ms=at_ms):
            return Sought(otherwise=_waiting(quote_id, at_ms))
        case Unclear(reason=reason):
            return Sought(
                otherwise=unattributed(hand, fact.payer, "nobody_to_credit", f"nobody is named, and {reason}")
            )


def _waiting(quote_id: str, at_ms: int) -> Outcome:
    return Outcome(
        state=EventState.WAITING,
        code="quote_open",
        detail=f"nobody is named; purchase {quote_id} alone fits, and is believed once its time is over",
        due_at_ms=at_ms,
    )


def _plan_product(hand: InHand, fact: PurchasePaid) -> str | None:
    if fact.product_id is None or hand.catalogue.plan_of(hand.provider, fact.product_id) is None:
        return None
    return fact.product_id


def _candidates(hand: InHand, fact: PurchasePaid, plan_product: str | None) -> list[Candidate]:
    rows = quotes_like(
        hand.connection,
        hand.tenant,
        hand.provider,
        asked=fact.asked,
        plan_product=plan_product,
        paid_from_ms=fact.occurred_at_ms,
        paid_until_ms=fact.occurred_at_ms,
    )
    customer_of = None
    if fact.payer.customer_id is not None:
        customer_of = plans.account_of_customer(hand.connection, hand.tenant, hand.provider, fact.payer.customer_id)
    email = (
        None if fact.listed is None or fact.listed.email is None else email_digest(fact.listed.email, hand.secret_key)
    )
    title = "" if fact.listed is None else fact.listed.title or ""
    return [
        Candidate(
            quote_id=row["quote_id"],
            account=row["account"],
            what=f"plan {row['plan']}" if row["plan"] else f"{row['amount']} {row['credit_type']}",
            is_unpaid=row["state"] not in FINAL,
            made_at_ms=row["created_at_ms"],
            expires_at_ms=row["expires_at_ms"],
            tie=_tie(row, title=title, email=email, customer_of=customer_of),
        )
        for row in rows
    ]


def _tie(row: RowMapping, *, title: str, email: str | None, customer_of: str | None) -> Tie:
    """What binds the order to one quote: a customer that is known as the account's, the address that the app gave."""
    if quote_reference(row["quote_id"]) in title:
        return Tie.REFERENCE
    is_same_email = row["email_digest"] is not None and row["email_digest"] == email
    if is_same_email or customer_of == row["account"]:
        return Tie.PAYER
    if row["email_digest"] is not None or customer_of is not None:
        return Tie.AGAINST
    return Tie.NONE


def _other_orders(hand: InHand, fact: PurchasePaid, candidate: Candidate) -> int:
    """How many other orders that nobody is named on were paid for as much while the quote lived."""
    provider = hand.providers.get(hand.provider)
    if provider is None:
        return 0
    others: set[str] = set()
    bodies = unfinished_bodies(hand.connection, hand.tenant, hand.provider, hand.event.event_type)
    if len(bodies) == MOST_UNFINISHED:
        # There may be more than were read, and any of those may be the one.
        return MOST_UNFINISHED
    for body in bodies:
        try:
            facts = provider.interpret(parse(body))
        # It is an event of its own, and says so itself.
        except CreditsError:
            continue
        for other in facts:
            if isinstance(other, PurchasePaid) and _competes(fact, other) and candidate.lived_at(other.occurred_at_ms):
                others.add(other.key)
    return len(others)


def _competes(fact: PurchasePaid, other: PurchasePaid) -> bool:
    is_alike = other.product_id == fact.product_id and other.asked == fact.asked
    return other.key != fact.key and other.quote_id is None and is_alike
