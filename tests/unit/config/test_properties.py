"""Whatever a credits.toml contains, it is either loaded or refused with reasons."""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from credits.config import rules
from credits.config.catalogue import Catalogue, CreditType, Pricing, Slab
from credits.config.findings import Report
from credits.config.load import read_catalogue

EXAMPLE = Path(__file__).parents[3] / "credits.toml"

# Words that mean something in the file, so that arbitrary tables reach past the first unknown key.
words = st.sampled_from(sorted(set(re.findall(r"[a-z_]+|\+?[0-9.]+[d%]?", EXAMPLE.read_text(encoding="utf-8")))))
keys = words | st.text(max_size=5)
leaves = words | st.text(max_size=10) | st.booleans() | st.integers() | st.floats() | st.dates()
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5))
documents = st.dictionaries(keys, values, max_size=6) | st.fixed_dictionaries(
    {
        "credit_types": st.dictionaries(
            st.just("tokens") | keys,
            st.fixed_dictionaries(
                {"name": st.just("X"), "currency": st.just("USD")},
                optional={
                    "minimum_amount": st.integers(1, 60) | leaves,
                    "pricing": st.sampled_from(Pricing) | leaves,
                    "slabs": st.lists(st.dictionaries(st.sampled_from(["from", "to", "price_per_unit"]), leaves)),
                    "price_calculator": values,
                },
            )
            | values,
            min_size=1,
            max_size=3,
        )
    },
    optional={
        "plans": st.dictionaries(
            keys,
            st.dictionaries(st.sampled_from(["name", "stripe_prices", "discount"]), leaves)
            | st.fixed_dictionaries({"credits": st.dictionaries(st.just("tokens"), st.dictionaries(keys, values))}),
            max_size=3,
        )
        | values,
        "other_prices": values,
        "purchases": values,
    },
)

edges = st.integers(1, 9)
slab_lists = st.lists(
    st.builds(
        lambda first, last: Slab(first=first, last=last, price_per_unit=Decimal(1)), edges, st.none() | edges | edges
    ),
    min_size=1,
    max_size=4,
)


def _read(document: Mapping[str, Any]) -> tuple[Catalogue, Report]:
    report = Report()
    return read_catalogue(document, Path("/nonexistent"), report), report


@given(document=documents)
def test_reading_any_table_answers_a_catalogue_or_names_problems_and_raises_nothing(document: dict[str, Any]) -> None:
    catalogue, report = _read(document)

    problems = report.findings().problems
    assert all(key and reason for key, reason in problems.items())
    assert problems or catalogue.credit_types


@given(slabs=slab_lists, minimum=edges, maximum=st.none() | edges)
def test_slabs_are_sound_exactly_if_they_ascend_and_price_every_amount_once(
    slabs: list[Slab], minimum: int, maximum: int | None
) -> None:
    credit_type = CreditType(
        key="tokens",
        name="Tokens",
        currency="USD",
        minimum_amount=minimum,
        maximum_amount=maximum,
        pricing=Pricing.VOLUME,
        slabs=tuple(slabs),
    )
    report = Report()

    rules.check_slabs(slabs, ("slabs",), report)
    rules.check_bounds(credit_type, (), report)

    # Counted by hand, beyond the highest edge.
    end = 12 if slabs[-1].last is None else slabs[-1].last
    largest = maximum if maximum is not None else end
    ascending = [slab.first for slab in slabs] == sorted({slab.first for slab in slabs})
    once = all(sum(slab.holds(n) for slab in slabs) == 1 for n in range(min(minimum, slabs[0].first), end + 1))
    not_empty = all(slab.last is None or slab.first <= slab.last for slab in slabs)
    sound = ascending and not_empty and once and slabs[0].first <= minimum <= largest <= end
    assert (not report.findings().problems) == sound


def test_a_date_is_shown_as_it_was_written() -> None:
    _catalogue, report = _read({"credit_types": {"tokens": {"name": date(2026, 1, 2), "currency": "USD"}}})

    assert report.findings().problems == {"credit_types.tokens.name": "must be text in quotes, got 2026-01-02"}
