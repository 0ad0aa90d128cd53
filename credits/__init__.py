"""Creditgate, a prepaid-credits engine: payments come in, credits go out, exactly once."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from credits.client import AsyncCreditsClient, CreditsClient
    from credits.engine import Credits
    from credits.integrations.celery import spends
    from credits.reservations.asks import Commit
    from credits.reservations.batch import Reserve

__all__ = ["AsyncCreditsClient", "Commit", "Credits", "CreditsClient", "Reserve", "spends"]

_HOME_OF = {
    "AsyncCreditsClient": "credits.client",
    "Commit": "credits.reservations.asks",
    "Credits": "credits.engine",
    "CreditsClient": "credits.client",
    "Reserve": "credits.reservations.batch",
    "spends": "credits.integrations.celery",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that `import credits.errors` costs nobody an ORM.
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
