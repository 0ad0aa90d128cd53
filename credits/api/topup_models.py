"""What requests about automatic top-ups carry, and what is answered."""

from typing import Annotated

from pydantic import BaseModel

from credits.api import fields
from credits.api.models import Sent


class TopupBody(Sent):
    threshold: Annotated[int, fields.an_amount("threshold")]
    """Fewer available credits than these are a shortage."""
    amount: Annotated[int | None, fields.an_amount().or_none()] = None
    """Bought each time."""
    target: Annotated[int | None, fields.an_amount("target").or_none()] = None
    """Instead of amount: buy as many as are missing to so many."""
    monthly_cap_minor: Annotated[int, fields.an_amount("monthly_cap_minor")]
    """The most that is charged in a calendar month (UTC), in the currency's smallest unit."""
    currency: Annotated[str | None, fields.a_currency().or_none()] = None
    """Left out: the credit type's own."""
    provider: Annotated[str | None, fields.an_id("provider").or_none()] = None
    """Left out: the first that can charge a saved card."""
    customer_id: Annotated[str | None, fields.an_id("customer_id").or_none()] = None
    """The provider's customer. Left out: the newest of the account that has a card."""
    payment_method: Annotated[str | None, fields.an_id("payment_method").or_none()] = None
    """Left out: the customer's default card, or else its newest."""


class LastDecision(BaseModel):
    decision: str
    reason: str
    sentence: str
    detail: str | None
    since: str
    until: str | None


class TopupAttempt(BaseModel):
    charge_id: str
    state: str
    """open, pending, charged, granted, declined, handed_off, refused or lost."""
    amount: int
    cost_minor: int
    currency: str
    kind: str | None
    """Of a decline: soft, hard or authentication."""
    reason: str | None
    payment: str | None
    purchase_id: str
    begun_at: str
    ended_at: str | None
    """Null while it is in flight."""


class TopupFound(BaseModel):
    account: str
    credit_type: str
    is_on: bool
    provider: str
    threshold: int
    amount: int | None
    target: int | None
    monthly_cap_minor: int
    currency: str
    customer_id: str | None
    payment_method: str | None
    available: int
    spent_this_month_minor: int
    decision: str
    """What would be decided now: charge, wait or blocked."""
    reason: str
    sentence: str
    until: str | None
    last_decision: LastDecision | None
    """What the last sweep decided."""
    finish_url: str | None
    """Where the payer can finish what the bank wants to see."""
    attempts: list[TopupAttempt]
    """The newest first."""


class TopupList(BaseModel):
    account: str
    items: list[TopupFound]
