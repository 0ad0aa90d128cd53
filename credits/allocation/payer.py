"""Whose payment it is: the one place that weighs the hints, and the one that remembers the answer."""

from credits.allocation.model import InHand
from credits.facts import Payer
from credits.ids import account_of_reference, checked_id
from credits.inbox.model import EventState, Outcome, customer_subject, subscription_subject
from credits.inbox.rules import recheck_at_ms
from credits.ledger import store as ledger_store
from credits.plans import store as plans
from credits.promos import service as promos


def account_of(hand: InHand, payer: Payer) -> str | None:
    """
    The account to credit, by the strongest hint there is; None if there is none.

    In order: an operator's word; our own metadata on the object; a client reference that we signed; the stored
    subscription; the stored customer. Never the e-mail address: what
    that may tell of a listed order is decided in credits.allocation.matching.
    """
    if hand.event.attached_account is not None:
        return hand.event.attached_account
    if payer.account is not None:
        return checked_id(payer.account, "creditgate_account")
    if payer.client_reference is not None:
        account = account_of_reference(payer.client_reference, hand.secret_key)
        if account is not None:
            return account
    if payer.subscription_id is not None:
        seen = plans.find_subscription(hand.connection, hand.tenant, hand.provider, payer.subscription_id)
        if seen is not None and seen.account is not None:
            return seen.account
    if payer.customer_id is not None:
        return plans.account_of_customer(hand.connection, hand.tenant, hand.provider, payer.customer_id)
    return None


def remember(hand: InHand, payer: Payer, account: str) -> None:
    """
    Link the payer's customer to `account` for later events, and wake those that waited for that.

    An account that is seen as a customer for the first time is given its welcome credits.
    """
    if payer.customer_id is None:
        promos.welcome(hand.connection, hand.tenant, hand.catalogue, account, now_ms=hand.now_ms)
        return
    if plans.is_linked(hand.connection, hand.tenant, hand.provider, payer.customer_id):
        return
    account_id = ledger_store.ensure_account(hand.connection, hand.tenant, account, hand.now_ms)
    if plans.link_customer(hand.connection, hand.tenant, hand.provider, payer.customer_id, account_id, hand.now_ms):
        hand.learn(customer_subject(hand.provider, payer.customer_id))
        promos.welcome(hand.connection, hand.tenant, hand.catalogue, account, now_ms=hand.now_ms)


def unattributed(hand: InHand, payer: Payer, code: str, detail: str) -> Outcome:
    """Nobody to credit yet: kept, alarmed, attached by an operator, or woken up when the link arrives."""
    return Outcome(
        state=EventState.UNATTRIBUTED,
        code=code,
        detail=detail,
        due_at_ms=recheck_at_ms(hand.event.attempts, hand.now_ms),
        waits_for=subjects_of(hand, payer),
    )


def subjects_of(hand: InHand, payer: Payer) -> tuple[str, ...]:
    """What may yet tell whose payment it is."""
    subjects = []
    if payer.customer_id is not None:
        subjects.append(customer_subject(hand.provider, payer.customer_id))
    if payer.subscription_id is not None:
        subjects.append(subscription_subject(hand.provider, payer.subscription_id))
    return tuple(subjects)
