"""A client reference names an account only to who knows the secret it was signed with."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.errors import InvalidIdError
from credits.ids import account_of_reference, checked_id, signed_reference


def _is_account(text: str) -> bool:
    try:
        return checked_id(text, "account") == text
    except InvalidIdError:
        return False


@given(account=st.text(min_size=1, max_size=40).filter(_is_account))
def test_a_reference_names_the_account_it_was_signed_for(account: str) -> None:
    reference = signed_reference(account, "a secret")

    assert account_of_reference(reference, "a secret") == account


@pytest.mark.parametrize(
    "change", [lambda text: text + "0", lambda text: text.replace("-", "-A", 1), lambda _: "user_1"]
)
def test_an_edited_reference_names_nobody(change: Callable[[str], str]) -> None:
    edited = change(signed_reference("user_1", "a secret"))

    assert account_of_reference(edited, "a secret") is None


def test_a_reference_signed_with_another_secret_names_nobody() -> None:
    reference = signed_reference("user_1", "another secret")

    assert account_of_reference(reference, "a secret") is None


def test_without_a_secret_no_reference_counts_because_anybody_could_sign_it() -> None:
    forged = signed_reference("user_1", "")

    assert account_of_reference(forged, "") is None
