"""Which events each provider sends when something happens: tables of data."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Happening(StrEnum):
    """What happens to a simulated account at its provider."""

    PURCHASED = "purchased"
    SUBSCRIBED = "subscribed"
    RENEWED = "renewed"
    PAYMENT_FAILED = "payment failed"
    PAYMENT_RECOVERED = "payment recovered"
    PLAN_CHANGED = "plan changed"
    PLAN_SWITCHED = "plan switched without proration"
    PAUSED = "paused"
    RESUMED = "resumed"
    CANCELLED = "cancelled"
    ENDED = "ended"
    PURCHASE_REFUNDED = "purchase refunded"
    PERIOD_REFUNDED = "period refunded"
    REFUND_FAILED = "refund failed"
    DISPUTE_OPENED = "dispute opened"
    DISPUTE_LOST = "dispute lost"
    DISPUTE_WON = "dispute won"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event that a happening sends, and what its simulation says beside the happening's own words."""

    event_type: str
    said: Mapping[str, Any]
    shapes: str = ""
    """`old` or `basil` where only the older or only the newer API versions send it; empty: all."""


def told(event_type: str, *, shapes: str = "", **said: Any) -> Told:
    """A row of a table below."""
    return Told(event_type=event_type, said=said, shapes=shapes)


_SUBSCRIPTION: Final = "customer.subscription"
_INVOICE_PAID: Final = (
    told("charge.succeeded"),
    told("invoice.paid"),
    told("invoice.payment_succeeded"),
    told("invoice_payment.paid", shapes="basil"),
)
_REFUND: Final = (told("refund.created"), told("charge.refunded"))

_STRIPE: Final[Mapping[Happening, tuple[Told, ...]]] = {
    Happening.PURCHASED: (
        told("payment_intent.created"),
        told("charge.succeeded"),
        told("checkout.session.completed"),
    ),
    Happening.SUBSCRIBED: (
        told("customer.created"),
        told(f"{_SUBSCRIPTION}.created"),
        told("invoice.created"),
        told("invoice.finalized"),
        *_INVOICE_PAID,
        told("checkout.session.completed"),
    ),
    Happening.RENEWED: (told(f"{_SUBSCRIPTION}.updated"), told("invoice.created"), *_INVOICE_PAID),
    Happening.PAYMENT_FAILED: (
        told("invoice.created"),
        told("invoice.payment_failed"),
        told(f"{_SUBSCRIPTION}.updated", status="past_due"),
    ),
    Happening.PAYMENT_RECOVERED: (*_INVOICE_PAID, told(f"{_SUBSCRIPTION}.updated")),
    Happening.PLAN_CHANGED: (told(f"{_SUBSCRIPTION}.updated"), told("invoice.created"), *_INVOICE_PAID),
    Happening.PLAN_SWITCHED: (told(f"{_SUBSCRIPTION}.updated"),),
    Happening.PAUSED: (told(f"{_SUBSCRIPTION}.paused"),),
    Happening.RESUMED: (told(f"{_SUBSCRIPTION}.resumed"),),
    Happening.CANCELLED: (told(f"{_SUBSCRIPTION}.updated", cancels_at_period_end=True),),
    Happening.ENDED: (told(f"{_SUBSCRIPTION}.deleted"),),
    Happening.PURCHASE_REFUNDED: _REFUND,
    Happening.PERIOD_REFUNDED: _REFUND,
    Happening.REFUND_FAILED: (told("refund.failed"),),
    Happening.DISPUTE_OPENED: (told("charge.dispute.created"), told("charge.dispute.funds_withdrawn")),
    Happening.DISPUTE_LOST: (told("charge.dispute.closed", status="lost"),),
    Happening.DISPUTE_WON: (
        told("charge.dispute.closed", status="won"),
        told("charge.dispute.funds_reinstated"),
    ),
}

_LEMON_SQUEEZY: Final[Mapping[Happening, tuple[Told, ...]]] = {
    Happening.PURCHASED: (told("order_created"),),
    Happening.SUBSCRIBED: (
        told("order_created"),
        told("subscription_created"),
        told("subscription_updated"),
        told("subscription_payment_success"),
    ),
    Happening.RENEWED: (told("subscription_updated"), told("subscription_payment_success")),
    Happening.PAYMENT_FAILED: (
        told("subscription_payment_failed"),
        told("subscription_updated", status="past_due"),
    ),
    Happening.PAYMENT_RECOVERED: (
        told("subscription_payment_success"),
        told("subscription_payment_recovered"),
        told("subscription_updated"),
    ),
    Happening.PLAN_CHANGED: (
        told("subscription_plan_changed"),
        told("subscription_updated"),
        told("subscription_payment_success"),
    ),
    Happening.PLAN_SWITCHED: (told("subscription_plan_changed"), told("subscription_updated")),
    Happening.PAUSED: (told("subscription_paused"), told("subscription_updated", status="paused")),
    Happening.RESUMED: (told("subscription_unpaused"), told("subscription_updated")),
    Happening.CANCELLED: (told("subscription_cancelled"), told("subscription_updated", status="cancelled")),
    Happening.ENDED: (told("subscription_expired"),),
    Happening.PURCHASE_REFUNDED: (told("order_refunded"),),
    Happening.PERIOD_REFUNDED: (told("subscription_payment_refunded"),),
}
"""No dispute, and no refund that fails: Lemon Squeezy has no events of them."""

_ADJUSTED: Final = (told("adjustment.created"), told("adjustment.updated"))
_COMPLETED: Final = (told("transaction.paid"), told("transaction.completed"))

_PADDLE: Final[Mapping[Happening, tuple[Told, ...]]] = {
    Happening.PURCHASED: (told("transaction.created"), *_COMPLETED),
    Happening.SUBSCRIBED: (
        told("transaction.created"),
        told("transaction.paid"),
        told("subscription.created"),
        told("subscription.activated"),
        told("transaction.completed"),
    ),
    Happening.RENEWED: (told("subscription.updated"), told("transaction.created"), *_COMPLETED),
    Happening.PAYMENT_FAILED: (
        told("transaction.created"),
        told("transaction.payment_failed"),
        told("subscription.past_due"),
    ),
    Happening.PAYMENT_RECOVERED: (*_COMPLETED, told("subscription.updated")),
    Happening.PLAN_CHANGED: (told("subscription.updated"), told("transaction.created"), *_COMPLETED),
    Happening.PLAN_SWITCHED: (told("subscription.updated"),),
    Happening.PAUSED: (told("subscription.paused"),),
    Happening.RESUMED: (told("subscription.resumed"),),
    Happening.CANCELLED: (told("subscription.updated", cancels_at_period_end=True),),
    Happening.ENDED: (told("subscription.canceled"),),
    Happening.PURCHASE_REFUNDED: _ADJUSTED,
    Happening.PERIOD_REFUNDED: _ADJUSTED,
    Happening.REFUND_FAILED: (told("adjustment.updated", status="reversed"),),
    Happening.DISPUTE_OPENED: (told("adjustment.created", status="chargeback"),),
    Happening.DISPUTE_LOST: (),
    Happening.DISPUTE_WON: (
        told("adjustment.updated", status="chargeback reversed"),
        told("adjustment.created", status="chargeback_reverse"),
    ),
}
"""
A chargeback is told once the bank has taken the money: unless it is reversed, nothing more is said of it. That it is,
both the chargeback and an adjustment of its own say.
"""

DIALECTS: Final[Mapping[str, Mapping[Happening, tuple[Told, ...]]]] = {
    "stripe": _STRIPE,
    "lemonsqueezy": _LEMON_SQUEEZY,
    "paddle": _PADDLE,
}
"""By provider name."""

SIGNED_AND_QUOTED: Final = frozenset({"paddle"})
"""Where payers can edit what we write: an account counts there if it is signed, and a purchase by its quote."""

SHAPES: Final[Mapping[str, str]] = {"old": "2020-08-27", "basil": "2025-03-31.basil"}
"""API versions by the names of their shapes."""

_FIRST_BASIL: Final = "2025-03-31"


def shape_of_version(api_version: str | None) -> str:
    """`old` or `basil`: to which of the two shapes an API version belongs; without one, to the newer."""
    return "old" if api_version is not None and api_version < _FIRST_BASIL else "basil"
