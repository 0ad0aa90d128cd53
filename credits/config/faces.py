"""How an installation speaks and looks to people outside: notifications, the hosted page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationRules:
    """What is told to destinations beyond what happens by itself."""

    low_balance: Mapping[str, int] = field(default_factory=dict)
    """By credit type: an account with less than this available is low."""
    lapse_notice_days: int | None = None
    """How long before credits lapse that is told; None: it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalRules:
    """How the hosted page looks."""

    name: str = "Credits"
    colour: str = "#1f5fbf"
    """As #rrggbb."""
    logo: Path | None = None
    """A picture's file; it is shown 32 pixels high."""
