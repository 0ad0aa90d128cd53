"""A clock that stands still until a test moves it."""

from credits.simulation.clock import NOON_MS, VirtualClock

__all__ = ["NOON_MS", "VirtualClock"]
