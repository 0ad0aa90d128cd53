"""Our own metadata at a provider: what is read, what is passed over, what is refused."""

import pytest

from credits.errors import InvalidInputError
from tests.support.webhooks import simulation
from webhooks.metadata import Metadata, read_metadata, write_metadata


def test_what_was_written_is_read() -> None:
    written = write_metadata(simulation("any", account="user_1", credit_type="video", amount=7, quote_id="q_1"))

    assert read_metadata(written) == Metadata(account="user_1", credit_type="video", amount=7, quote_id="q_1")


def test_every_value_travels_as_text() -> None:
    written = write_metadata(simulation("any", quote_id="q_1"))

    assert {type(value) for value in written.values()} == {str}


@pytest.mark.parametrize("values", [None, [], {}, "", 5, {"customer_id": 25}, {"creditgate_account": ""}])
def test_where_there_is_nothing_of_ours_nothing_is_said(values: object) -> None:
    assert read_metadata(values) == Metadata()


def test_an_account_given_as_a_number_is_read_as_text() -> None:
    assert read_metadata({"creditgate_account": 25}).account == "25"


@pytest.mark.parametrize("amount", ["0", "-1", "1.5", "01", "1e3", "١٢", " 1", "9007199254740992", 0, True, [1]])
def test_an_amount_outside_its_bounds_is_refused_by_name(amount: object) -> None:
    with pytest.raises(InvalidInputError, match="creditgate_amount"):
        read_metadata({"creditgate_amount": amount})


@pytest.mark.parametrize("name", ["creditgate_account", "creditgate_credit_type", "creditgate_quote"])
@pytest.mark.parametrize("value", ["a\x00", "a" * 201, "\ud800", ["a"], {}, True])
def test_an_id_outside_its_bounds_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(InvalidInputError, match=name):
        read_metadata({name: value})
