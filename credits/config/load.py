"""Loads credits.toml: the file, its tables, and the catalogue made of them."""

import tomllib
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any, Final

from credits.config import rules
from credits.config.calculators import load_calculator
from credits.config.catalogue import Catalogue, CreditType, Plan, PlanCredits, Pricing, Purchases, Rollover, Slab
from credits.config.findings import Path, Report
from credits.config.schema import (
    CreditTypeTable,
    Document,
    PlanCreditsTable,
    PlanTable,
    PurchasesTable,
    RolloverTable,
    SlabTable,
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
    return Catalogue(
        credit_types=credit_types,
        plans={key: _plan(key, table, credit_types, ("plans", key), report) for key, table in plan_tables.items()},
        other_prices=frozenset(document.other_prices),
        purchases=Purchases(
            free=purchases.free,
            unknown=purchases.unknown,
            expires=purchases.expires,
            priority=purchases.priority,
        ),
    )


def _credit_type(key: str, raw: object, folder: FilePath, path: Path, report: Report) -> CreditType:
    rules.check_credit_type_key(key, path, report)
    table = read_table(CreditTypeTable, raw, path, report)
    rules.check_pricing(table, path, report)
    if table.price_calculator is not None:
        try:
            load_calculator(table.price_calculator, folder)
        except ConfigError as error:
            report.problem((*path, "price_calculator"), str(error))
    credit_type = CreditType(
        key=key,
        name=table.name,
        currency=table.currency,
        minimum_amount=table.minimum_amount,
        maximum_amount=table.maximum_amount,
        pricing=_pricing(table),
        slabs=_slabs(table, (*path, "slabs"), report),
        price_calculator=table.price_calculator,
    )
    if _has_edges(table, path, report):
        rules.check_slabs(credit_type.slabs, (*path, "slabs"), report)
        if not any(report.has_problem_at((*path, key)) for key in ("minimum_amount", "maximum_amount")):
            rules.check_bounds(credit_type, path, report)
    if not report.has_problem_in((*path, "slabs")):
        rules.warn_of_cliffs(credit_type, path, report)
    return credit_type


def _pricing(table: CreditTypeTable) -> Pricing | None:
    if table.price_calculator is not None:
        return Pricing.CALCULATOR
    if table.slabs is not None:
        return table.pricing or Pricing.VOLUME
    return None


def _slabs(table: CreditTypeTable, path: Path, report: Report) -> tuple[Slab, ...]:
    tables = [read_table(SlabTable, raw, (*path, position), report) for position, raw in enumerate(table.slabs or ())]
    return tuple(slab.slab() for slab in tables)


def _has_edges(table: CreditTypeTable, path: Path, report: Report) -> bool:
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
        credits=tuple(
            _plan_credits(credit_type, raw, declared, (*path, "credits", credit_type), report)
            for credit_type, raw in table.credits.items()
        ),
    )


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
    )


def _rollover(table: PlanCreditsTable, path: Path, report: Report) -> Rollover | None:
    if table.rollover is None:
        return None
    rollover = read_table(RolloverTable, table.rollover, path, report)
    rules.check_rollover(rollover, path, report)
    return rollover.rollover()
