"""Values of the catalogue refuse to be wrong, and say when credits lapse."""

from dataclasses import FrozenInstanceError
from decimal import Decimal

import pytest

from credits.config.catalogue import CreditType, Pricing, Purchases, Slab
from credits.config.expiry import NEVER, PERIOD_END, Expiry, ExpiryKind
from credits.units import MAX_AMOUNT

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("expiry", "lapses_at_ms"),
    [
        (NEVER, None),
        (PERIOD_END, 10 * DAY_MS),
        (Expiry(kind=ExpiryKind.PERIOD_END, grace_days=3), 13 * DAY_MS),
        (Expiry(kind=ExpiryKind.AFTER, after_days=30), 32 * DAY_MS),
    ],
)
def test_credits_lapse_as_their_expiry_says(expiry: Expiry, lapses_at_ms: int | None) -> None:
    instant = expiry.lapses_at_ms(granted_at_ms=2 * DAY_MS, period_end_ms=10 * DAY_MS)

    assert instant == lapses_at_ms


def test_credits_cannot_lapse_with_a_period_of_unknown_end() -> None:
    with pytest.raises(ValueError, match="need the period's end"):
        PERIOD_END.lapses_at_ms(granted_at_ms=0, period_end_ms=None)


@pytest.mark.parametrize(
    ("kind", "after_days", "grace_days"),
    [(ExpiryKind.AFTER, None, 0), (ExpiryKind.NEVER, 30, 0), (ExpiryKind.NEVER, None, 3), (ExpiryKind.AFTER, 30, 3)],
)
def test_an_expiry_has_the_numbers_of_its_kind_and_no_others(
    kind: ExpiryKind, after_days: int | None, grace_days: int
) -> None:
    with pytest.raises(ValueError, match="belongs to the kind"):
        Expiry(kind=kind, after_days=after_days, grace_days=grace_days)


def test_a_purchase_has_no_period_to_lapse_with() -> None:
    with pytest.raises(ValueError, match="no billing period"):
        Purchases(expires=PERIOD_END)


@pytest.mark.parametrize(
    ("maximum", "slab_end", "largest"),
    [(None, None, MAX_AMOUNT), (50, None, 50), (None, 100, 100), (50, 100, 50)],
)
def test_the_largest_amount_is_the_least_of_the_bounds(maximum: int | None, slab_end: int | None, largest: int) -> None:
    slabs = (Slab(first=1, last=slab_end, price_per_unit=Decimal(1)),)
    credit_type = CreditType(
        key="a", name="A", currency="USD", maximum_amount=maximum, pricing=Pricing.VOLUME, slabs=slabs
    )

    assert credit_type.largest_amount == largest


def test_values_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        NEVER.grace_days = 5  # type: ignore[misc]
