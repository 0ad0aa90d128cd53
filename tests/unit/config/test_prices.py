"""Packs, other currencies and checkouts of credits.toml: each fault is named under its key."""

from decimal import Decimal
from pathlib import Path

import pytest

from credits.config.catalogue import Pack
from credits.config.load import load_catalogue
from tests.unit.config.conftest import SOUND, Check


def test_packs_and_other_currencies_are_read(tmp_path: Path) -> None:
    file = tmp_path / "credits.toml"
    file.write_text(
        f'{SOUND}\nminimum_amount = 10\npacks = [{{ amount = 500, price = "40.00", bonus = 50 }}]\n'
        '[credit_types.image_generation.prices.EUR]\npricing = "graduated"\n'
        'slabs = [{ from = 1, price_per_unit = "0.09" }]\n'
    )

    images = load_catalogue(file).credit_type("image_generation")

    assert images.packs == (Pack(amount=500, price=Decimal("40.00"), bonus=50),)
    euros = images.price_list("EUR")
    assert (euros.currency, euros.minimum_amount, euros.key) == ("EUR", 10, "image_generation")


@pytest.mark.parametrize(
    ("lines", "key", "reason"),
    [
        ("packs = []", "packs", "at least one pack"),
        ('packs = [{ amount = 5, price = "1" }, { amount = 5, price = "2" }]', "packs[1].amount", "two packs"),
        ('minimum_amount = 6\npacks = [{ amount = 5, price = "1" }]', "packs[0].amount", "minimum_amount (6)"),
        ('maximum_amount = 4\npacks = [{ amount = 5, price = "1" }]', "packs[0].amount", "maximum_amount (4)"),
        ("packs = [{ amount = 5, price = 1.5 }]", "packs[0].price", "in quotes"),
        ('packs = [{ amount = 5, price = "1", bonus = 9007199254740991 }]', "packs[0].bonus", "together with"),
        ("prices.XYZ = { }", "prices.XYZ", "ISO 4217"),
        ('prices.USD = { slabs = [{ from = 1, price_per_unit = "1" }] }', "prices.USD", "own currency"),
        ("prices.EUR = { }", "prices.EUR", "gives no price"),
        ('prices.EUR = { slabs = [{ from = 2, price_per_unit = "1" }] }', "prices.EUR.slabs[0].from", "minimum_amount"),
        ("prices.EUR = 5", "prices.EUR", "must be a table"),
    ],
)
def test_a_fault_of_a_price_is_found(check_type: Check, lines: str, key: str, reason: str) -> None:
    findings = check_type(lines)

    assert reason in findings.problems[f"credit_types.tokens.{key}"]


@pytest.mark.parametrize(
    ("lines", "key", "reason"),
    [
        ('allowed_hosts = ["https://app.example.com"]', "allowed_hosts[0]", "no https"),
        ('success_url = "https://app.example.com/"', "success_url", "allowed_hosts"),
        ('allowed_hosts = ["a.example"]\ncancel_url = "http://a.example/"', "cancel_url", "https://"),
        ("expires_after_minutes = 5", "expires_after_minutes", "45 to 1380"),
        ('promotion_codes = "yes"', "promotion_codes", "true or false"),
        ('locale = "klingon"', "locale", "en_US"),
    ],
)
def test_a_fault_of_the_checkout_is_found(check: Check, lines: str, key: str, reason: str) -> None:
    findings = check(f"{SOUND}\n[checkout]\n{lines}\n")

    assert reason in findings.problems[f"checkout.{key}"]
