"""A clock that stands still until somebody moves it."""

from typing import Final

# 2026-01-15 12:00:00 UTC: in the middle of a month, a day and an hour, so that no boundary is met by accident.
NOON_MS: Final = 1_768_478_400_000


class VirtualClock:
    """Answers the same instant until it is moved. Pass it wherever a `credits.clock.Clock` is taken."""

    def __init__(self, now_ms: int = NOON_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def advance_ms(self, duration_ms: int) -> int:
        """Move the clock on (a negative duration: back) and return the new present."""
        self.now_ms += duration_ms
        return self.now_ms

    def set_ms(self, now_ms: int) -> None:
        """Move the clock to an instant."""
        self.now_ms = now_ms
