"""What an amount of credits costs: exact, and an error wherever no price is declared."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.config.catalogue import CreditType, Pricing, Slab
from credits.errors import AmountNotForSaleError, InvalidAmountError
from credits.pricing.rules import total_price
from credits.units import MAX_AMOUNT

IMAGE_SLABS = (
    Slab(first=1, last=100, price_per_unit=Decimal("0.10")),
    Slab(first=101, last=1000, price_per_unit=Decimal("0.08")),
)


def _credit_type(
    pricing: Pricing | None, slabs: tuple[Slab, ...] = IMAGE_SLABS, minimum: int = 1, maximum: int | None = None
) -> CreditType:
    return CreditType(
        key="images",
        name="Images",
        currency="USD",
        minimum_amount=minimum,
        maximum_amount=maximum,
        pricing=pricing,
        slabs=slabs,
    )


@st.composite
def contiguous_slabs(draw: st.DrawFn) -> tuple[Slab, ...]:
    """Slabs as the check lets them through: from 1 up without gaps, the last one open or not."""
    ends = sorted(draw(st.sets(st.integers(1, 10**6) | st.integers(1, 50), min_size=1, max_size=6)))
    starts = [1, *(end + 1 for end in ends[:-1])]
    lasts: list[int | None] = [*ends[:-1], draw(st.sampled_from([ends[-1], None]))]
    prices = draw(
        st.lists(st.decimals(0, 10**9, places=12), min_size=len(ends), max_size=len(ends)),
    )
    return tuple(
        Slab(first=first, last=last, price_per_unit=price)
        for first, last, price in zip(starts, lasts, prices, strict=True)
    )


@pytest.mark.parametrize(
    ("pricing", "amount", "price"),
    [
        (Pricing.VOLUME, 1, "0.10"),
        (Pricing.VOLUME, 100, "10.00"),
        (Pricing.VOLUME, 101, "8.08"),
        (Pricing.VOLUME, 1000, "80.00"),
        (Pricing.GRADUATED, 1, "0.10"),
        (Pricing.GRADUATED, 100, "10.00"),
        (Pricing.GRADUATED, 101, "10.08"),
        (Pricing.GRADUATED, 1000, "82.00"),
    ],
)
def test_an_amount_costs_what_its_slabs_say(pricing: Pricing, amount: int, price: str) -> None:
    total = total_price(_credit_type(pricing), amount)

    assert total == Decimal(price)


@pytest.mark.parametrize("pricing", [Pricing.VOLUME, Pricing.GRADUATED])
@pytest.mark.parametrize(
    ("minimum", "maximum", "amount", "bound"),
    [
        (10, None, 9, "must be at least 10"),
        (1, 500, 501, "must be at most 500"),
        (1, None, 1001, "must be at most 1000"),
    ],
)
def test_an_amount_out_of_bounds_is_an_error_that_names_the_bound(
    pricing: Pricing, minimum: int, maximum: int | None, amount: int, bound: str
) -> None:
    credit_type = _credit_type(pricing, minimum=minimum, maximum=maximum)

    with pytest.raises(AmountNotForSaleError, match=bound):
        total_price(credit_type, amount)


@pytest.mark.parametrize("pricing", [Pricing.VOLUME, Pricing.GRADUATED])
def test_an_amount_in_no_slab_is_an_error_and_never_free(pricing: Pricing) -> None:
    gap = _credit_type(pricing, slabs=(IMAGE_SLABS[0], Slab(first=200, last=300, price_per_unit=Decimal(1))))

    with pytest.raises(AmountNotForSaleError, match="no slab prices this amount"):
        total_price(gap, 150)


@pytest.mark.parametrize("amount", [0, -1, 100.5, True, "100", MAX_AMOUNT + 1])
def test_an_amount_is_a_whole_number_of_credits(amount: object) -> None:
    with pytest.raises(InvalidAmountError):
        total_price(_credit_type(Pricing.VOLUME), amount)  # type: ignore[arg-type]


@pytest.mark.parametrize(("pricing", "reason"), [(None, "not for sale"), (Pricing.CALCULATOR, "by a calculator")])
def test_credits_without_slabs_have_no_slab_price(pricing: Pricing | None, reason: str) -> None:
    with pytest.raises(AmountNotForSaleError, match=reason):
        total_price(_credit_type(pricing, slabs=()), 1)


@pytest.mark.parametrize("pricing", [Pricing.VOLUME, Pricing.GRADUATED])
def test_the_largest_amount_at_the_finest_price_is_not_rounded(pricing: Pricing) -> None:
    price = Decimal("999999999999.999999999999")

    total = total_price(_credit_type(pricing, slabs=(Slab(first=1, last=None, price_per_unit=price),)), MAX_AMOUNT)

    assert Fraction(total) == MAX_AMOUNT * Fraction(price)


@given(slabs=contiguous_slabs(), amount=st.integers(1, 10**6), pricing=st.sampled_from(["volume", "graduated"]))
def test_every_amount_within_contiguous_slabs_has_a_price_and_every_other_is_an_error(
    slabs: tuple[Slab, ...], amount: int, pricing: str
) -> None:
    credit_type = _credit_type(Pricing(pricing), slabs=slabs)

    if amount <= credit_type.largest_amount:
        assert total_price(credit_type, amount) >= 0
    else:
        with pytest.raises(AmountNotForSaleError, match=f"must be at most {credit_type.largest_amount}"):
            total_price(credit_type, amount)


@given(slabs=contiguous_slabs(), amount=st.integers(1, 10**6))
def test_volume_pricing_charges_every_unit_the_price_of_the_amounts_own_slab(
    slabs: tuple[Slab, ...], amount: int
) -> None:
    credit_type = _credit_type(Pricing.VOLUME, slabs=slabs)
    own = [slab for slab in slabs if slab.holds(amount)]

    if own:
        assert Fraction(total_price(credit_type, amount)) == amount * Fraction(own[0].price_per_unit)


@given(slabs=contiguous_slabs(), amount=st.integers(1, 300))
def test_graduated_pricing_charges_every_unit_the_price_of_its_own_slab(slabs: tuple[Slab, ...], amount: int) -> None:
    credit_type = _credit_type(Pricing.GRADUATED, slabs=slabs)

    if amount <= credit_type.largest_amount:
        unit_prices = [next(slab for slab in slabs if slab.holds(unit)).price_per_unit for unit in range(1, amount + 1)]
        assert Fraction(total_price(credit_type, amount)) == sum(map(Fraction, unit_prices))


@given(slabs=contiguous_slabs())
def test_graduated_pricing_never_makes_more_credits_cheaper(slabs: tuple[Slab, ...]) -> None:
    credit_type = _credit_type(Pricing.GRADUATED, slabs=slabs)
    amounts = sorted({slab.first for slab in slabs} | {slab.last for slab in slabs if slab.last is not None})

    totals = [total_price(credit_type, amount) for amount in amounts]

    assert all(smaller <= larger for smaller, larger in pairwise(totals))
