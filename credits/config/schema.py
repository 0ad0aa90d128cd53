"""The tables of credits.toml as pydantic models: which keys there are, and what each value may be."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError
from pydantic_core import ErrorDetails

from credits.config.catalogue import Every, Pack, Pricing, Rollover, Slab
from credits.config.expiry import NEVER, PERIOD_END, Expiry
from credits.config.findings import Path, Report, did_you_mean, shown
from credits.config.policies import ChangePolicy, OnCancel, OnPastDue, OnPause, OnTrialEnd
from credits.config.shortfall import Shortfall
from credits.config.values import (
    Amount,
    Price,
    Priority,
    Text,
    one_of,
    read_cap,
    read_colour,
    read_currency,
    read_flag,
    read_function,
    read_host,
    read_locale,
    read_on_change,
    read_plan_expiry,
    read_purchase_expiry,
    read_share,
    read_timezone,
    whole,
    word,
)
from credits.units import MAX_AMOUNT

MAX_ROLLOVER_PERIODS: Final = 1200
MAX_NOTICE_DAYS: Final = 366
# Stripe keeps a checkout open for 30 minutes at the least and 24 hours at the most; a repeated call needs some room.
MIN_CHECKOUT_MINUTES: Final = 45
MAX_CHECKOUT_MINUTES: Final = 1380

# `stripe_prices`, `lemonsqueezy_variants`, `paddle_products`: any provider, in the word it uses for what it sells.
PRODUCT_KEY: Final = re.compile(r"([a-z][a-z0-9_]{0,31})_(?:prices|variants|products)")

_PRODUCT_KEY_PATTERN: Final = f"^{PRODUCT_KEY.pattern}$"


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
    first: Annotated[int, whole(1, MAX_AMOUNT)] = Field(1, alias="from")
    last: Amount | None = Field(None, alias="to")
    price_per_unit: Price = Decimal(0)

    def slab(self) -> Slab:
        """The slab this table describes."""
        return Slab(first=self.first, last=self.last, price_per_unit=self.price_per_unit)


class PackTable(TomlTable):
    required: ClassVar[tuple[str, ...]] = ("amount", "price")
    amount: Amount = 1
    price: Price = Decimal(0)
    bonus: Annotated[int, whole(0, MAX_AMOUNT)] = 0

    def pack(self) -> Pack:
        """The pack this table describes."""
        return Pack(amount=self.amount, price=self.price, bonus=self.bonus)


class PriceListTable(TomlTable):
    minimum_amount: Amount = 1
    maximum_amount: Amount | None = None
    pricing: Annotated[Pricing, one_of(Pricing)] | None = None
    slabs: list[Any] | None = None
    price_calculator: Annotated[str, PlainValidator(read_function)] | None = None
    packs: list[Any] | None = None


class CreditTypeTable(PriceListTable):
    required: ClassVar[tuple[str, ...]] = ("name", "currency")
    name: Text = ""
    currency: Annotated[str, PlainValidator(read_currency)] = ""
    prices: dict[str, Any] = {}
    on_clawback_shortfall: Annotated[Shortfall, one_of(Shortfall)] = Shortfall.DEBT


class RolloverTable(TomlTable):
    cap: Annotated[Rollover, PlainValidator(read_cap)] | None = None
    periods: Annotated[int, whole(1, MAX_ROLLOVER_PERIODS)] | None = None

    def rollover(self) -> Rollover:
        """The rollover this table describes."""
        cap = self.cap or Rollover()
        return Rollover(cap_credits=cap.cap_credits, cap_percent=cap.cap_percent, periods=self.periods)


class PlanCreditsTable(TomlTable):
    required: ClassVar[tuple[str, ...]] = ("amount",)
    amount: Amount = 1
    every: Annotated[Every, one_of(Every)] = Every.PERIOD
    rollover: dict[str, Any] | None = None
    expires: Annotated[Expiry, PlainValidator(read_plan_expiry)] = PERIOD_END
    priority: Priority = 100
    trial: Amount | None = None
    per_seat: Annotated[bool, PlainValidator(read_flag)] = False


class ZeroInvoiceTable(TomlTable):
    coupon: Annotated[Literal["grant", "skip"], word("grant", "skip")] = "grant"
    balance: Annotated[Literal["grant", "skip"], word("grant", "skip")] = "grant"
    out_of_band: Annotated[Literal["grant", "skip"], word("grant", "skip")] = "grant"
    free: Annotated[Literal["grant", "skip"], word("grant", "skip")] = "grant"


class PlanTable(TomlTable):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[Annotated[str, Field(pattern=_PRODUCT_KEY_PATTERN)], list[Text]]
    required: ClassVar[tuple[str, ...]] = ("name",)
    name: Text = ""
    discount: Annotated[Decimal, PlainValidator(read_share)] = Decimal(0)
    on_change: Annotated[ChangePolicy, PlainValidator(read_on_change)] = ChangePolicy()
    on_cancel: Annotated[OnCancel, one_of(OnCancel)] = OnCancel.KEEP_TO_EXPIRY
    on_pause: Annotated[OnPause, one_of(OnPause)] = OnPause.STOP_DRIPS
    on_past_due: Annotated[OnPastDue, one_of(OnPastDue)] = OnPastDue.STOP_DRIPS
    on_trial_end: Annotated[OnTrialEnd, one_of(OnTrialEnd)] = OnTrialEnd.END
    zero_invoice: dict[str, Any] = {}
    credits: dict[str, Any] = {}

    def products(self) -> Mapping[str, list[str]]:
        """The lists of product ids by their key in the file, such as `stripe_prices`."""
        return self.__pydantic_extra__


class PurchasesTable(TomlTable):
    free: Annotated[Literal["grant", "hold"], word("grant", "hold")] = "grant"
    unknown: Annotated[Literal["hold", "ignore"], word("hold", "ignore")] = "hold"
    unquoted: Annotated[Literal["grant", "hold"], word("grant", "hold")] = "grant"
    unnamed: Annotated[Literal["match", "payer", "hold"], word("match", "payer", "hold")] = "match"
    expires: Annotated[Expiry, PlainValidator(read_purchase_expiry)] = NEVER
    priority: Priority = 200


class CheckoutTable(TomlTable):
    providers: list[Annotated[str, word("stripe", "lemonsqueezy", "paddle")]] = []
    allowed_hosts: list[Annotated[str, PlainValidator(read_host)]] = []
    success_url: Text | None = None
    cancel_url: Text | None = None
    expires_after_minutes: Annotated[int, whole(MIN_CHECKOUT_MINUTES, MAX_CHECKOUT_MINUTES)] = 120
    promotion_codes: Annotated[bool, PlainValidator(read_flag)] = False
    automatic_tax: Annotated[bool, PlainValidator(read_flag)] = False
    invoices: Annotated[bool, PlainValidator(read_flag)] = False
    save_card: Annotated[bool, PlainValidator(read_flag)] = False
    locale: Annotated[str, PlainValidator(read_locale)] = "en_US"


class NotificationsTable(TomlTable):
    low_balance: dict[str, Amount] = {}
    lapse_notice_days: Annotated[int, whole(1, MAX_NOTICE_DAYS)] | None = None


class WelcomeCreditsTable(TomlTable):
    required: ClassVar[tuple[str, ...]] = ("amount",)
    amount: Amount = 1
    expires: Annotated[Expiry, PlainValidator(read_purchase_expiry)] = NEVER
    priority: Priority = 50


class WelcomeTable(TomlTable):
    credits: dict[str, Any] = {}


class PortalTable(TomlTable):
    name: Text = "Credits"
    colour: Annotated[str, PlainValidator(read_colour)] = "#1f5fbf"
    logo: Text | None = None


class Document(TomlTable):
    """The top of the file."""

    required: ClassVar[tuple[str, ...]] = ("credit_types",)
    credit_types: dict[str, Any] = {}
    plans: dict[str, Any] = {}
    other_prices: list[Text] = []
    purchases: dict[str, Any] = {}
    checkout: dict[str, Any] = {}
    notifications: dict[str, Any] = {}
    welcome: dict[str, Any] = {}
    timezone: Annotated[str, PlainValidator(read_timezone)] = "UTC"
    portal: dict[str, Any] = {}


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
