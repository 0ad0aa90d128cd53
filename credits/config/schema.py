"""The tables of credits.toml as pydantic models: which keys there are, and what each value may be."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

from babel.numbers import list_currencies
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError
from pydantic_core import ErrorDetails

from credits.config.catalogue import NEVER, PERIOD_END, Every, Expiry, ExpiryKind, OnChange, Pricing, Rollover, Slab
from credits.config.findings import Path, Report, did_you_mean, shown
from credits.errors import InvalidIdError
from credits.ids import checked_id
from credits.units import MAX_AMOUNT

MAX_DAYS: Final = 36_500
MAX_GRACE_DAYS: Final = 366
MAX_PRIORITY: Final = 1_000_000
MAX_ROLLOVER_PERCENT: Final = 1000
MAX_ROLLOVER_PERIODS: Final = 1200

# `stripe_prices`, `lemonsqueezy_variants`, `paddle_products`: any provider, in the word it uses for what it sells.
PRODUCT_KEY: Final = re.compile(r"([a-z][a-z0-9_]{0,31})_(?:prices|variants|products)")

_PRODUCT_KEY_PATTERN: Final = f"^{PRODUCT_KEY.pattern}$"
_DECIMAL: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?", re.ASCII)
_EXPIRES: Final = re.compile(
    r"(?P<never>never)|period_end(?:\+(?P<grace>[1-9][0-9]{0,5})d)?|\+(?P<after>[1-9][0-9]{0,5})d", re.ASCII
)
_PERCENT: Final = re.compile(r"([1-9][0-9]{0,5})%", re.ASCII)
_FUNCTION: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")


# ── Values ───────────────────────────────────────────────────────────────────────────────────────────────


def _whole(minimum: int, maximum: int) -> PlainValidator:
    def read(value: object) -> int:
        # `type is int`, because true is an int to isinstance.
        if type(value) is not int or not minimum <= value <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}, got {shown(value)}")
        return value

    return PlainValidator(read)


def _decimal(value: object) -> Decimal:
    if type(value) in (int, float):
        raise ValueError(f'must stand in quotes, because a number of TOML is not exact: "{shown(value)}"')
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise ValueError(
            'must be a decimal of at least 0 in quotes, such as "0.10", with at most 12 digits on either side of the '
            f"point, got {shown(value)}"
        )
    return Decimal(value)


def _share(value: object) -> Decimal:
    share = _decimal(value)
    if share > 1:
        raise ValueError(f'must be a share from "0" to "1" ("0.10" takes a tenth off), got {shown(value)}')
    return share


def _text(value: object) -> str:
    if type(value) is not str:
        raise ValueError(f"must be text in quotes, got {shown(value)}")
    try:
        return checked_id(value, "text")
    except InvalidIdError as error:
        raise ValueError(str(error).removeprefix("text: ")) from None


def _currency(value: object) -> str:
    if not isinstance(value, str) or value not in list_currencies():
        raise ValueError(f"must be a currency of ISO 4217 in capitals, such as USD, got {shown(value)}")
    return value


def _function(value: object) -> str:
    if not isinstance(value, str) or not _FUNCTION.fullmatch(value):
        raise ValueError(f'must name a function as "module:function", got {shown(value)}')
    return value


def _one_of(choices: type[StrEnum]) -> PlainValidator:
    words = [choice.value for choice in choices]

    def read(value: object) -> StrEnum:
        if not isinstance(value, str) or value not in words:
            hint = f"; {did_you_mean(value, words)}" if isinstance(value, str) else ""
            raise ValueError(f"must be one of {', '.join(words)}, got {shown(value)}{hint}")
        return choices(value)

    return PlainValidator(read)


def _word(*words: str) -> BeforeValidator:
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


def _plan_expiry(value: object) -> Expiry:
    return _expiry(value, forms='"period_end", "period_end+3d", "+30d" or "never"')


def _purchase_expiry(value: object) -> Expiry:
    expiry = _expiry(value, forms='"+30d" or "never"')
    if expiry.kind is ExpiryKind.PERIOD_END:
        raise ValueError(f'must be "+30d" or "never": a purchase has no billing period to end with, got {shown(value)}')
    return expiry


def _cap(value: object) -> Rollover:
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


_Amount = Annotated[int, _whole(1, MAX_AMOUNT)]
_Priority = Annotated[int, _whole(0, MAX_PRIORITY)]
_Text = Annotated[str, PlainValidator(_text)]
_Price = Annotated[Decimal, PlainValidator(_decimal)]


# ── Tables ───────────────────────────────────────────────────────────────────────────────────────────────


class TomlTable(BaseModel):
    """
    One table of the file.

    Every field has a default, so that what is left of a faulty table can still be checked for its other faults; the
    keys in `required` are asked for by `read_table`. Tables inside stay unread: each is read by a call of its own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
    required: ClassVar[tuple[str, ...]] = ()


class SlabTable(TomlTable):
    required: ClassVar[tuple[str, ...]] = ("from", "price_per_unit")
    first: Annotated[int, _whole(1, MAX_AMOUNT)] = Field(1, alias="from")
    last: _Amount | None = Field(None, alias="to")
    price_per_unit: _Price = Decimal(0)

    def slab(self) -> Slab:
        """The slab this table describes."""
        return Slab(first=self.first, last=self.last, price_per_unit=self.price_per_unit)


class CreditTypeTable(TomlTable):
    required: ClassVar[tuple[str, ...]] = ("name", "currency")
    name: _Text = ""
    currency: Annotated[str, PlainValidator(_currency)] = ""
    minimum_amount: _Amount = 1
    maximum_amount: _Amount | None = None
    pricing: Annotated[Pricing, _one_of(Pricing)] | None = None
    slabs: list[Any] | None = None
    price_calculator: Annotated[str, PlainValidator(_function)] | None = None


class RolloverTable(TomlTable):
    cap: Annotated[Rollover, PlainValidator(_cap)] | None = None
    periods: Annotated[int, _whole(1, MAX_ROLLOVER_PERIODS)] | None = None

    def rollover(self) -> Rollover:
        """The rollover this table describes."""
        cap = self.cap or Rollover()
        return Rollover(cap_credits=cap.cap_credits, cap_percent=cap.cap_percent, periods=self.periods)


class PlanCreditsTable(TomlTable):
    required: ClassVar[tuple[str, ...]] = ("amount",)
    amount: _Amount = 1
    every: Annotated[Every, _one_of(Every)] = Every.PERIOD
    rollover: dict[str, Any] | None = None
    expires: Annotated[Expiry, PlainValidator(_plan_expiry)] = PERIOD_END
    priority: _Priority = 100


class PlanTable(TomlTable):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[Annotated[str, Field(pattern=_PRODUCT_KEY_PATTERN)], list[_Text]]
    required: ClassVar[tuple[str, ...]] = ("name",)
    name: _Text = ""
    discount: Annotated[Decimal, PlainValidator(_share)] = Decimal(0)
    on_change: Annotated[OnChange, _one_of(OnChange)] = OnChange.PRORATE
    credits: dict[str, Any] = {}

    def products(self) -> Mapping[str, list[str]]:
        """The lists of product ids by their key in the file, such as `stripe_prices`."""
        return self.__pydantic_extra__


class PurchasesTable(TomlTable):
    free: Annotated[Literal["grant", "hold"], _word("grant", "hold")] = "grant"
    unknown: Annotated[Literal["hold", "ignore"], _word("hold", "ignore")] = "hold"
    expires: Annotated[Expiry, PlainValidator(_purchase_expiry)] = NEVER
    priority: _Priority = 200


class Document(TomlTable):
    """The top of the file."""

    required: ClassVar[tuple[str, ...]] = ("credit_types",)
    credit_types: dict[str, Any] = {}
    plans: dict[str, Any] = {}
    other_prices: list[_Text] = []
    purchases: dict[str, Any] = {}


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────

AnyTable = TypeVar("AnyTable", bound=TomlTable)


def read_table(model: type[AnyTable], raw: object, path: Path, report: Report) -> AnyTable:
    """
    Read one table; every fault is reported under its key, and what is faulty or missing takes its default.

    Never raises, whatever `raw` is.
    """
    if not isinstance(raw, Mapping):
        report.problem(path, f"must be a table, got {shown(raw)}")
        return model()
    for key in model.required:
        if key not in raw:
            report.problem((*path, key), "is missing; add it")
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        faults = error.errors(include_url=False)
    unknown = {fault["loc"][0] for fault in faults if fault["type"] in _UNKNOWN_KEY}
    for fault in faults:
        # What stands under an unknown key cannot be right or wrong.
        if fault["type"] in _UNKNOWN_KEY or fault["loc"][0] not in unknown:
            report.problem((*path, *fault["loc"]), _reason(model, fault))
    faulty = {fault["loc"][0] for fault in faults}
    return model.model_validate({key: value for key, value in raw.items() if key not in faulty})


def _reason(model: type[TomlTable], fault: ErrorDetails) -> str:
    value: object = fault["input"]
    reason = _REASONS.get(fault["type"])
    if reason is not None:
        return reason(model, str(fault["loc"][0]), value)
    return str(fault["ctx"]["error"])


def _unknown_key(model: type[TomlTable], key: str, _value: object) -> str:
    known = [field.alias or name for name, field in model.model_fields.items()]
    if model is PlanTable:
        known += ["stripe_prices", "lemonsqueezy_variants", "paddle_prices"]
    return f"is not a key of this table; {did_you_mean(key, known)}"


_UNKNOWN_KEY: Final = frozenset({"extra_forbidden", "string_pattern_mismatch"})

# What pydantic itself refuses; every other value is refused by a reader above, with its own reason.
_REASONS: Final[Mapping[str, Callable[[type[TomlTable], str, object], str]]] = {
    "extra_forbidden": _unknown_key,
    "string_pattern_mismatch": _unknown_key,
    "dict_type": lambda _model, _key, value: f"must be a table, got {shown(value)}",
    "list_type": lambda _model, _key, value: f"must be a list in square brackets, got {shown(value)}",
}
