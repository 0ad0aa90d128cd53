"""A member's name as the scripts spell it, and back."""

from urllib.parse import quote, unquote


def gate_name(member: str | None) -> str:
    """A member as the scripts spell one: no character of it means anything there. Empty for nobody."""
    return "" if member is None else quote(member, safe="")


def member_of(name: str) -> str | None:
    """The member that the scripts call `name`."""
    return unquote(name, errors="strict") or None
