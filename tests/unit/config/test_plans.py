"""Every finding about plans, products and purchases, by key and reason."""

import pytest

from tests.unit.config.conftest import SOUND, Check


@pytest.mark.parametrize(
    ("lines", "key", "reason"),
    [
        ("discunt = 3", "discunt", "is not a key of this table; did you mean discount?"),
        ('strip_price = ["x"]', "strip_price", "did you mean stripe_prices?"),
        ("discount = 0.1", "discount", 'must stand in quotes, because a number of TOML is not exact: "0.1"'),
        ('discount = "10%"', "discount", "must be a decimal of at least 0 in quotes"),
        ('discount = "1.01"', "discount", 'must be a share from "0" to "1"'),
        ('discount = "-0.1"', "discount", "must be a decimal of at least 0"),
        ('on_change = "pro_rate"', "on_change", "must be one of keep_and_add, prorate, reset, at_renewal"),
        ("lemonsqueezy_variants = [111111]", "lemonsqueezy_variants[0]", "must be text in quotes, got 111111"),
        ('lemonsqueezy_variants = ["1", ""]', "lemonsqueezy_variants[1]", "must have 1 to 200 characters, got 0"),
        ('paddle_prices = "pri_1"', "paddle_prices", "must be a list in square brackets, got 'pri_1'"),
        ('fake_products = ["a", "a"]', "fake_products[1]", "'a' is mapped by plans.pro.fake_products[0] already"),
        ('stripe_products = ["price_1"]', "stripe_products[0]", "is mapped by plans.pro.stripe_prices[0] already"),
        ("credits = 5", "credits", "must be a table, got 5"),
        ("credits.image_generation = 5", "credits.image_generation", "must be a table, got 5"),
        ("credits.image_generation = {}", "credits.image_generation.amount", "is missing"),
        ("credits.image_generation = { amount = 0 }", "credits.image_generation.amount", "from 1 to 9007199254740991"),
        ("credits.images = { amount = 1 }", "credits.images", "is not declared; known are: image_generation"),
        ("credits.image_generatio = { amount = 1 }", "credits.image_generatio", "did you mean image_generation?"),
    ],
)
def test_a_fault_of_a_plan_is_named_by_key_and_reason(check_plan: Check, lines: str, key: str, reason: str) -> None:
    findings = check_plan(lines)

    assert list(findings.problems) == [f"plans.pro.{key}"]
    assert reason in findings.problems[f"plans.pro.{key}"]


@pytest.mark.parametrize(
    ("settings", "key", "reason"),
    [
        ('every = "year"', "every", "must be one of period, day, week, month, got 'year'"),
        ('expires = "tomorrow"', "expires", 'must be "period_end", "period_end+3d", "+30d" or "never", got'),
        ("expires = 30", "expires", 'must be "period_end"'),
        ('expires = "+0d"', "expires", 'must be "period_end"'),
        ('expires = "+36501d"', "expires", "must be at most 36500 days, got '+36501d'"),
        ('expires = "period_end+367d"', "expires", "must be at most 366 days"),
        ("priority = -1", "priority", "must be a whole number from 0 to 1000000, got -1"),
        ("rollover = 5", "rollover", "must be a table, got 5"),
        ("rollover = {}", "rollover", "must have cap, periods or both; to keep all credits for ever, set expires"),
        ("rollover = { cap = 0 }", "rollover.cap", "must be a whole number of credits from 1 to 9007199254740991 or"),
        ('rollover = { cap = "50" }', "rollover.cap", "or a share of the plan's amount such as \"50%\", got '50'"),
        ('rollover = { cap = "1001%" }', "rollover.cap", "must be at most 1000 %, got '1001%'"),
        ("rollover = { periods = 0 }", "rollover.periods", "must be a whole number from 1 to 1200, got 0"),
        ("rollover = { cap = 1, perods = 1 }", "rollover.perods", "did you mean periods?"),
        ('rollover = { cap = 1 }, expires = "never"', "rollover", "carries over what lapses with its period"),
    ],
)
def test_a_fault_of_plan_credits_is_named_by_key_and_reason(
    check_plan: Check, settings: str, key: str, reason: str
) -> None:
    findings = check_plan(f"credits.image_generation = {{ amount = 10, {settings} }}")

    place = f"plans.pro.credits.image_generation.{key}"
    assert list(findings.problems) == [place]
    assert reason in findings.problems[place]


def test_a_price_sells_one_plan_of_a_provider(check_plan: Check) -> None:
    findings = check_plan(
        '[plans.max]\nname = "Max"\nstripe_prices = ["price_2", "price_1"]\nfake_products = ["price_1"]'
    )

    assert findings.problems == {
        "plans.max.stripe_prices[1]": "'price_1' is mapped by plans.pro.stripe_prices[0] already; "
        "a price sells one plan, remove one"
    }


def test_a_price_that_sells_a_plan_is_not_among_the_others(check: Check) -> None:
    findings = check(f'other_prices = ["a", "b"]\n{SOUND}\n[plans.pro]\nname = "Pro"\nstripe_prices = ["b"]')

    assert findings.problems == {
        "other_prices[1]": "'b' earns the credits of plans.pro.stripe_prices[0]; remove one of the two"
    }


def test_a_plan_that_no_price_maps_to_is_a_warning(check: Check) -> None:
    findings = check(f'{SOUND}\n[plans.gift]\nname = "Gift"')

    assert not findings.problems
    assert "no price maps to this plan" in findings.warnings["plans.gift"]


@pytest.mark.parametrize("key", ["Pro", "1", "pro plan", "a" * 64])
def test_a_plan_is_named_in_lower_case(check: Check, key: str) -> None:
    findings = check(f'{SOUND}\n[plans."{key}"]\nname = "Pro"\nstripe_prices = ["a"]')

    assert "must be 1 to 63 of a-z, 0-9, _ and -" in next(iter(findings.problems.values()))


def test_a_plan_has_a_name(check: Check) -> None:
    findings = check(f'{SOUND}\n[plans.pro]\nstripe_prices = ["a"]')

    assert findings.problems == {"plans.pro.name": "is missing; add it"}


@pytest.mark.parametrize(
    ("line", "key", "reason"),
    [
        ('fre = "grant"', "fre", "did you mean free?"),
        ('free = "refuse"', "free", "must be one of grant, hold, got 'refuse'"),
        ('unknown = "grant"', "unknown", "must be one of hold, ignore, got 'grant'"),
        ("unknown = []", "unknown", "must be one of hold, ignore, got a list"),
        ('expires = "period_end"', "expires", "a purchase has no billing period to end with"),
        ('expires = "soon"', "expires", 'must be "+30d" or "never", got'),
        ("priority = 1000001", "priority", "from 0 to 1000000"),
    ],
)
def test_a_fault_about_purchases_is_named_by_key_and_reason(check: Check, line: str, key: str, reason: str) -> None:
    findings = check(f"{SOUND}\n[purchases]\n{line}")

    assert list(findings.problems) == [f"purchases.{key}"]
    assert reason in findings.problems[f"purchases.{key}"]
