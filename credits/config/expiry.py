"""When granted credits lapse."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_DAY_MS: Final = 86_400_000


class ExpiryKind(StrEnum):
    """What the instant is counted from at which credits lapse."""

    PERIOD_END = "period_end"
    AFTER = "after"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """When granted credits lapse."""

    kind: ExpiryKind
    after_days: int | None = None
    """Days from the grant; set if kind is after."""
    grace_days: int = 0
    """Days beyond the end of the period; 0 unless kind is period_end."""

    def __post_init__(self) -> None:
        if (self.kind is ExpiryKind.AFTER) != (self.after_days is not None):
            raise ValueError(f"after_days belongs to the kind after and to it alone, got {self}")
        if self.grace_days and self.kind is not ExpiryKind.PERIOD_END:
            raise ValueError(f"grace_days belongs to the kind period_end alone, got {self}")

    def lapses_at_ms(self, *, granted_at_ms: int, period_end_ms: int | None) -> int | None:
        """The instant at which credits granted now lapse; None: never. Raises ValueError if a needed period is None."""
        match self.kind:
            case ExpiryKind.NEVER:
                return None
            case ExpiryKind.AFTER:
                return granted_at_ms + (self.after_days or 0) * _DAY_MS
            case ExpiryKind.PERIOD_END:
                if period_end_ms is None:
                    raise ValueError("credits that lapse at the end of a period need the period's end")
                return period_end_ms + self.grace_days * _DAY_MS


PERIOD_END: Final = Expiry(kind=ExpiryKind.PERIOD_END)
NEVER: Final = Expiry(kind=ExpiryKind.NEVER)
