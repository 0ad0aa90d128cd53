"""Access to providers for selling: what is wrong with a variable is said by its name."""

import pytest

from credits.config.access import read_access


@pytest.mark.parametrize(
    ("variables", "at_fault"),
    [
        ({"PADDLE_API_KEY": "pdl_sdbx_apikey_1"}, "PADDLE_API_KEY"),
        ({"PADDLE_TEST_API_KEY": "pdl_live_apikey_1"}, "PADDLE_TEST_API_KEY"),
        ({"PADDLE_API_KEY": "k", "PADDLE_PRODUCT_ID": "pri_1"}, "PADDLE_PRODUCT_ID"),
        ({"PADDLE_API_KEY": "k", "PADDLE_TAX_CATEGORY": "gold"}, "PADDLE_TAX_CATEGORY"),
        ({"PADDLE_API_KEY": "k", "PADDLE_CHECKOUT_URL": "http://shop.example.com"}, "PADDLE_CHECKOUT_URL"),
        ({"PADDLE_API_KEY": "k", "PADDLE_CLIENT_TOKEN": "test_1"}, "PADDLE_CLIENT_TOKEN"),
        ({"PADDLE_TEST_API_KEY": "k", "PADDLE_TEST_CLIENT_TOKEN": "live_1"}, "PADDLE_TEST_CLIENT_TOKEN"),
        ({"PADDLE_TEST_API_KEY": "k", "PADDLE_TEST_API_BASE": "https://evil.example"}, "PADDLE_TEST_API_BASE"),
    ],
)
def test_a_variable_that_cannot_be_is_named(variables: dict[str, str], at_fault: str) -> None:
    problems: dict[str, str] = {}

    read_access(variables, problems)

    assert list(problems) == [at_fault]
