"""
Test what you build on Creditgate: a running engine, a virtual clock, signed webhooks, a simulated provider.

The fixtures come with the package, as a plugin of pytest: `credits_sandbox` and its relatives. Nothing is imported
before a test asks for one. docs/testing.md shows how they are used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from credits.testing.books import assert_books_balance
    from credits.testing.provider import SimulatedProvider
    from credits.testing.webhooks import Webhooks

__all__ = ["SimulatedProvider", "Webhooks", "assert_books_balance"]

_HOME_OF = {
    "SimulatedProvider": "credits.testing.provider",
    "Webhooks": "credits.testing.webhooks",
    "assert_books_balance": "credits.testing.books",
}


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
