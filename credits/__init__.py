"""Creditgate, a prepaid-credits engine: payments come in, credits go out, exactly once."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from credits.engine import Credits

__all__ = ["Credits"]


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that `import credits.errors` costs nobody an ORM.
    if name == "Credits":
        from credits.engine import Credits

        return Credits
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
