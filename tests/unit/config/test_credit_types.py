"""Every finding about credit types and their prices, by key and reason."""

import pytest

from credits.config.findings import Findings
from tests.unit.config.conftest import Check


def _only_problem(findings: Findings) -> tuple[str, str]:
    assert len(findings.problems) == 1, findings.problems
    return next(iter(findings.problems.items()))


def _slabs(*slabs: tuple[int, int | None]) -> str:
    tables = [
        f'{{ from = {first}, {"" if last is None else f"to = {last}, "}price_per_unit = "0.1" }}'
        for first, last in slabs
    ]
    return f"slabs = [{', '.join(tables)}]"


@pytest.mark.parametrize(
    ("lines", "key", "reason"),
    [
        ('colour = "red"', "colour", "is not a key of this table; known are: currency"),
        ("minimum_amout = 5", "minimum_amout", "did you mean minimum_amount?"),
        ("minimum_amount = 0", "minimum_amount", "from 1 to 9007199254740991, got 0"),
        ("minimum_amount = true", "minimum_amount", "got true"),
        ("maximum_amount = 9007199254740992", "maximum_amount", "from 1 to 9007199254740991"),
        (f"maximum_amount = {'9' * 100}", "maximum_amount", "got a number of more than 60 digits"),
        (
            'pricing = "volum"',
            "pricing",
            "must be one of volume, graduated, calculator, got 'volum'; did you mean volume?",
        ),
        ("pricing = 1", "pricing", "must be one of volume, graduated, calculator, got 1"),
        ("slabs = 5", "slabs", "must be a list in square brackets, got 5"),
        ("slabs = []", "slabs", "must have at least one slab"),
        ("slabs = [1]", "slabs[0]", "must be a table, got 1"),
        ('slabs = [{ price_per_unit = "1" }]', "slabs[0].from", "is missing"),
        ("slabs = [{ from = 1 }]", "slabs[0].price_per_unit", "is missing"),
        ('slabs = [{ from = 1, price_per_unit = "1", frm = 5 }]', "slabs[0].frm", "did you mean from?"),
        ("slabs = [{ from = 1, price_per_unit = 0.25 }]", "slabs[0].price_per_unit", "must stand in quotes, because"),
        ("slabs = [{ from = 1, price_per_unit = 1 }]", "slabs[0].price_per_unit", '"1"'),
        ("slabs = [{ from = 1, price_per_unit = nan }]", "slabs[0].price_per_unit", "must stand in quotes"),
        ('slabs = [{ from = 1, price_per_unit = "-1" }]', "slabs[0].price_per_unit", "a decimal of at least 0"),
        ('slabs = [{ from = 1, price_per_unit = "NaN" }]', "slabs[0].price_per_unit", "a decimal of at least 0"),
        ('slabs = [{ from = 1, price_per_unit = "1e3" }]', "slabs[0].price_per_unit", "a decimal of at least 0"),
        ('slabs = [{ from = 1, price_per_unit = "٣" }]', "slabs[0].price_per_unit", "a decimal of at least 0"),
        ('pricing = "volume"', "slabs", 'is missing; pricing = "volume" needs slabs'),
        ('pricing = "calculator"', "price_calculator", 'is missing; pricing = "calculator" needs price_calculator'),
        ("minimum_amount = 5", "", "minimum_amount bounds a purchase, but nothing gives a price"),
        ('price_calculator = "nothing"', "price_calculator", 'must name a function as "module:function"'),
        ('price_calculator = "json:nothing"', "price_calculator", "module json has no nothing; define it there"),
        ('price_calculator = "sys:path"', "price_calculator", "path is not callable"),
        ('price_calculator = "no_such:price"', "price_calculator", "cannot be imported (ModuleNotFoundError"),
    ],
)
def test_a_fault_of_a_credit_type_is_named_by_key_and_reason(
    check_type: Check, lines: str, key: str, reason: str
) -> None:
    findings = check_type(lines)

    place, text = _only_problem(findings)
    assert place == f"credit_types.tokens.{key}".rstrip(".")
    assert reason in text


@pytest.mark.parametrize(
    ("lines", "key", "reason"),
    [
        (
            _slabs((1, 100), (150, None)),
            "slabs[1].from",
            "leaves a gap: 101 to 149 would have no price; set from = 101",
        ),
        (_slabs((1, 100), (90, None)), "slabs[1].from", "90 to 100 would have two prices; set from = 101"),
        (_slabs((101, 200), (1, 100)), "slabs[1].from", "must be above the slab before it (101 to 200)"),
        (_slabs((1, None), (101, 200)), "slabs[0].to", "only the last slab may have no end, so set to = 100"),
        (_slabs((5, None), (1, 4)), "slabs[0].to", "only the last slab may have no end, so sort the slabs"),
        (_slabs((1, 100), (101, 90)), "slabs[1].to", "must be at least from (101), got 90"),
        (
            _slabs((5, 100)),
            "slabs[0].from",
            "must be at most minimum_amount (1), got 5; lower it, or set minimum_amount",
        ),
        (
            f"minimum_amount = 101\n{_slabs((1, 100))}",
            "minimum_amount",
            "at most the end of the last slab (100), got 101",
        ),
        (
            f"maximum_amount = 101\n{_slabs((1, 100))}",
            "maximum_amount",
            "at most the end of the last slab (100), got 101",
        ),
        (
            f"minimum_amount = 20\nmaximum_amount = 10\n{_slabs((1, None))}",
            "maximum_amount",
            "must be at least minimum_amount (20), got 10",
        ),
        (
            f'price_calculator = "math:floor"\n{_slabs((1, None))}',
            "price_calculator",
            "cannot stand beside slabs; remove one of the two",
        ),
    ],
)
def test_slabs_that_do_not_price_every_amount_once_are_refused(
    check_type: Check, lines: str, key: str, reason: str
) -> None:
    findings = check_type(lines)

    place, text = _only_problem(findings)
    assert place == f"credit_types.tokens.{key}"
    assert reason in text


@pytest.mark.parametrize("key", ["Images", "images-large", "1st", "é", "a" * 64, "", "a.b"])
def test_a_credit_type_is_named_in_lower_case_letters_digits_and_underscores(check: Check, key: str) -> None:
    findings = check(f'[credit_types."{key}"]\nname = "X"\ncurrency = "USD"')

    _place, text = _only_problem(findings)
    assert "must be 1 to 63 of a-z, 0-9 and _, beginning with a letter" in text


@pytest.mark.parametrize("key", ["class", "ttl_s", "account"])
def test_a_credit_type_does_not_take_a_word_that_calls_use_themselves(check: Check, key: str) -> None:
    findings = check(f'[credit_types.{key}]\nname = "X"\ncurrency = "USD"')

    assert "is reserved" in findings.problems[f"credit_types.{key}"]


@pytest.mark.parametrize("currency", ["usd", "USB", "US", "", "€"])
def test_a_currency_is_one_of_iso_4217(check: Check, currency: str) -> None:
    findings = check(f'[credit_types.tokens]\nname = "X"\ncurrency = "{currency}"')

    assert "must be a currency of ISO 4217 in capitals" in findings.problems["credit_types.tokens.currency"]


def test_name_and_currency_are_asked_for(check: Check) -> None:
    findings = check("[credit_types.tokens]")

    assert findings.problems == {
        "credit_types.tokens.name": "is missing; add it",
        "credit_types.tokens.currency": "is missing; add it",
    }


def test_a_credit_type_that_is_not_for_sale_is_fine(check_type: Check) -> None:
    findings = check_type("")

    assert findings == Findings()


def test_a_price_cliff_is_a_warning_that_names_both_totals(check_type: Check) -> None:
    findings = check_type(
        'slabs = [{ from = 1, to = 100, price_per_unit = "0.10" }, { from = 101, price_per_unit = "0.08" }]'
    )

    assert not findings.problems
    assert findings.warnings == {
        "credit_types.tokens.slabs[1]": "price cliff: 101 credits cost 8.08 USD, 100 credits 10.00; "
        'pricing = "graduated" has none'
    }


@pytest.mark.parametrize(("pricing", "price"), [("graduated", "0.08"), ("volume", "0.10"), ("volume", "0.0999")])
def test_prices_that_never_fall_in_total_are_no_cliff(check_type: Check, pricing: str, price: str) -> None:
    findings = check_type(
        f'pricing = "{pricing}"\nslabs = [{{ from = 1, to = 100, price_per_unit = "0.10" }}, '
        f'{{ from = 101, price_per_unit = "{price}" }}]'
    )

    assert findings == Findings()


def test_faults_of_one_credit_type_are_all_found_at_once(check_type: Check) -> None:
    findings = check_type(
        'pricing = "volum"\nminimum_amount = 5\nmaximum_amount = 500\n'
        'slabs = [{ from = 7, to = 100, price_per_unit = 0.1 }, { from = 90, to = 200, price_per_unit = "1" }]'
    )

    assert set(findings.problems) == {
        f"credit_types.tokens.{key}"
        for key in ("pricing", "maximum_amount", "slabs[0].from", "slabs[0].price_per_unit", "slabs[1].from")
    }
