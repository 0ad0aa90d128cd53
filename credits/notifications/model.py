"""Values of notifications: what can happen, whom it is told, and how far the telling has come."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from credits.config.settings import Tenant

MAX_URL_LENGTH: Final = 2000


class Kind(StrEnum):
    """Everything that is told. A destination names those it wants to hear of."""

    PURCHASE_COMPLETED = "purchase.completed"
    ALLOCATION_FAILED = "allocation.failed"
    BALANCE_LOW = "balance.low"
    BALANCE_RECOVERED = "balance.recovered"
    CREDITS_LAPSE_SOON = "credits.lapse_soon"
    TOPUP_FAILED = "topup.failed"
    DISPUTE_OPENED = "dispute.opened"
    PING = "ping"
    """Sent by hand, to try a destination out; to that one alone."""


SUBSCRIBABLE: Final = frozenset(Kind) - {Kind.PING}


class DeliveryState(StrEnum):
    """Where one delivery is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    """Every attempt failed, or the destination is gone. `credits deliveries retry` tries again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where notifications go: an https URL, or a mailto: address."""

    id: int
    name: str
    """`dst_…`, as every face shows it."""
    tenant: Tenant
    url: str
    kinds: frozenset[Kind]
    """Empty: every kind."""
    secret_version: int
    previous_until_ms: int | None
    """Until when the secret before this one signs, too."""
    disabled_reason: str | None

    @property
    def is_mail(self) -> bool:
        return self.url.startswith("mailto:")

    def wants(self, kind: Kind) -> bool:
        """Whether it is told of `kind`."""
        return self.disabled_reason is None and (not self.kinds or kind in self.kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One thing that happened."""

    id: int
    name: str
    """`ntf_…`: the webhook-id, the same for every attempt and destination."""
    tenant: Tenant
    kind: Kind
    account: str | None
    data: dict[str, Any]
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One notification on its way to one destination, in the hands of one worker."""

    id: int
    attempts: int
    """This one included."""
    lease_token: str
    notification: Notification
    destination: Destination


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What an attempt came to."""

    status: int | None
    """The HTTP status; 250 for a mail that was taken; None if nobody answered."""
    detail: str
    """What went wrong, or the first words of the answer. Never a secret."""
    duration_ms: int
