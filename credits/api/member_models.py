"""What requests about members carry and answers hold."""

from typing import Annotated, Literal

from credits.api import fields
from credits.api.models import DEFAULT_PAGE, MAX_PAGE, Sent, Shown
from credits.ledger.model import MAX_REASON_LENGTH


class MemberLimitBody(Sent):
    amount: Annotated[int, fields.a_limit()]
    """At most so many credits per window; 0: none."""
    reason: Annotated[str, fields.a_text("reason", max_length=MAX_REASON_LENGTH)] = ""
    """Why; it stays in the audit log."""


class MemberRaiseBody(Sent):
    amount: Annotated[int, fields.an_amount()]
    """What the member may spend instead until then; above its limit."""
    until: Annotated[int, fields.an_instant("until")]
    """Within a year from now."""
    reason: Annotated[str, fields.a_text("reason", max_length=MAX_REASON_LENGTH)]
    """Why; it stays in the audit log."""


class TimeZoneBody(Sent):
    time_zone: Annotated[str, fields.a_text("time_zone", max_length=64)]
    """A name of the IANA database: `Europe/Berlin`."""
    reason: Annotated[str, fields.a_text("reason", max_length=MAX_REASON_LENGTH)] = ""
    """Why; it stays in the audit log."""


class TimeZoneSet(Shown):
    account: str
    time_zone: str
    replayed: bool
    """Whether it was that one already."""


class MembersQuery(Sent):
    cursor: Annotated[str | None, fields.an_id("cursor")] = None
    """`next` of the page before."""
    limit: Annotated[int, fields.a_whole_number("limit", largest=MAX_PAGE)] = DEFAULT_PAGE


class LimitUseFound(Shown):
    credit_type: str
    per: Literal["day", "month", "ever"]
    limit: int
    """As of now: the raised one, while it is raised."""
    amount: int
    """Without the raise."""
    raised_until: str | None
    used: int
    """Committed in the window, and held now."""
    held: int
    left: int
    ends_at: str | None
    """When the window ends and the limit begins anew; null: never."""


class MemberShown(Shown):
    member: str
    used: dict[str, int]
    """In all, by credit type: committed and held."""
    limits: list[LimitUseFound]


class MemberFound(MemberShown):
    account: str


class MemberPage(Shown):
    account: str
    items: list[MemberShown]
    next: str | None


class Removal(Shown):
    account: str
    member: str
    removed: int
    """How many limits there were."""
