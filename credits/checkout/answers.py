"""Purchases as every face shows them in JSON. Light: the clients import it."""

from typing import Any, TypedDict


class Purchase(TypedDict):
    """A purchase from its quote to its credits."""

    purchase_id: str
    account: str | None
    state: str
    """quoted, refused, open, pending, expired, failed, abandoned, subscribed, credited; and once money went back of it:
    partly_refunded, refunded, disputed."""
    reason: str | None
    provider: str | None
    credit_type: str | None
    amount: int | None
    """Granted in all; what is taken back after a refund stands in the ledger."""
    bonus: int | None
    plan: str | None
    price: str | None
    currency: str | None
    total_minor: int | None
    formatted: str | None
    paid_minor: int | None
    """What was really charged: discounts taken off, taxes added."""
    refunded_minor: int
    """Of that, what was given back."""
    disputed_minor: int
    """Of that, what the payer's bank wants back, or has taken."""
    refunded_currency: str | None
    """Of these two sums: the currency that was paid in, which is not always the quote's. None while there are none."""
    priced_by: dict[str, Any] | None
    checkout_url: str | None
    payment: str | None
    """What was paid for, by the ledger's key."""
    same_quote_as: str | None
    expires_at: str | None
    created_at: str
    updated_at: str


class Checkout(Purchase):
    """A purchase, and whether an earlier call under the same key made it."""

    replayed: bool


class ListedPurchase(Purchase):
    """A purchase in a list."""

    row_id: int
    """The cursor of the next page, of the last one of this."""
