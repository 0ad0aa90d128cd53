"""What happens to a plan's credits at each turn of its subscription's life: the words of credits.toml, by name."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class OnChange(StrEnum):
    """What becomes of a plan's credits when its subscriber moves to another plan."""

    KEEP_AND_ADD = "keep_and_add"
    PRORATE = "prorate"
    RESET = "reset"
    AT_RENEWAL = "at_renewal"


class OnCancel(StrEnum):
    """What becomes of a plan's credits when its subscription has ended. Bought credits stay in any case."""

    KEEP_TO_EXPIRY = "keep_to_expiry"
    END = "end"


class OnPause(StrEnum):
    """What a paused subscription still hands out."""

    KEEP = "keep"
    """What is paid for goes on."""
    STOP_DRIPS = "stop_drips"
    """What would have been handed out while it is paused is left out."""
    END = "end"
    """And what is unspent goes."""


class OnPastDue(StrEnum):
    """What a subscription with an unpaid invoice still hands out."""

    KEEP = "keep"
    STOP_DRIPS = "stop_drips"
    """Held back while it is unpaid, and made up for once it is paid."""


class OnTrialEnd(StrEnum):
    """When trial credits lapse."""

    END = "end"
    KEEP_TO_EXPIRY = "keep_to_expiry"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePolicy:
    """What a plan change does, by whether it is charged for (up) or gives money back (down)."""

    up: OnChange = OnChange.PRORATE
    down: OnChange = OnChange.PRORATE


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroInvoice:
    """Whether an invoice that charged no card earns its plan's credits, by why it did not."""

    coupon: Literal["grant", "skip"] = "grant"
    """A coupon or discount left nothing to pay."""
    balance: Literal["grant", "skip"] = "grant"
    """The customer's balance at the provider paid."""
    out_of_band: Literal["grant", "skip"] = "grant"
    """Money paid that the provider never saw."""
    free: Literal["grant", "skip"] = "grant"
    """The price is 0."""
