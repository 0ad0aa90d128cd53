"""Findings about the file itself, and the catalogue that a sound file becomes."""

import os
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from credits.config.catalogue import Catalogue, CreditType, Every, Plan, PlanCredits, Pricing, Purchases, Rollover, Slab
from credits.config.check import check_catalogue
from credits.config.expiry import Expiry, ExpiryKind
from credits.config.findings import Findings
from credits.config.load import MAX_FILE_BYTES, load_catalogue
from credits.config.policies import ChangePolicy, OnChange
from credits.errors import ConfigError, UnknownCreditTypeError, UnknownPlanError
from tests.unit.config.conftest import SOUND, Check

ROOT = Path(__file__).parents[3]

FULL = """
other_prices = ["price_seat"]

[credit_types.image_generation]
name = "Image generation"
currency = "USD"
minimum_amount = 10
pricing = "volume"
slabs = [{ from = 1, to = 100, price_per_unit = "0.10" }, { from = 101, to = 1000, price_per_unit = "0.10" }]

[plans.pro]
name = "Pro"
discount = "0.10"
stripe_prices = ["price_pro_monthly", "price_pro_yearly"]
stripe_products = ["prod_pro"]
lemonsqueezy_variants = ["111111"]
on_change = "at_renewal"
[plans.pro.credits.image_generation]
amount = 1000
every = "month"
rollover = { cap = "50%", periods = 3 }
expires = "period_end+3d"

[purchases]
free = "hold"
unknown = "ignore"
expires = "+365d"
priority = 50
"""


def test_a_file_that_is_not_there_is_named_with_the_way_to_name_another(tmp_path: Path) -> None:
    findings = check_catalogue(tmp_path / "none.toml")

    assert findings.problems == {
        str(tmp_path / "none.toml"): "there is no such file; create it, or name another one in CREDITGATE_CONFIG"
    }


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    findings = check_catalogue(tmp_path)

    assert "cannot be read: Is a directory" in findings.problems[str(tmp_path)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a = 1\nb = \n", "is not valid TOML: Invalid value (at line 2, column 5)"),
        (b"a = 1\na = 2\n", "is not valid TOML: Cannot overwrite a value (at line 2"),
        (b"a = 1\n\nb = '\xff'\n", "is not UTF-8 text (at line 3)"),
        (b"a = " + b"[" * 10_000, "is not valid TOML"),
        (b"a = " + b"1" * 10_000, "is not valid TOML"),
        (b"#" * (MAX_FILE_BYTES + 1), f"must have at most {MAX_FILE_BYTES} bytes"),
    ],
    ids=["syntax", "twice", "not-utf-8", "deep", "huge-number", "too-long"],
)
def test_a_file_that_is_no_toml_is_refused_with_the_line(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "credits.toml"
    file.write_bytes(content)

    findings = check_catalogue(file)

    assert list(findings.problems) == [str(file)]
    assert reason in findings.problems[str(file)]


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("", "credit_types", "is missing; add it"),
        ("[credit_types]", "credit_types", "must declare at least one credit type"),
        ("credit_types = 5", "credit_types", "must be a table, got 5"),
        (f"{SOUND}\n[planes.pro]", "planes", "is not a key of this table; did you mean plans?"),
        (f"other_prices = [1]\n{SOUND}", "other_prices[0]", "must be text in quotes, got 1"),
        (f"other_prices = [' a']\n{SOUND}", "other_prices[0]", "must not begin or end with white space"),
        (f'"a b" = 1\n{SOUND}', "'a b'", "is not a key of this table"),
    ],
)
def test_a_fault_at_the_top_is_named_by_key_and_reason(check: Check, text: str, key: str, reason: str) -> None:
    findings = check(text)

    assert list(findings.problems) == [key]
    assert reason in findings.problems[key]


def test_loading_a_faulty_file_raises_with_every_problem(tmp_path: Path) -> None:
    file = tmp_path / "credits.toml"
    file.write_text('other_price = 1\n[credit_types.a]\nname = 5\ncurrency = "USD"\n[plans.b]\nname = "B"\n')

    with pytest.raises(ConfigError) as caught:
        load_catalogue(file)

    assert caught.value.problems == {
        "other_price": "is not a key of this table; did you mean other_prices?",
        "credit_types.a.name": "must be text in quotes, got 5",
    }


def test_a_sound_file_becomes_the_catalogue_it_describes(tmp_path: Path) -> None:
    file = tmp_path / "credits.toml"
    file.write_text(FULL)

    catalogue = load_catalogue(file)

    slabs = (
        Slab(first=1, last=100, price_per_unit=Decimal("0.10")),
        Slab(first=101, last=1000, price_per_unit=Decimal("0.10")),
    )
    images = CreditType(
        key="image_generation",
        name="Image generation",
        currency="USD",
        minimum_amount=10,
        pricing=Pricing.VOLUME,
        slabs=slabs,
    )
    pro = Plan(
        key="pro",
        name="Pro",
        discount=Decimal("0.10"),
        product_ids={
            "stripe": ("price_pro_monthly", "price_pro_yearly", "prod_pro"),
            "lemonsqueezy": ("111111",),
        },
        on_change=ChangePolicy(up=OnChange.AT_RENEWAL, down=OnChange.AT_RENEWAL),
        credits=(
            PlanCredits(
                credit_type="image_generation",
                amount=1000,
                every=Every.MONTH,
                rollover=Rollover(cap_percent=50, periods=3),
                expires=Expiry(kind=ExpiryKind.PERIOD_END, grace_days=3),
            ),
        ),
    )
    purchases = Purchases(
        free="hold", unknown="ignore", expires=Expiry(kind=ExpiryKind.AFTER, after_days=365), priority=50
    )
    assert catalogue == Catalogue(
        credit_types={"image_generation": images},
        plans={"pro": pro},
        other_prices=frozenset({"price_seat"}),
        purchases=purchases,
    )


def test_the_catalogue_answers_which_plan_a_product_sells(tmp_path: Path) -> None:
    file = tmp_path / "credits.toml"
    file.write_text(FULL)
    catalogue = load_catalogue(file)

    plan = catalogue.plan_of("lemonsqueezy", "111111")

    assert plan == catalogue.plan("pro")
    assert catalogue.plan_of("stripe", "111111") is None
    assert catalogue.earns_nothing("price_seat")
    assert not catalogue.earns_nothing("price_pro_monthly")


def test_the_catalogue_names_what_it_knows_when_asked_for_something_else(tmp_path: Path) -> None:
    file = tmp_path / "credits.toml"
    file.write_text(FULL)
    catalogue = load_catalogue(file)

    with pytest.raises(UnknownCreditTypeError, match="declared are: image_generation"):
        catalogue.credit_type("images")
    with pytest.raises(UnknownPlanError, match="declared are: pro"):
        catalogue.plan("max")


def test_a_calculator_is_found_beside_the_file_and_the_import_path_is_left_as_it_was(tmp_path: Path) -> None:
    module = f"prices_{os.getpid()}"
    (tmp_path / f"{module}.py").write_text("def price(amount, plan):\n    return amount\n")
    file = tmp_path / "credits.toml"
    file.write_text(f'{SOUND}price_calculator = "{module}:price"\n')
    path_before = list(sys.path)

    catalogue = load_catalogue(file)

    assert catalogue.credit_type("image_generation").pricing is Pricing.CALCULATOR
    assert sys.path == path_before


@pytest.mark.parametrize("statement", ["raise RuntimeError('no rates')", "import sys; sys.exit('no rates')"])
def test_a_calculator_whose_module_fails_is_a_finding(tmp_path: Path, statement: str) -> None:
    module = f"failing_{os.getpid()}"
    (tmp_path / f"{module}.py").write_text(statement)
    file = tmp_path / "credits.toml"
    file.write_text(f'{SOUND}price_calculator = "{module}:price"\n')

    findings = check_catalogue(file)

    assert "no rates" in findings.problems["credit_types.image_generation.price_calculator"]


@pytest.mark.parametrize("example", ["credits.toml", "credits/ops/dev/example.toml"])
def test_the_examples_in_this_repository_are_sound(example: str) -> None:
    findings = check_catalogue(ROOT / example)

    assert findings == Findings()
