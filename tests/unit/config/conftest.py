"""A credits.toml of each test's own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from credits.config.check import check_catalogue
from credits.config.findings import Findings

Check = Callable[[str], Findings]

SOUND = """
[credit_types.image_generation]
name = "Image generation"
currency = "USD"
"""


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Checks a credits.toml that consists of the given text."""

    def run(text: str) -> Findings:
        file = tmp_path / "credits.toml"
        file.write_text(text, encoding="utf-8")
        return check_catalogue(file)

    return run


@pytest.fixture
def check_type(check: Check) -> Check:
    """Checks a credits.toml with one sound credit type `tokens` to which the given lines are added."""
    return lambda lines: check(f'[credit_types.tokens]\nname = "Tokens"\ncurrency = "USD"\n{lines}\n')


@pytest.fixture
def check_plan(check: Check) -> Check:
    """Checks a credits.toml with one sound plan `pro` to which the given lines are added."""
    return lambda lines: check(f'{SOUND}\n[plans.pro]\nname = "Pro"\nstripe_prices = ["price_1"]\n{lines}\n')
