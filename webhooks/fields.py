"""Read fields of a provider's JSON: the value, None where there is none, an error with its path for another kind."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from credits.clock import from_iso
from credits.errors import MalformedPayloadError
from credits.units import MAX_AMOUNT, Money

_Value = TypeVar("_Value")

_MINOR_UNITS: Final = re.compile(r"-?[0-9]{1,16}", re.ASCII)

MAX_TEXT_LENGTH: Final = 255
"""The longest id or word that the inbox's columns hold."""


@dataclass(frozen=True, slots=True)
class Node:
    """One JSON object of a payload. Methods named `required_…` refuse an absent field, the others answer None."""

    values: Mapping[str, Any]
    path: str = ""

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self.values.get(name) is not None

    def child(self, name: str) -> "Node":
        """The object in the field; an empty one where it is absent or null, so that reading may go on below it."""
        value = self.values.get(name)
        if value is None:
            return Node({}, self._at(name))
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return Node(value, self._at(name))

    def children(self, name: str) -> tuple["Node", ...]:
        """The objects in the list of that name; empty where the field is absent or null."""
        value = self.values.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._wrong(name, "a list of objects")
        return tuple(Node(item, f"{self._at(name)}[{index}]") for index, item in enumerate(value))

    def text(self, name: str) -> str | None:
        """Text of 1 to 255 characters that every database stores; None where it is absent, null or empty."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise self._wrong(name, "text")
        # PostgreSQL stores no NUL, and a lone surrogate has no UTF-8.
        if len(value) > MAX_TEXT_LENGTH or any(unicodedata.category(char) in {"Cc", "Cs"} for char in value):
            raise self._wrong(name, f"at most {MAX_TEXT_LENGTH} characters, none of them control characters")
        return value

    def required_text(self, name: str) -> str:
        return self._present(name, self.text(name), "text")

    def identifier(self, name: str) -> str | None:
        """An id as text, whether it was sent as text or as a number."""
        value = self.values.get(name)
        return str(value) if type(value) is int else self.text(name)

    def required_identifier(self, name: str) -> str:
        return self._present(name, self.identifier(name), "an id")

    def integer(self, name: str) -> int | None:
        """A whole number within ±(2^53 − 1)."""
        value = self.values.get(name)
        if value is None:
            return None
        # `type is int`, because True is an int to isinstance.
        if type(value) is not int or abs(value) > MAX_AMOUNT:
            raise self._wrong(name, f"a whole number within ±{MAX_AMOUNT}")
        return value

    def required_integer(self, name: str) -> int:
        return self._present(name, self.integer(name), "a whole number")

    def flag(self, name: str) -> bool | None:
        """True or false; some that pass events on quote the word."""
        value = self.values.get(name)
        if value is None or isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return bool(value == "true")
        raise self._wrong(name, "true or false")

    def instant_ms(self, name: str) -> int | None:
        """An ISO 8601 instant in milliseconds since the epoch."""
        text = self.text(name)
        if text is None:
            return None
        try:
            return from_iso(text)
        except (ValueError, OverflowError):
            raise self._wrong(name, "an ISO 8601 instant") from None

    def required_instant_ms(self, name: str) -> int:
        return self._present(name, self.instant_ms(name), "an ISO 8601 instant")

    def money(self, name: str, currency: str) -> Money | None:
        """A field of minor units as money in `currency`, which providers name beside it and spell in either case."""
        amount_minor = self.integer(name)
        return None if amount_minor is None else Money(amount_minor=amount_minor, currency=currency.upper())

    def required_money(self, name: str, currency: str) -> Money:
        return self._present(name, self.money(name, currency), "a whole number of minor units")

    def money_in_text(self, name: str, currency: str) -> Money | None:
        """The same of a provider that writes its minor units as text: `"1999"`, or `"-500"` for what goes back."""
        text = self.text(name)
        if text is None:
            return None
        if not _MINOR_UNITS.fullmatch(text) or abs(int(text)) > MAX_AMOUNT:
            raise self._wrong(name, f"a whole number within ±{MAX_AMOUNT}, in quotes")
        return Money(amount_minor=int(text), currency=currency.upper())

    def required_money_in_text(self, name: str, currency: str) -> Money:
        return self._present(name, self.money_in_text(name, currency), "a whole number of minor units, in quotes")

    def _present(self, name: str, value: _Value | None, kind: str) -> _Value:
        if value is None:
            raise MalformedPayloadError(f"{self._at(name)} is missing; it must be {kind}")
        return value

    def _wrong(self, name: str, kind: str) -> MalformedPayloadError:
        shown = repr(self.values.get(name))
        return MalformedPayloadError(f"{self._at(name)} must be {kind}, got {shown[:60]}")

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name
