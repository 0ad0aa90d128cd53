"""Decides which credits a payment or a hand-made order earns. Pure functions: values in, ledger orders out."""

from credits.clock import iso
from credits.config.catalogue import Purchases
from credits.errors import InvalidInputError
from credits.facts import PurchasePaid
from credits.ids import checked_id, digest
from credits.ledger.model import OWN_KEY, GrantOrder, GrantSource
from credits.units import checked_amount

MANUAL_PRIORITY = 50
"""Credits given by hand are burnt before a plan's (100) and bought ones (200)."""


def order_of_purchase(
    fact: PurchasePaid,
    *,
    account: str,
    credit_type: str,
    amount: int,
    purchases: Purchases,
    event_id: int,
) -> GrantOrder:
    """
    The credits that a paid purchase earns.

    Expiry counts from the provider's own time of the payment, so that a late or repeated event makes the same lot.
    """
    return GrantOrder(
        account=account,
        credit_type=credit_type,
        amount=amount,
        key=fact.key,
        fingerprint=digest("purchase", account, credit_type, amount),
        source=GrantSource.PURCHASE,
        source_ref=fact.key,
        priority=purchases.priority,
        effective_at_ms=0,
        expires_at_ms=purchases.expires.lapses_at_ms(granted_at_ms=fact.occurred_at_ms, period_end_ms=None),
        paid=fact.paid,
        actor=_provider_actor(fact.key),
        reason=f"purchase {fact.key}",
        event_id=event_id,
        meta={"also_known_as": list(fact.also_known_as), "quote_id": fact.quote_id},
    )


def order_by_hand(
    *,
    account: str,
    credit_type: str,
    amount: int,
    key: str,
    reason: str,
    actor: str,
    expires_at_ms: int | None,
) -> GrantOrder:
    """Credits that a person or the app's own code gives. `key` is theirs; it cannot collide with a provider's."""
    name = manual_key(key)
    account = checked_id(account, "account")
    return GrantOrder(
        account=account,
        credit_type=credit_type,
        amount=checked_amount(amount),
        key=name,
        fingerprint=digest("grant", account, credit_type, amount, expires_at_ms),
        source=GrantSource.MANUAL,
        source_ref=name,
        priority=MANUAL_PRIORITY,
        effective_at_ms=0,
        expires_at_ms=expires_at_ms,
        actor=actor,
        reason=reason,
    )


def lapses_at_once(order: GrantOrder) -> InvalidInputError:
    """Why credits that would lapse as they come are not granted."""
    reason = f"must lie ahead, got {iso(order.expires_at_ms)}; leave it out for credits that never lapse"
    return InvalidInputError("expires_at", reason)


def manual_key(key: str) -> str:
    """A caller's key as the ledger stores it."""
    return f"{OWN_KEY}{checked_id(key, 'key')}"


def _provider_actor(key: str) -> str:
    return f"provider:{key.split(':', 1)[0]}"
