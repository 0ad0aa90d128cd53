"""Loads credits.toml: the file, its tables, and the catalogue made of them."""

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path as FilePath
from typing import Any, Final

from credits.config import rules
from credits.config.calculators import Calculator, load_calculator
from credits.config.catalogue import (
    Catalogue,
    CheckoutRules,
    CreditType,
    Plan,
    PlanCredits,
    PriceList,
    Pricing,
    Purchases,
    Rollover,
    Slab,
    WelcomeCredits,
)
from credits.config.findings import Path, Report
from credits.config.load_faces import read_notifications, read_portal
from credits.config.policies import ZeroInvoice
from credits.config.schema import (
    CheckoutTable,
    CreditTypeTable,
    Document,
    PackTable,
    PlanCreditsTable,
    PlanTable,
    PriceListTable,
    PurchasesTable,
    RolloverTable,
    SlabTable,
    WelcomeCreditsTable,
    WelcomeTable,
    ZeroInvoiceTable,
    read_table,
)
from credits.errors import ConfigError

MAX_FILE_BYTES: Final = 1_048_576


def load_catalogue(path: FilePath) -> Catalogue:
    """
    Read the catalogue from the file `path`; price calculators are imported on the way.

    Raises ConfigError with every problem by key, such as `credit_types.image_generation.slabs[1].from`.
    """
    report = Report()
    catalogue = read_catalogue(read_toml(path), path.parent, report)
    problems = report.findings().problems
    if problems:
        raise ConfigError(problems)
    return catalogue


def read_toml(path: FilePath) -> Mapping[str, Any]:
    """
    The file as TOML. Raises ConfigError that names the file, and the line where there is one.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        reason = "there is no such file; create it, or name another one in CREDITGATE_CONFIG"
        raise ConfigError({str(path): reason}) from None
    except OSError as error:
        raise ConfigError({str(path): f"cannot be read: {error.strerror}; it must be a readable file"}) from error
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError({str(path): f"must have at most {MAX_FILE_BYTES} bytes"})
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError({str(path): f"is not UTF-8 text (at line {line}); save it as UTF-8"}) from error
    # A nesting too deep for the parser, and an integer of thousands of digits, are not TOMLDecodeErrors.
    except (ValueError, RecursionError) as error:
        raise ConfigError({str(path): f"is not valid TOML: {error}"}) from error


def read_catalogue(raw: Mapping[str, Any], folder: FilePath, report: Report) -> Catalogue:
    """
    Make the catalogue out of the tables `raw`; what is faulty is reported and takes its default.

    Never raises, whatever `raw` is. The answer is fit for use only if `report` has no problems.
    """
    document = read_table(Document, raw, (), report)
    credit_types = {
        key: _credit_type(key, table, folder, ("credit_types", key), report)
        for key, table in document.credit_types.items()
    }
    if not credit_types and not report.has_problem_in(("credit_types",)):
        report.problem(
            ("credit_types",), "must declare at least one credit type, such as [credit_types.image_generation]"
        )
    plan_tables = {key: read_table(PlanTable, table, ("plans", key), report) for key, table in document.plans.items()}
    rules.check_products(plan_tables, document.other_prices, report)
    purchases = read_table(PurchasesTable, document.purchases, ("purchases",), report)
    checkout = read_table(CheckoutTable, document.checkout, ("checkout",), report)
    return Catalogue(
        credit_types=credit_types,
        plans={key: _plan(key, table, credit_types, ("plans", key), report) for key, table in plan_tables.items()},
        other_prices=frozenset(document.other_prices),
        purchases=Purchases(
            free=purchases.free,
            unknown=purchases.unknown,
            unquoted=purchases.unquoted,
            unnamed=purchases.unnamed,
            expires=purchases.expires,
            priority=purchases.priority,
        ),
        checkout=_checkout(checkout, report),
        notifications=read_notifications(document.notifications, credit_types, report),
        welcome=_welcome(document.welcome, credit_types, report),
        timezone=document.timezone,
        portal=read_portal(document.portal, folder, report),
    )


def _welcome(raw: object, declared: Mapping[str, CreditType], report: Report) -> tuple[WelcomeCredits, ...]:
    table = read_table(WelcomeTable, raw, ("welcome",), report)
    return tuple(
        _welcome_credits(credit_type, one, declared, ("welcome", "credits", credit_type), report)
        for credit_type, one in table.credits.items()
    )


def _welcome_credits(
    credit_type: str, raw: object, declared: Mapping[str, CreditType], path: Path, report: Report
) -> WelcomeCredits:
    rules.check_declared(credit_type, declared, path, report)
    table = read_table(WelcomeCreditsTable, raw, path, report)
    return WelcomeCredits(credit_type=credit_type, amount=table.amount, expires=table.expires, priority=table.priority)


def _checkout(table: CheckoutTable, report: Report) -> CheckoutRules:
    values = {name: getattr(table, name) for name in CheckoutTable.model_fields}
    lists = {name: tuple(values[name]) for name in ("allowed_hosts", "providers")}
    checkout = CheckoutRules(**{**values, **lists})
    rules.check_return_urls(checkout, ("checkout",), report)
    return checkout


def _credit_type(key: str, raw: object, folder: FilePath, path: Path, report: Report) -> CreditType:
    rules.check_credit_type_key(key, path, report)
    table = read_table(CreditTypeTable, raw, path, report)
    rules.check_pricing(table, path, report)
    own = _price_list(key, table.currency, table, folder, path, report)
    prices = {
        currency: _other_prices(key, currency, other, table, folder, (*path, "prices", currency), report)
        for currency, other in table.prices.items()
    }
    return CreditType(
        name=table.name,
        prices=prices,
        on_clawback_shortfall=table.on_clawback_shortfall,
        **{field.name: getattr(own, field.name) for field in fields(PriceList)},
    )


def _other_prices(
    key: str, currency: str, raw: object, own: CreditTypeTable, folder: FilePath, path: Path, report: Report
) -> PriceList:
    """The prices in another currency. The type's own bounds hold there, too, where no others are given."""
    rules.check_other_currency(currency, own.currency, path, report)
    bounds = {name: getattr(own, name) for name in ("minimum_amount", "maximum_amount") if name in own.model_fields_set}
    table = read_table(PriceListTable, {**bounds, **raw} if isinstance(raw, Mapping) else raw, path, report)
    rules.check_pricing(table, path, report)
    if not (table.slabs or table.price_calculator or table.packs) and not report.has_problem_in(path):
        report.problem(path, "gives no price; add slabs, price_calculator or packs, or remove it")
    return _price_list(key, currency, table, folder, path, report)


def _price_list(
    key: str, currency: str, table: PriceListTable, folder: FilePath, path: Path, report: Report
) -> PriceList:
    price_list = PriceList(
        key=key,
        currency=currency,
        minimum_amount=table.minimum_amount,
        maximum_amount=table.maximum_amount,
        pricing=_pricing(table),
        slabs=_slabs(table, (*path, "slabs"), report),
        price_calculator=table.price_calculator,
        calculator=_calculator(table, folder, (*path, "price_calculator"), report),
        packs=tuple(
            read_table(PackTable, raw, (*path, "packs", position), report).pack()
            for position, raw in enumerate(table.packs or ())
        ),
    )
    rules.check_packs(price_list, table.model_fields_set, (*path, "packs"), report)
    if _has_edges(table, path, report):
        rules.check_slabs(price_list.slabs, (*path, "slabs"), report)
        if not any(report.has_problem_at((*path, name)) for name in ("minimum_amount", "maximum_amount")):
            rules.check_bounds(price_list, path, report)
    if not report.has_problem_in((*path, "slabs")):
        rules.warn_of_cliffs(price_list, path, report)
    return price_list


def _calculator(table: PriceListTable, folder: FilePath, path: Path, report: Report) -> Calculator | None:
    if table.price_calculator is None:
        return None
    try:
        return load_calculator(table.price_calculator, folder)
    except ConfigError as error:
        report.problem(path, str(error))
        return None


def _pricing(table: PriceListTable) -> Pricing | None:
    if table.price_calculator is not None:
        return Pricing.CALCULATOR
    if table.slabs is not None:
        return table.pricing or Pricing.VOLUME
    return None


def _slabs(table: PriceListTable, path: Path, report: Report) -> tuple[Slab, ...]:
    tables = [read_table(SlabTable, raw, (*path, position), report) for position, raw in enumerate(table.slabs or ())]
    return tuple(slab.slab() for slab in tables)


def _has_edges(table: PriceListTable, path: Path, report: Report) -> bool:
    """Whether every slab's `from` and `to` could be read; what is wrong with its price does not matter here."""
    places: list[Path] = [(*path, "slabs")]
    for position in range(len(table.slabs or ())):
        slab = (*path, "slabs", position)
        places += [slab, (*slab, "from"), (*slab, "to")]
    return not any(report.has_problem_at(place) for place in places)


def _plan(key: str, table: PlanTable, declared: Mapping[str, CreditType], path: Path, report: Report) -> Plan:
    rules.check_plan_key(key, path, report)
    product_ids: dict[str, tuple[str, ...]] = {}
    for product_key, ids in table.products().items():
        provider = rules.provider_of(product_key)
        product_ids[provider] = (*product_ids.get(provider, ()), *ids)
    if not report.has_problem_in(path):
        rules.warn_of_unsold_plan(product_ids, path, report)
    return Plan(
        key=key,
        name=table.name,
        discount=table.discount,
        product_ids=product_ids,
        on_change=table.on_change,
        on_cancel=table.on_cancel,
        on_pause=table.on_pause,
        on_past_due=table.on_past_due,
        on_trial_end=table.on_trial_end,
        zero_invoice=_zero_invoice(table.zero_invoice, (*path, "zero_invoice"), report),
        credits=tuple(
            _plan_credits(credit_type, raw, declared, (*path, "credits", credit_type), report)
            for credit_type, raw in table.credits.items()
        ),
    )


def _zero_invoice(raw: object, path: Path, report: Report) -> ZeroInvoice:
    table = read_table(ZeroInvoiceTable, raw, path, report)
    return ZeroInvoice(coupon=table.coupon, balance=table.balance, out_of_band=table.out_of_band, free=table.free)


def _plan_credits(
    credit_type: str, raw: object, declared: Mapping[str, CreditType], path: Path, report: Report
) -> PlanCredits:
    table = read_table(PlanCreditsTable, raw, path, report)
    rules.check_plan_credits(credit_type, table, declared, path, report)
    return PlanCredits(
        credit_type=credit_type,
        amount=table.amount,
        every=table.every,
        rollover=_rollover(table, (*path, "rollover"), report),
        expires=table.expires,
        priority=table.priority,
        trial=table.trial,
        per_seat=table.per_seat,
    )


def _rollover(table: PlanCreditsTable, path: Path, report: Report) -> Rollover | None:
    if table.rollover is None:
        return None
    rollover = read_table(RolloverTable, table.rollover, path, report)
    rules.check_rollover(rollover, path, report)
    return rollover.rollover()
