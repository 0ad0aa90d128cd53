"""Charging a saved card while its owner is away: what a provider is told, and what it may answer."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from credits.units import Money


class DeclineKind(StrEnum):
    """What a declined charge means for the next one."""

    SOFT = "soft"
    """The same card may do later: too little money, a bank that does not answer."""
    HARD = "hard"
    """This card will never do: lost, expired, closed; or there is none."""
    AUTHENTICATION = "authentication"
    """The bank wants to see its customer: the payment can only be finished by the payer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeOrder:
    """Everything that a charge is made of. The same order makes the same charge."""

    charge_id: str
    """Ours: the provider's idempotency key."""
    purchase_id: str
    account: str
    title: str
    """What the payer reads on the receipt."""
    credit_type: str
    amount: int
    money: Money
    customer_id: str
    payment_method: str
    begun_at_ms: int
    may_exist: bool
    """Its idempotency key may be forgotten by now: look for the charge, and do not make it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged:
    """The money is taken."""

    payment_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargePending:
    """The provider is at it, and its answer is not known yet."""

    payment_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """No money was taken, and by this charge none will be."""

    kind: DeclineKind
    reason: str
    """In the provider's words: `insufficient_funds`."""
    payment_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverMade:
    """The provider has no such charge, and it is too late to make it."""


Charge = Charged | ChargePending | Declined | NeverMade


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedCard:
    """A card that its owner left at the provider."""

    customer_id: str
    payment_method: str


@runtime_checkable
class CardCharger(Protocol):
    """A seller that can charge a saved card. Its errors are those of PaymentProvider.create_checkout."""

    @property
    def name(self) -> str:
        """As in the URL `/webhooks/<name>`."""
        ...

    def saved_card(self, customer_ids: tuple[str, ...], payment_method: str | None) -> SavedCard | None:
        """The card to charge: the one named, or the first customer's that has one; None if there is none."""
        ...

    def charge_off_session(self, order: ChargeOrder) -> Charge:
        """
        Charge the card, or find the charge that was made for the same order.

        Raises ProviderUnavailableError if it is not known what happened: safe to repeat with the same order.
        """
        ...

    def charge_state(self, payment_id: str) -> Charge:
        """What has become of a charge that was pending."""
        ...
