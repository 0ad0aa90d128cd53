"""What requests carry and answers hold: the one description behind the checks and the OpenAPI document."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict

from credits.api import fields
from credits.ledger.model import MAX_REASON_LENGTH
from credits.reservations.model import Durability, Overage

MAX_PAGE = 200
DEFAULT_PAGE = 50
DEFAULT_TTL_S = 60.0


class Sent(BaseModel):
    """A body or a query. What it does not name is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Shown(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Nothing(Sent):
    """No fields: an empty body, or no query."""


# ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────


class ReserveBody(Sent):
    items: Annotated[dict[str, int], fields.items()]
    """Credits to hold, by credit type; of all types or of none."""
    reservation_id: Annotated[str | None, fields.an_id("reservation_id").or_none()] = None
    """Names the reservation. Left out: the Idempotency-Key, or else a new id."""
    ttl_s: Annotated[float, fields.a_ttl()] = DEFAULT_TTL_S
    """Seconds until the hold ends by itself."""
    member: Annotated[str | None, fields.an_id("member").or_none()] = None
    """For whom of the account's members; that one's limits hold, too."""


class CommitBody(Sent):
    items: Annotated[dict[str, int] | None, fields.items(smallest=0).or_none()] = None
    """What was used, 0 allowed; left out: all that is held."""
    step: Annotated[str | None, fields.an_id("step").or_none()] = None
    """Names this commit among those of the reservation. Left out: `final`, or the Idempotency-Key if not final."""
    final: Annotated[bool, fields.a_truth("final")] = True
    """Whether the rest returns; otherwise it stays held for further steps."""
    overage: Annotated[Overage, fields.a_choice(Overage, "overage")] = Overage.DENY
    """What a commit above the hold does."""
    durability: Annotated[Durability, fields.a_choice(Durability, "durability")] = Durability.LEDGER
    """What the answer survives: `ledger` waits until it is booked."""
    if_lost: Annotated[dict[str, int] | None, fields.items("if_lost").or_none()] = None
    """What leaving `items` out comes to if the hold is gone and cannot say."""
    member: Annotated[str | None, fields.an_id("member").or_none()] = None
    """Whose the hold was, if it is gone and cannot say."""


class ExtendBody(Sent):
    ttl_s: Annotated[float, fields.a_ttl()] = DEFAULT_TTL_S
    """Seconds from now at which the hold shall end; it never moves nearer."""


class SpendBody(Sent):
    items: Annotated[dict[str, int], fields.items()]
    """Credits to take, by credit type; of all types or of none."""
    key: Annotated[str | None, fields.an_id("key").or_none()] = None
    """Names what is paid for. Left out: the Idempotency-Key, which is then required."""
    member: Annotated[str | None, fields.an_id("member").or_none()] = None
    """For whom of the account's members; that one's limits hold, too."""
    durability: Annotated[Durability, fields.a_choice(Durability, "durability")] = Durability.LEDGER
    """What the answer survives: `ledger` waits until it is booked."""


class DeductBody(Sent):
    credit_type: Annotated[str, fields.a_credit_type()]
    amount: Annotated[int, fields.an_amount()]
    key: Annotated[str | None, fields.an_id("key").or_none()] = None
    """Names this change, for ever. Left out: the Idempotency-Key, which is then required."""
    reason: Annotated[str, fields.a_text("reason", max_length=MAX_REASON_LENGTH)] = ""
    """Why; it stays in the ledger."""


class GrantBody(DeductBody):
    expires_at: Annotated[int | None, fields.an_instant("expires_at").or_none()] = None
    """When the credits lapse; left out: never."""


class BalancesQuery(Sent):
    at: Annotated[int | None, fields.an_instant("at")] = None
    """As of this instant, from the ledger alone. Left out: now."""


class PageQuery(Sent):
    credit_type: Annotated[str | None, fields.an_id("credit_type")] = None
    """Only this one."""
    limit: Annotated[int, fields.a_whole_number("limit", largest=MAX_PAGE)] = DEFAULT_PAGE
    cursor: Annotated[int | None, fields.a_whole_number("cursor", largest=fields.MAX_CURSOR)] = None
    """`next` of the page before."""


class HoldsQuery(Sent):
    limit: Annotated[int, fields.a_whole_number("limit", largest=MAX_PAGE)] = DEFAULT_PAGE
    cursor: Annotated[tuple[int, str] | None, fields.a_hold_cursor("cursor")] = None
    """`next` of the page before."""


class CanDeductQuery(Sent):
    credit_type: Annotated[str, fields.a_credit_type()]
    amount: Annotated[int, fields.an_amount_in_query()]


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────

HoldStateName = Literal["held", "committed", "released", "expired", "spent"]


class BalanceOfType(Shown):
    balance: int
    held: int
    pending: int
    available: int
    debt: int


class Balances(Shown):
    account: str
    balances: dict[str, BalanceOfType]


class Reservation(Shown):
    account: str
    reservation_id: str
    state: HoldStateName
    items: dict[str, int]
    expires_at: str
    member: str | None
    replayed: bool
    """Whether it was made by an earlier request of the same name."""


class ReservationFound(Shown):
    account: str
    reservation_id: str
    state: HoldStateName
    items: dict[str, int]
    """What it still holds."""
    commits: int
    made_at: str
    expires_at: str
    member: str | None


class ReservationPage(Shown):
    account: str
    items: list[ReservationFound]
    next: str | None


class Commitment(Shown):
    account: str
    reservation_id: str
    durability: Literal["ledger", "redis"]
    is_pending: bool
    """True if the ledger did not answer in time: the credits are taken; ask again to learn more."""
    rescued: bool
    """True if the hold was gone and what was available paid for it."""
    replayed: bool


class Release(Shown):
    account: str
    reservation_id: str
    released: bool
    """True if it was released, now or before; false if it had ended in another way."""


class Extension(Shown):
    account: str
    reservation_id: str
    expires_at: str


class Posting(Shown):
    account: str
    credit_type: str
    key: str
    seq: int
    amount: int
    """Positive for credits put in, negative for credits taken out."""
    balance_after: int
    replayed: bool


class CanDeduct(Shown):
    account: str
    credit_type: str
    amount: int
    can_deduct: bool


class Entry(Shown):
    id: int
    credit_type: str
    seq: int
    kind: str
    amount: int
    balance_after: int
    debt_after: int
    key: str
    reservation_id: str | None
    member: str | None
    actor: str
    reason: str
    event_id: int | None
    at: str


class EntryPage(Shown):
    account: str
    items: list[Entry]
    next: str | None


class Grant(Shown):
    id: int
    credit_type: str
    amount: int
    remaining: int
    frozen: int
    source: str
    source_ref: str
    plan: str | None
    priority: int
    paid_minor: int | None
    currency: str | None
    key: str
    expires_at: str | None
    created_at: str


class GrantPage(Shown):
    account: str
    items: list[Grant]
    next: str | None


class ShortageFound(Shown):
    credit_type: str
    needed: int
    available: int


class LimitExceededFound(Shown):
    credit_type: str
    per: Literal["day", "month", "ever"]
    limit: int
    used: int
    """Committed in the window, and held now."""
    needed: int
    ends_at: str | None
    """When the window ends; null: never."""


class Problem(Shown):
    """RFC 9457. `code` is stable; `detail` is for people."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    type: str
    code: str
    status: int
    detail: str
    fix: str | None = None
    """What to do about it."""
    field: str | None = None
    """The field at fault."""
    maximum: int | None = None
    shortages: list[ShortageFound] | None = None
    member: str | None = None
    exceeded: list[LimitExceededFound] | None = None
    """The member's limits that would be passed."""
    buy_url: str | None = None
