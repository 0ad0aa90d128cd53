"""Facts as JSON that a person can check against a provider's documentation: only what is said, times as dates."""

from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from credits.clock import iso
from credits.facts import Fact
from credits.units import Money


def in_words(facts: tuple[Fact, ...]) -> list[dict[str, Any]]:
    """
    Each fact by its name and the fields that say something and differ from their defaults.

    Reasons are left out: they are sentences for people, free to be worded better.
    """
    return [{"fact": type(fact).__name__, **_said(fact)} for fact in facts]


def _said(value: Any) -> dict[str, Any]:
    return {
        field.name.removesuffix("_ms"): _word(field.name, getattr(value, field.name))
        for field in fields(value)
        if field.name != "reason" and _is_said(getattr(value, field.name), field.default)
    }


def _is_said(value: Any, default: Any) -> bool:
    # None in place of a default: the payload does not tell.
    return bool(value != default and (value is not None or default is MISSING))


def _word(name: str, value: Any) -> Any:
    if isinstance(value, Money):
        return f"{value.amount_minor} {value.currency}"
    if name.endswith("_ms"):
        return [iso(at_ms) for at_ms in value] if isinstance(value, tuple) else iso(value)
    if isinstance(value, tuple):
        return [_word(name, item) for item in value]
    return _said(value) if is_dataclass(value) else value
