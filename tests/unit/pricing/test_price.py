"""The price of an amount as a buyer sees it: one rounding, the plan's discount, packs, currencies, calculators."""

import threading
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.config.catalogue import CreditType, Pack, Plan, PriceList, Pricing, Slab
from credits.errors import AmountNotForSaleError, NoPriceError, PriceCalculatorError
from credits.pricing.calculate import calculated_price
from credits.pricing.model import Price, PriceRule
from credits.pricing.money import rounded, to_major, to_minor, written
from credits.pricing.rules import best_plan, price_of
from credits.units import MAX_AMOUNT, Money

PRO = Plan(key="pro", name="Pro", discount=Decimal("0.10"))


def _prices(**changes: Any) -> PriceList:
    values: dict[str, Any] = {
        "key": "images",
        "currency": "USD",
        "pricing": Pricing.VOLUME,
        "slabs": (Slab(first=1, last=None, price_per_unit=Decimal("0.125")),),
    }
    return PriceList(**{**values, **changes})


def _no_calculator(_prices: PriceList, _amount: int, _plan: str | None) -> Decimal:
    raise AssertionError("nobody asked for a calculator")


def _price(prices: PriceList, amount: int, plan: Plan | None = None) -> Price:
    return price_of(prices, amount, plan, calculate=_no_calculator)


@pytest.mark.parametrize(
    ("currency", "total", "minor"),
    [("USD", "0.13", 13), ("JPY", "1", 100), ("KWD", "0.125", 125), ("ISK", "1.00", 100)],
)
def test_a_price_is_rounded_once_and_half_up_to_what_its_currency_has(currency: str, total: str, minor: int) -> None:
    amount = 5 if currency in {"JPY", "ISK"} else 1

    price = _price(_prices(currency=currency), amount)

    assert price.total == Decimal(total)
    assert price.list_total == amount * Decimal("0.125")
    assert to_minor(price.total, currency) == (1 if currency == "JPY" else minor)


def test_the_discount_is_taken_off_before_the_rounding() -> None:
    price = _price(_prices(), 1, PRO)

    # 0.125 less a tenth is 0.1125; rounded first it would have been 0.13 and then 0.12.
    assert price.total == Decimal("0.11")
    assert (price.plan, price.discount) == ("pro", Decimal("0.10"))


def test_a_pack_has_its_own_price_and_a_bonus_and_the_discount() -> None:
    prices = _prices(packs=(Pack(amount=500, price=Decimal("40.00"), bonus=50),))

    bought, beside = _price(prices, 500, PRO), _price(prices, 501)

    assert (bought.rule, bought.total, bought.credits) == (PriceRule.PACK, Decimal("36.00"), 550)
    assert (beside.rule, beside.bonus) == (PriceRule.VOLUME, 0)


def test_with_packs_alone_another_amount_is_an_error_that_names_them() -> None:
    prices = _prices(pricing=None, slabs=(), packs=(Pack(amount=5, price=Decimal(1)), Pack(amount=9, price=Decimal(2))))

    with pytest.raises(AmountNotForSaleError, match="packs of 5, 9 only"):
        _price(prices, 6)


def test_what_costs_less_than_the_smallest_coin_is_not_given_away() -> None:
    prices = _prices(slabs=(Slab(first=1, last=None, price_per_unit=Decimal("0.00002")),))

    with pytest.raises(AmountNotForSaleError, match=r"less than 0\.01 USD"):
        _price(prices, 249)
    assert _price(prices, 250).total == Decimal("0.01")


def test_a_price_beyond_what_anybody_counts_to_is_refused() -> None:
    prices = _prices(slabs=(Slab(first=1, last=None, price_per_unit=Decimal(999999999999)),))

    with pytest.raises(AmountNotForSaleError, match="minor units"):
        _price(prices, MAX_AMOUNT)


def test_a_credit_type_has_a_price_list_per_currency() -> None:
    euros = _prices(currency="EUR", slabs=(Slab(first=1, last=None, price_per_unit=Decimal("0.20")),))
    images = CreditType(name="Images", key="images", currency="USD", prices={"EUR": euros})

    assert images.price_list("EUR") is euros
    assert images.price_list() is images is images.price_list("USD")
    with pytest.raises(NoPriceError, match="USD, EUR"):
        images.price_list("JPY")


def test_of_several_plans_the_one_that_takes_most_off_counts() -> None:
    team = Plan(key="team", name="Team", discount=Decimal("0.20"))

    assert best_plan([PRO, team]) is team
    assert best_plan([]) is None


@given(total=st.decimals(0, 10**12, places=9), currency=st.sampled_from(["USD", "JPY", "KWD", "ISK"]))
def test_a_rounded_price_is_the_nearest_that_can_be_charged(total: Decimal, currency: str) -> None:
    price = rounded(total, currency)

    half = {"USD": "0.005", "JPY": "0.5", "KWD": "0.0005", "ISK": "0.5"}[currency]
    assert abs(price - total) <= Decimal(half)
    assert to_major(Money(amount_minor=to_minor(price, currency), currency=currency)) == price


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "text"),
    [(123450, "USD", "en_US", "$1,234.50"), (1235, "KWD", "en_US", "KWD1.235"), (500, "JPY", "en_US", "¥500")],
)
def test_a_price_is_written_as_its_readers_do(minor: int, currency: str, locale: str, text: str) -> None:
    assert written(Money(amount_minor=minor, currency=currency), locale).replace("\xa0", "") == text


# ── Calculators ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_calculator_is_asked_with_the_amount_and_the_plan_and_the_bounds_hold() -> None:
    asked: list[tuple[int, str | None]] = []

    def calculate(_prices: PriceList, amount: int, plan: str | None) -> Decimal:
        asked.append((amount, plan))
        return Decimal("7.255")

    prices = _prices(pricing=Pricing.CALCULATOR, slabs=(), minimum_amount=10, maximum_amount=20)

    price = price_of(prices, 10, PRO, calculate=calculate)

    assert (price.total, price.rule, asked) == (Decimal("6.53"), PriceRule.CALCULATOR, [(10, "pro")])
    with pytest.raises(AmountNotForSaleError, match="at least 10"):
        price_of(prices, 9, None, calculate=calculate)
    with pytest.raises(AmountNotForSaleError, match="at most 20"):
        price_of(prices, 21, None, calculate=calculate)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (1.5, "answered float"),
        (None, "answered NoneType"),
        (True, "answered bool"),
        (Decimal(-1), "at least 0"),
        (Decimal("NaN"), "no price"),
        (Decimal("Infinity"), "no price"),
        (Decimal("1E+999999"), "digits"),
        (Decimal("1E-999999"), "digits"),
    ],
)
def test_a_calculator_that_answers_no_price_is_an_error_of_its_own(answer: Any, reason: str) -> None:
    with pytest.raises(PriceCalculatorError, match=reason):
        calculated_price(lambda _amount, _plan: answer, "shop:price", 5, None)


@pytest.mark.parametrize("raised", [ZeroDivisionError("no"), SystemExit(3), RecursionError("deep")], ids=repr)
def test_a_calculator_that_raises_is_an_error_of_its_own(raised: BaseException) -> None:
    def broken(_amount: int, _plan: str | None) -> Decimal:
        raise raised

    with pytest.raises(PriceCalculatorError, match=type(raised).__name__):
        calculated_price(broken, "shop:price", 5, None)


def test_a_calculator_that_hangs_holds_nobody_up() -> None:
    let_go, ended = threading.Event(), list[int]()

    def hung(_amount: int, _plan: str | None) -> Decimal:
        let_go.wait()
        ended.append(1)
        return Decimal(1)

    with pytest.raises(PriceCalculatorError, match="within"):
        calculated_price(hung, "shop:price", 5, None, patience_s=0.05)

    assert ended == []
    let_go.set()
