"""What requests about prices and purchases carry, and what is answered."""

from typing import Annotated, Any, Final

from pydantic import BaseModel

from credits.api import fields
from credits.api.models import DEFAULT_PAGE, MAX_PAGE, Sent
from credits.checkout.shown import STATES
from credits.config.return_urls import MAX_URL_LENGTH
from credits.errors import InvalidInputError
from credits.errors.tree import shown
from credits.ids import MAX_EMAIL_LENGTH, checked_email

_EMAIL: Final = fields.Checked(checked_email, {"type": "string", "maxLength": MAX_EMAIL_LENGTH, "format": "email"})


class PriceQuery(Sent):
    credit_type: Annotated[str, fields.a_credit_type()]
    amount: Annotated[int, fields.an_amount_in_query()]
    account: Annotated[str | None, fields.an_id("account")] = None
    """What it costs this account: its plan takes its discount off."""
    currency: Annotated[str | None, fields.a_currency()] = None
    """Left out: the credit type's own."""


class CheckoutBody(Sent):
    account: Annotated[str, fields.an_id("account")]
    provider: Annotated[str, fields.an_id("provider")]
    """`stripe`, `lemonsqueezy` or `paddle`."""
    credit_type: Annotated[str | None, fields.an_id("credit_type").or_none()] = None
    amount: Annotated[int | None, fields.an_amount().or_none()] = None
    currency: Annotated[str | None, fields.a_currency().or_none()] = None
    """Left out: the credit type's own."""
    plan: Annotated[str | None, fields.an_id("plan").or_none()] = None
    """Instead of credit_type and amount: subscribe to this plan."""
    price: Annotated[str | None, fields.an_id("price").or_none()] = None
    """Which of the plan's products at the provider. Left out: the first one."""
    success_url: Annotated[str | None, fields.a_text("success_url", max_length=MAX_URL_LENGTH).or_none()] = None
    """Where the payer comes back to; its host must be in allowed_hosts."""
    cancel_url: Annotated[str | None, fields.a_text("cancel_url", max_length=MAX_URL_LENGTH).or_none()] = None
    email: Annotated[str | None, _EMAIL.or_none()] = None
    """Of the account's user, verified by you: fills the provider's form, and tells whose a payment is if in doubt."""
    key: Annotated[str | None, fields.an_id("key").or_none()] = None
    """Names this checkout. Left out: the Idempotency-Key; without one, each request is a new checkout."""


def _checked_state(value: Any) -> str:
    if value not in STATES:
        raise InvalidInputError("state", f"must be one of {', '.join(STATES)}, got {shown(value)}")
    return str(value)


_STATE: Final = fields.Checked(_checked_state, {"type": "string", "enum": list(STATES)})


class PurchasesQuery(Sent):
    account: Annotated[str | None, fields.an_id("account")] = None
    state: Annotated[str | None, _STATE] = None
    limit: Annotated[int, fields.a_whole_number("limit", largest=MAX_PAGE)] = DEFAULT_PAGE
    cursor: Annotated[int | None, fields.a_whole_number("cursor", largest=fields.MAX_CURSOR)] = None
    """`next` of the page before."""


class PriceFound(BaseModel):
    """Decimals are text, since a JSON number would round them."""

    account: str | None
    credit_type: str
    amount: int
    bonus: int
    """On top of `amount`, for nothing."""
    credits: int
    """Granted in all."""
    currency: str
    total: str
    """To be paid: the discount taken off, then rounded half up to the currency's smallest unit."""
    total_minor: int
    formatted: str
    per_unit: str
    """`total` for each of `credits`, to twelve digits."""
    list_total: str
    """Before the discount, exact."""
    discount: str
    """The share taken off, from 0 to 1."""
    plan: str | None
    """The account's plan that takes it off."""
    rule: str
    """`volume`, `graduated`, `calculator` or `pack`."""
    slab: dict[str, Any] | None


class PurchaseFound(BaseModel):
    purchase_id: str
    account: str | None
    state: str
    """quoted, refused, open, pending, expired, failed, abandoned, subscribed, credited; and once money went back of it:
    partly_refunded, refunded, disputed."""
    reason: str | None
    provider: str | None
    credit_type: str | None
    amount: int | None
    """Granted in all."""
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
    """The quote that another payment was made for before."""
    expires_at: str | None
    created_at: str
    updated_at: str


class CheckoutMade(PurchaseFound):
    replayed: bool
    """Whether it was made by an earlier request of the same name."""


class PurchaseListed(PurchaseFound):
    row_id: int
    """As `cursor`, where the page after this purchase begins."""


class PurchasePage(BaseModel):
    items: list[PurchaseListed]
    next: str | None
