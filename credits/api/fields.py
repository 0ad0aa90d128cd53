"""Fields of requests: checked by the library's own rules, so that a value is refused in the same words everywhere."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from credits.clock import checked_instant_ms, from_iso
from credits.errors import InvalidInputError
from credits.errors.tree import kind_of, shown
from credits.ids import MAX_ID_LENGTH, checked_id, checked_text
from credits.members.service import checked_limit
from credits.pricing.money import checked_currency
from credits.reservations.checks import MAX_TTL_S, MAX_TYPES, MIN_TTL_S, checked_ttl_ms
from credits.reservations.hold import Choice, chosen
from credits.units import MAX_AMOUNT, checked_amount, parse_amount

ID_FORMAT: Final = "creditgate-id"
"""In the OpenAPI document: 1 to 200 printable characters of any script, spaces anywhere included."""

HOLD_CURSOR: Final = re.compile(r"([0-9]{1,15})-([0-9a-f]{32})", re.ASCII)
"""Where a page of holds ended: its last deadline, and the hold's name in Redis."""

CREDIT_TYPE: Final = {"type": "string", "format": "creditgate-credit-type"}
"""One of the credit types of this installation; the OpenAPI document puts their names here."""

MAX_CURSOR: Final = 2**62


@dataclass(frozen=True, slots=True)
class Checked:
    """Metadata of a field: what checks it, and how the OpenAPI document describes it."""

    check: Callable[[Any], Any]
    schema: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        # An error of ours is no ValueError: it goes through pydantic as it is.
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.schema)

    def or_none(self) -> "Checked":
        """The same, or null, which says as much as leaving it out."""
        return Checked(lambda value: None if value is None else self.check(value), {"anyOf": [self.schema, _NULL]})


_NULL: Final = {"type": "null"}


def an_id(field: str) -> Checked:
    """An account, a key, a name: see `checked_id`."""
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH, "format": ID_FORMAT}
    return Checked(lambda value: checked_id(value, field), schema)


def a_currency() -> Checked:
    """A code of ISO 4217 in capitals, in a field of that name."""
    return Checked(checked_currency, {"type": "string", "pattern": "^[A-Z]{3}$"})


def a_text(field: str, *, max_length: int) -> Checked:
    """Free text that every database stores."""
    schema = {"type": "string", "maxLength": max_length, "format": "creditgate-text"}
    return Checked(lambda value: checked_text(value, field, max_length=max_length), schema)


def an_amount(field: str = "amount") -> Checked:
    """A whole number of credits, as a JSON integer."""
    return Checked(lambda value: checked_amount(value, field), _AMOUNT)


def a_limit(field: str = "amount") -> Checked:
    """A whole number of credits, 0 allowed, as a JSON integer."""
    return Checked(lambda value: checked_limit(value, field), {**_AMOUNT, "minimum": 0})


def an_amount_in_query(field: str = "amount") -> Checked:
    """A whole number of credits, in ASCII digits."""
    return Checked(lambda value: parse_amount(value, field), _AMOUNT)


def items(field: str = "items", *, smallest: int = 1) -> Checked:
    """Amounts by credit type. That they are in bounds is checked by the library, which knows the credit types."""

    def check(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise InvalidInputError(field, f'must be an object such as {{"image_generation": 1}}, got {kind_of(value)}')
        return value

    amounts = {**_AMOUNT, "minimum": smallest}
    schema = {
        "type": "object",
        "propertyNames": CREDIT_TYPE,
        "additionalProperties": amounts,
        "minProperties": 1,
        "maxProperties": MAX_TYPES,
    }
    return Checked(check, schema)


def a_ttl() -> Checked:
    """Seconds from now, whole or not."""

    def check(value: Any) -> float:
        checked_ttl_ms(value)
        return float(value)

    return Checked(check, {"type": "number", "minimum": MIN_TTL_S, "maximum": MAX_TTL_S})


def a_truth(field: str) -> Checked:
    """true or false, and nothing that resembles them."""

    def check(value: object) -> bool:
        if not isinstance(value, bool):
            raise InvalidInputError(field, f"must be true or false, got {kind_of(value)}")
        return value

    return Checked(check, {"type": "boolean"})


def a_choice(choices: type[Choice], field: str) -> Checked:
    """One of the words of an enum."""

    def check(value: Any) -> Any:
        return chosen(choices, value if isinstance(value, str) else shown(value), field)

    return Checked(check, {"type": "string", "enum": [choice.value for choice in choices]})


def an_instant(field: str) -> Checked:
    """An instant in ISO 8601; milliseconds inside."""

    def check(value: object) -> int:
        try:
            at_ms = from_iso(value) if isinstance(value, str) else -1
        except (ValueError, OverflowError):
            at_ms = -1
        if at_ms < 0:
            raise InvalidInputError(
                field, f"must be an ISO 8601 instant from 1970 on such as 2026-01-31T12:00:00Z, got {shown(value)}"
            )
        return checked_instant_ms(at_ms, field)

    return Checked(check, {"type": "string", "format": "date-time"})


def a_whole_number(field: str, *, smallest: int = 1, largest: int) -> Checked:
    """A whole number in a query, in ASCII digits."""

    def check(text: str) -> int:
        is_number = text.isascii() and text.isdigit() and len(text) <= 19
        if not is_number or not smallest <= int(text) <= largest:
            raise InvalidInputError(field, f"must be a whole number from {smallest} to {largest}, got {text[:40]!r}")
        return int(text)

    return Checked(check, {"type": "integer", "minimum": smallest, "maximum": largest})


_AMOUNT: Final = {"type": "integer", "minimum": 1, "maximum": MAX_AMOUNT}


def a_hold_cursor(field: str) -> Checked:
    """Where a page of holds ended."""

    def check(text: str) -> tuple[int, str]:
        match = HOLD_CURSOR.fullmatch(text)
        if match is None:
            raise InvalidInputError(field, f"must be `next` of the page before, got {text[:40]!r}")
        return int(match[1]), match[2]

    return Checked(check, {"type": "string", "pattern": f"^{HOLD_CURSOR.pattern}$"})


def a_credit_type(field: str = "credit_type") -> Checked:
    """A credit type. Whether it is declared is checked by the library."""
    return Checked(lambda value: checked_id(value, field), CREDIT_TYPE)
