"""What makes a catalogue sound beyond the form of its values: slabs that meet, prices that mean one thing. Pure."""

import keyword
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path as FilePath
from typing import Final

from credits.config.catalogue import CheckoutRules, PriceList, Pricing, Slab
from credits.config.expiry import ExpiryKind
from credits.config.findings import Path, Report, did_you_mean, shown, written
from credits.config.return_urls import return_url_fault
from credits.config.schema import PRODUCT_KEY, PlanCreditsTable, PlanTable, PriceListTable, RolloverTable
from credits.config.values import read_currency
from credits.units import MAX_AMOUNT

_CREDIT_TYPE_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
LOGO_TYPES: Final = (".png", ".svg", ".webp", ".jpg")
MAX_LOGO_BYTES: Final = 20_480
_PLAN_KEY: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")

# A credit type is a keyword of reserve, commit and spend; it must not take the place of a keyword of their own.
RESERVED_KEYS: Final = frozenset(
    {
        "account",
        "amount",
        "durability",
        "final",
        "items",
        "key",
        "overage",
        "plan",
        "reservation_id",
        "self",
        "step",
        "ttl_s",
    }
)


# ── Keys ─────────────────────────────────────────────────────────────────────────────────────────────────


def check_credit_type_key(key: str, path: Path, report: Report) -> None:
    """A credit type's key is a word of JSON and a keyword of Python."""
    if not _CREDIT_TYPE_KEY.fullmatch(key):
        report.problem(path, f"must be 1 to 63 of a-z, 0-9 and _, beginning with a letter, got {shown(key)}; rename it")
    elif keyword.iskeyword(key) or key in RESERVED_KEYS:
        report.problem(path, "is reserved: calls take credit types as keywords beside their own; rename it")


def check_plan_key(key: str, path: Path, report: Report) -> None:
    """A plan's key is stored with every grant it makes."""
    if not _PLAN_KEY.fullmatch(key):
        report.problem(
            path, f"must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter, got {shown(key)}; rename it"
        )


# ── Prices ───────────────────────────────────────────────────────────────────────────────────────────────


def check_pricing(table: PriceListTable, path: Path, report: Report) -> None:
    """Slabs or a calculator, never both; one of them where anything says that the credits are for sale."""
    if report.has_problem_in((*path, "slabs")) or report.has_problem_in((*path, "price_calculator")):
        return
    if table.slabs is not None and table.price_calculator is not None:
        report.problem((*path, "price_calculator"), "cannot stand beside slabs; remove one of the two")
        return
    if table.slabs == []:
        report.problem((*path, "slabs"), 'must have at least one slab, such as { from = 1, price_per_unit = "0.10" }')
    match table.pricing:
        case Pricing.VOLUME | Pricing.GRADUATED:
            if table.slabs is None:
                reason = (
                    f'is missing; pricing = "{table.pricing}" needs slabs = [{{ from = 1, price_per_unit = "0.10" }}]'
                )
                report.problem((*path, "slabs"), reason)
        case Pricing.CALCULATOR:
            if table.price_calculator is None:
                reason = 'is missing; pricing = "calculator" needs price_calculator = "module:function"'
                report.problem((*path, "price_calculator"), reason)
        case None:
            bounds = table.model_fields_set & {"minimum_amount", "maximum_amount"}
            if bounds and table.slabs is None and table.price_calculator is None and not table.packs:
                reason = f"{min(bounds)} bounds a purchase, but nothing gives a price; add slabs or price_calculator"
                report.problem(path, reason)


def check_slabs(slabs: Sequence[Slab], path: Path, report: Report) -> None:
    """Slabs ascend and each begins right after the one before it ends; only the last may have no end."""
    for position, slab in enumerate(slabs):
        if slab.last is not None and slab.last < slab.first:
            report.problem((*path, position, "to"), f"must be at least from ({slab.first}), got {slab.last}")
    for position, (before, slab) in enumerate(pairwise(slabs), start=1):
        if before.last is None:
            fix = f"set to = {slab.first - 1}" if slab.first > before.first else "sort the slabs"
            report.problem((*path, position - 1, "to"), f"is missing; only the last slab may have no end, so {fix}")
        elif slab.first != before.last + 1 and before.first <= before.last:
            report.problem((*path, position, "from"), _misplaced(before.first, before.last, slab.first))


def _misplaced(before_first: int, before_last: int, first: int) -> str:
    fix = f"set from = {before_last + 1}"
    if first < before_first:
        return f"must be above the slab before it ({before_first} to {before_last}), got {first}; sort the slabs"
    if first <= before_last:
        return f"overlaps the slab before it: {first} to {before_last} would have two prices; {fix}"
    return f"leaves a gap: {before_last + 1} to {first - 1} would have no price; {fix}"


def check_bounds(credit_type: PriceList, path: Path, report: Report) -> None:
    """No amount from the minimum to the maximum lies below the first slab or above the last."""
    minimum, maximum = credit_type.minimum_amount, credit_type.maximum_amount
    if maximum is not None and maximum < minimum:
        reason = f"must be at least minimum_amount ({minimum}), got {maximum}"
        report.problem((*path, "maximum_amount"), reason)
    if not credit_type.slabs:
        return
    position, lowest = min(enumerate(credit_type.slabs), key=lambda placed: placed[1].first)
    if lowest.first > minimum:
        reason = f"must be at most minimum_amount ({minimum}), got {lowest.first}"
        report.problem(
            (*path, "slabs", position, "from"), f"{reason}; lower it, or set minimum_amount = {lowest.first}"
        )
    ends = [slab.last for slab in credit_type.slabs if slab.last is not None]
    if len(ends) < len(credit_type.slabs):
        return
    last = max(ends)
    fix = 'lower it, or add a slab without "to"'
    if minimum > last:
        report.problem(
            (*path, "minimum_amount"), f"must be at most the end of the last slab ({last}), got {minimum}; {fix}"
        )
    if maximum is not None and maximum > last:
        report.problem(
            (*path, "maximum_amount"), f"must be at most the end of the last slab ({last}), got {maximum}; {fix}"
        )


def check_packs(prices: PriceList, given: Collection[str], path: Path, report: Report) -> None:
    """One pack an amount, within the bounds that are given, and no more credits than anybody can count."""
    if "packs" in given and not prices.packs and not report.has_problem_in(path):
        report.problem(path, 'must have at least one pack, such as { amount = 500, price = "40.00", bonus = 50 }')
    seen: set[int] = set()
    for position, pack in enumerate(prices.packs):
        place = (*path, position, "amount")
        if report.has_problem_at(place):
            continue
        if pack.amount in seen:
            report.problem(place, f"{pack.amount} has two packs; remove one of them")
        seen.add(pack.amount)
        if pack.amount < prices.minimum_amount:
            report.problem(place, f"must be at least minimum_amount ({prices.minimum_amount}), got {pack.amount}")
        if prices.maximum_amount is not None and pack.amount > prices.maximum_amount:
            report.problem(place, f"must be at most maximum_amount ({prices.maximum_amount}), got {pack.amount}")
        if pack.amount + pack.bonus > MAX_AMOUNT:
            report.problem((*path, position, "bonus"), f"must be at most {MAX_AMOUNT} together with amount")


def check_other_currency(currency: str, own: str, path: Path, report: Report) -> None:
    """A table below `prices` is named by another currency than the type's own, which has its prices beside it."""
    try:
        read_currency(currency)
    except ValueError as error:
        report.problem(path, str(error))
    if currency == own:
        report.problem(path, f"{own} is the type's own currency; its prices stand beside currency, so move them there")


def check_return_urls(checkout: CheckoutRules, path: Path, report: Report) -> None:
    """Where payers are sent by default is somewhere they may be sent."""
    for name in ("success_url", "cancel_url"):
        url = getattr(checkout, name)
        fault = None if url is None else return_url_fault(url, checkout.allowed_hosts)
        if fault is not None:
            report.problem((*path, name), fault)


def warn_of_cliffs(credit_type: PriceList, path: Path, report: Report) -> None:
    """With volume pricing, one credit more may cost less in total: whoever buys just below the edge pays too much."""
    if credit_type.pricing is not Pricing.VOLUME:
        return
    for position, (below, above) in enumerate(pairwise(credit_type.slabs), start=1):
        edge = above.first - 1
        total_below, total_above = below.price_of(edge), above.price_of(above.first)
        if total_above < total_below:
            totals = f"{above.first} credits cost {total_above} {credit_type.currency}, {edge} credits {total_below}"
            report.warning((*path, "slabs", position), f'price cliff: {totals}; pricing = "graduated" has none')


# ── Plans ────────────────────────────────────────────────────────────────────────────────────────────────


def check_products(plans: Mapping[str, PlanTable], other_prices: Sequence[str], report: Report) -> None:
    """A product at a provider sells one plan, and nothing that is said to earn no credits."""
    places: dict[tuple[str, str], Path] = {}
    for plan, table in plans.items():
        for key, product_ids in table.products().items():
            for position, product_id in enumerate(product_ids):
                path: Path = ("plans", plan, key, position)
                first = places.setdefault((provider_of(key), product_id), path)
                if first != path:
                    reason = (
                        f"{shown(product_id)} is mapped by {written(first)} already; a price sells one plan, remove one"
                    )
                    report.problem(path, reason)
    sold = {product_id: path for (_provider, product_id), path in places.items()}
    for position, product_id in enumerate(other_prices):
        if product_id in sold:
            reason = f"{shown(product_id)} earns the credits of {written(sold[product_id])}; remove one of the two"
            report.problem(("other_prices", position), reason)


def provider_of(product_key: str) -> str:
    """The provider that a key such as `stripe_prices` speaks of. The schema lets no other keys through."""
    match = PRODUCT_KEY.fullmatch(product_key)
    if match is None:
        raise ValueError(f"{product_key!r} is not a key that lists products")
    return match[1]


def check_plan_credits(
    credit_type: str, table: PlanCreditsTable, declared: Mapping[str, object], path: Path, report: Report
) -> None:
    """A plan hands out declared credits, and carries over only what would lapse."""
    check_declared(credit_type, declared, path, report)
    if table.rollover is not None and table.expires.kind is not ExpiryKind.PERIOD_END:
        reason = "carries over what lapses with its period, and these credits do not"
        report.problem((*path, "rollover"), f'{reason}; remove it, or set expires = "period_end"')


def check_logo(logo: FilePath, path: Path, report: Report) -> None:
    """A picture that browsers show, small enough for the first view of a page."""
    if logo.suffix.lower() not in LOGO_TYPES:
        report.problem(path, f"must be a {', '.join(LOGO_TYPES)} file, got {shown(logo.name)}")
    elif not logo.is_file():
        report.problem(path, f"names a file that is not there: {logo}")
    elif logo.stat().st_size > MAX_LOGO_BYTES:
        report.problem(path, f"must have at most {MAX_LOGO_BYTES} bytes, has {logo.stat().st_size}")


def check_low_balance(levels: Mapping[str, int], declared: Mapping[str, object], path: Path, report: Report) -> None:
    """A level belongs to a declared credit type."""
    for credit_type in levels:
        if credit_type not in declared:
            hint = did_you_mean(credit_type, declared)
            report.problem((*path, credit_type), f"names a credit type that is not declared; {hint}")


def check_declared(credit_type: str, declared: Mapping[str, object], path: Path, report: Report) -> None:
    """Nobody is given credits of a type that does not exist."""
    if credit_type not in declared:
        reason = f"names a credit type that is not declared; {did_you_mean(credit_type, declared)}"
        report.problem(path, f"{reason} (or add [credit_types.{credit_type}])")


def check_rollover(table: RolloverTable, path: Path, report: Report) -> None:
    """A rollover without any bound is another word for credits that never lapse."""
    if not table.model_fields_set and not report.has_problem_in(path):
        report.problem(path, 'must have cap, periods or both; to keep all credits for ever, set expires = "never"')


def warn_of_unsold_plan(products: Mapping[str, object], path: Path, report: Report) -> None:
    """A plan that no product sells is never reached by a payment."""
    if not products:
        reason = 'no price maps to this plan, so no payment earns it; add stripe_prices = ["price_…"] or the like'
        report.warning(path, reason)
