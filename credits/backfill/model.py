"""What a backfill works with: a found object as the event that its webhook would have been, and pages of those."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from credits.ids import digest

DAY_MS: Final = 86_400_000

MADE_BY: Final = {"made_by": "backfill"}
"""Stands in every body that a backfill puts in, under `creditgate`: no provider signed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEvent:
    """What one object at the provider says, in the shape of the webhook that would have said it."""

    event_id: str
    """The provider's own where there is one; otherwise of the object and its state, so that a repeat adds nothing."""
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPage:
    """One page of a listing."""

    events: Sequence[FoundEvent]
    next_token: str | None
    """Where the next page begins; None after the last."""


class Listing(Protocol):
    """What a provider has, page by page. Each call asks the provider once; repeating it is harmless."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """What can be listed, in the order in which it is."""
        ...

    def page(self, kind: str, *, since_ms: int, token: str | None, now_ms: int) -> FoundPage:
        """
        What was made or changed since then, as far as the provider tells.

        Raises ProviderUnavailableError if it may succeed later, ProviderRefusedError if the provider said no.
        """
        ...


@dataclass(slots=True, kw_only=True)
class Tally:
    """What one kind of object came to."""

    found: int = 0
    new: int = 0
    known: int = 0
    """In the inbox already."""
    other_mode: int = 0
    """Of the other tenant; left alone."""
    unread: int = 0
    """Of a type that moves no credits; left alone."""
    too_large: int = 0
    """Larger than a webhook may be; look at it by hand."""


def state_id(kind: str, object_id: object, *state: object) -> str:
    """The id of a made-up event: the same for the same object in the same state."""
    return f"backfill:{kind}:{digest(str(object_id), *state)[:40]}"
