"""What single values of credits.toml may be: readers for pydantic, each with its own reason for what it refuses."""

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final
from zoneinfo import available_timezones

from babel import Locale, UnknownLocaleError
from babel.numbers import list_currencies
from pydantic import BeforeValidator, PlainValidator

from credits.config.catalogue import Rollover
from credits.config.expiry import NEVER, PERIOD_END, Expiry, ExpiryKind
from credits.config.findings import did_you_mean, shown
from credits.config.policies import ChangePolicy, OnChange
from credits.errors import InvalidIdError
from credits.ids import checked_id
from credits.units import MAX_AMOUNT

MAX_DAYS: Final = 36_500
MAX_GRACE_DAYS: Final = 366
MAX_PRIORITY: Final = 1_000_000
MAX_ROLLOVER_PERCENT: Final = 1000

_DECIMAL: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?", re.ASCII)
_EXPIRES: Final = re.compile(
    r"(?P<never>never)|period_end(?:\+(?P<grace>[1-9][0-9]{0,5})d)?|\+(?P<after>[1-9][0-9]{0,5})d", re.ASCII
)
_PERCENT: Final = re.compile(r"([1-9][0-9]{0,5})%", re.ASCII)
_HOST: Final = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?(?::[0-9]{1,5})?", re.ASCII)
_COLOUR: Final = re.compile(r"#[0-9a-fA-F]{6}", re.ASCII)
_FUNCTION: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")


def whole(minimum: int, maximum: int) -> PlainValidator:
    def read(value: object) -> int:
        # `type is int`, because true is an int to isinstance.
        if type(value) is not int or not minimum <= value <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}, got {shown(value)}")
        return value

    return PlainValidator(read)


def read_decimal(value: object) -> Decimal:
    if type(value) in (int, float):
        raise ValueError(f'must stand in quotes, because a number of TOML is not exact: "{shown(value)}"')
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise ValueError(
            'must be a decimal of at least 0 in quotes, such as "0.10", with at most 12 digits on either side of the '
            f"point, got {shown(value)}"
        )
    return Decimal(value)


def read_share(value: object) -> Decimal:
    share = read_decimal(value)
    if share > 1:
        raise ValueError(f'must be a share from "0" to "1" ("0.10" takes a tenth off), got {shown(value)}')
    return share


def read_text(value: object) -> str:
    if type(value) is not str:
        raise ValueError(f"must be text in quotes, got {shown(value)}")
    if value != value.strip():
        raise ValueError("must not begin or end with white space")
    try:
        return checked_id(value, "text")
    except InvalidIdError as error:
        raise ValueError(str(error).removeprefix("text: ")) from None


def read_currency(value: object) -> str:
    if not isinstance(value, str) or value not in list_currencies():
        raise ValueError(f"must be a currency of ISO 4217 in capitals, such as USD, got {shown(value)}")
    return value


def read_flag(value: object) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, got {shown(value)}")  # noqa: TRY004 - pydantic collects ValueErrors
    return value


def read_host(value: object) -> str:
    """The name of a host, `*.` before it for every host below; a port where it is not the usual one."""
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        raise ValueError(f"must be a host such as app.example.com or *.example.com (no https://), got {shown(value)}")
    return value


def read_locale(value: object) -> str:
    """A locale that Babel knows, such as en_US."""
    try:
        return str(Locale.parse(value if isinstance(value, str) else ""))
    except (ValueError, UnknownLocaleError):
        raise ValueError(f"must be a locale such as en_US or de_DE, got {shown(value)}") from None


def read_colour(value: object) -> str:
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        raise ValueError(f'must be a colour such as "#1f5fbf", got {shown(value)}')
    return value.lower()


def read_function(value: object) -> str:
    if not isinstance(value, str) or not _FUNCTION.fullmatch(value):
        raise ValueError(f'must name a function as "module:function", got {shown(value)}')
    return value


def one_of(choices: type[StrEnum]) -> PlainValidator:
    words = [choice.value for choice in choices]

    def read(value: object) -> StrEnum:
        if not isinstance(value, str) or value not in words:
            hint = f"; {did_you_mean(value, words)}" if isinstance(value, str) else ""
            raise ValueError(f"must be one of {', '.join(words)}, got {shown(value)}{hint}")
        return choices(value)

    return PlainValidator(read)


def read_on_change(value: object) -> ChangePolicy:
    """One word for every change of plan, or one for those that are charged for and one for those that are not."""
    words = [choice.value for choice in OnChange]
    if isinstance(value, str) and value in words:
        return ChangePolicy(up=OnChange(value), down=OnChange(value))
    if not isinstance(value, Mapping):
        hint = f"; {did_you_mean(value, words)}" if isinstance(value, str) else ""
        raise ValueError(  # noqa: TRY004 - pydantic collects ValueErrors
            f"must be one of {', '.join(words)}, or {{ up = …, down = … }} of these, got {shown(value)}{hint}"
        )
    for key, choice in value.items():
        if key not in ("up", "down"):
            raise ValueError(f"has the keys up and down, got {shown(key)}")
        if choice not in words:
            raise ValueError(f"{key} must be one of {', '.join(words)}, got {shown(choice)}")
    return ChangePolicy(**{key: OnChange(choice) for key, choice in value.items()})


def read_timezone(value: object) -> str:
    """A name of the IANA database."""
    if not isinstance(value, str) or value not in available_timezones():
        raise ValueError(f'must be a time zone of the IANA database, such as "Europe/Berlin", got {shown(value)}')
    return value


def word(*words: str) -> BeforeValidator:
    def read(value: object) -> object:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}, got {shown(value)}")
        return value

    return BeforeValidator(read)


def _expiry(value: object, forms: str) -> Expiry:
    match = _EXPIRES.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"must be {forms}, got {shown(value)}")
    if match["never"]:
        return NEVER
    if match["after"]:
        return Expiry(kind=ExpiryKind.AFTER, after_days=_bounded(match["after"], MAX_DAYS, "days", value))
    if match["grace"]:
        return Expiry(kind=ExpiryKind.PERIOD_END, grace_days=_bounded(match["grace"], MAX_GRACE_DAYS, "days", value))
    return PERIOD_END


def read_plan_expiry(value: object) -> Expiry:
    return _expiry(value, forms='"period_end", "period_end+3d", "+30d" or "never"')


def read_purchase_expiry(value: object) -> Expiry:
    expiry = _expiry(value, forms='"+30d" or "never"')
    if expiry.kind is ExpiryKind.PERIOD_END:
        raise ValueError(f'must be "+30d" or "never": a purchase has no billing period to end with, got {shown(value)}')
    return expiry


def read_cap(value: object) -> Rollover:
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        return Rollover(cap_percent=_bounded(match[1], MAX_ROLLOVER_PERCENT, "%", value))
    if type(value) is int and 1 <= value <= MAX_AMOUNT:
        return Rollover(cap_credits=value)
    raise ValueError(
        f'must be a whole number of credits from 1 to {MAX_AMOUNT} or a share of the plan\'s amount such as "50%", '
        f"got {shown(value)}"
    )


def _bounded(digits: str, maximum: int, unit: str, value: object) -> int:
    if int(digits) > maximum:
        raise ValueError(f"must be at most {maximum} {unit}, got {shown(value)}")
    return int(digits)


Amount = Annotated[int, whole(1, MAX_AMOUNT)]
Priority = Annotated[int, whole(0, MAX_PRIORITY)]
Text = Annotated[str, PlainValidator(read_text)]
Price = Annotated[Decimal, PlainValidator(read_decimal)]
