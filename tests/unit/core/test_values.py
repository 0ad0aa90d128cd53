"""Units, ids and instants: what is taken, what is refused, and how it is said."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.clock import MAX_INSTANT_MS, checked_instant_ms, from_iso, iso
from credits.errors import InvalidAmountError, InvalidCurrencyError, InvalidIdError, InvalidInputError
from credits.ids import (
    MAX_REFERENCE_LENGTH,
    account_of_reference,
    checked_id,
    checked_payer_id,
    checked_text,
    digest,
    new_id,
    signed_reference,
)
from credits.units import MAX_AMOUNT, Money, checked_amount, parse_amount


@pytest.mark.parametrize("amount", [1, 100, MAX_AMOUNT])
def test_an_amount_is_a_whole_number_from_one_to_the_bound(amount: int) -> None:
    assert checked_amount(amount) == parse_amount(str(amount)) == parse_amount(amount) == amount


@pytest.mark.parametrize("value", [0, -1, MAX_AMOUNT + 1, True, 1.0, "1", None, 10**400])
def test_anything_else_is_no_amount(value: Any) -> None:
    with pytest.raises(InvalidAmountError, match=f"amount: must be a whole number from 1 to {MAX_AMOUNT}"):
        checked_amount(value)


@pytest.mark.parametrize(
    "text",
    ["", "0", "01", "+1", "-1", " 1", "1\n", "1_000", "1e3", "0x10", "١", "９", "1.0", "nan", "9" * 17, True, 1.0],
)
def test_text_that_is_not_plain_digits_is_no_amount(text: Any) -> None:
    with pytest.raises(InvalidAmountError):
        parse_amount(text)


@given(st.integers() | st.text() | st.floats() | st.none() | st.binary())
def test_parsing_an_amount_answers_within_its_bounds_or_refuses(value: Any) -> None:
    try:
        amount = parse_amount(value)
    except InvalidAmountError:
        return
    assert 1 <= amount <= MAX_AMOUNT


@pytest.mark.parametrize("currency", ["usd", "US", "USDT", "", "U$D", "ＵＳＤ"])
def test_money_has_a_currency_of_three_capitals(currency: str) -> None:
    with pytest.raises(InvalidCurrencyError):
        Money(amount_minor=1, currency=currency)


def test_where_zero_is_allowed_the_bound_that_is_named_begins_with_it() -> None:
    assert checked_amount(0, smallest=0) == parse_amount("0", smallest=0) == 0

    with pytest.raises(InvalidAmountError, match=f"amount: must be a whole number from 0 to {MAX_AMOUNT}, got -1"):
        checked_amount(-1, smallest=0)


@pytest.mark.parametrize("amount_minor", [MAX_AMOUNT + 1, -MAX_AMOUNT - 1, 1.5, True])
def test_money_is_whole_and_within_its_bound(amount_minor: Any) -> None:
    with pytest.raises(InvalidAmountError, match="amount_minor"):
        Money(amount_minor=amount_minor, currency="USD")


@pytest.mark.parametrize("value", ["a", "user 1", " a", "a ", " ", "\u00a0a\u3000", "用户", "👩‍🚀", "ß" * 200])
def test_an_id_of_any_script_is_taken(value: str) -> None:
    assert checked_id(value, "account") == value


@pytest.mark.parametrize(
    "value", ["", "a" * 201, "a\x00", "a\n", "\x7f", "\ud800", "\u2028", "\ue000", "\u0378", None, 7, b"a"]
)
def test_what_cannot_be_stored_or_seen_is_no_id(value: Any) -> None:
    with pytest.raises(InvalidIdError, match=r"^account: must"):
        checked_id(value, "account")


@given(st.text(" \u00a0ab{}%:", min_size=1, max_size=12))
def test_white_space_at_the_ends_of_an_id_is_kept(text: str) -> None:
    assert checked_id(text, "account") == text


@pytest.mark.parametrize("value", [" a", "a ", " ", "a\u00a0"])
def test_an_account_that_a_provider_may_spell_otherwise_buys_nothing(value: str) -> None:
    assert checked_payer_id("a b", "account") == "a b"

    with pytest.raises(InvalidIdError, match="account: must not begin or end with white space where something is sold"):
        checked_payer_id(value, "account")


def test_an_id_that_grows_in_its_normal_form_is_measured_there() -> None:
    # One character whose normal form C has three.
    grows = "\ufb2c" * 100

    with pytest.raises(InvalidIdError, match="normal form C, got 300"):
        checked_id(grows, "account")


@given(st.text(max_size=250))
def test_checking_an_id_once_more_changes_nothing(text: str) -> None:
    try:
        checked = checked_id(text, "account")
    except InvalidIdError:
        return
    assert checked_id(checked, "account") == checked == unicodedata.normalize("NFC", text)
    assert checked.encode()


@pytest.mark.parametrize("value", ["a" * 6, "\x00", "\ud800", None, 5])
def test_text_that_a_column_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="reason"):
        checked_text(value, "reason", max_length=5)


def test_new_ids_are_in_the_order_of_their_making() -> None:
    made = [new_id() for _ in range(100)]

    assert sorted(set(made)) == made


@given(st.lists(st.text()), st.lists(st.text()))
def test_two_lists_of_parts_have_one_digest_only_if_they_are_the_same(one: list[str], other: list[str]) -> None:
    assert (digest(*one) == digest(*other)) == (one == other)


@given(account=st.text(min_size=1, max_size=30), forged=st.text(max_size=80))
def test_only_the_key_that_signed_a_reference_reads_it(account: str, forged: str) -> None:
    try:
        name = checked_id(account, "account")
    except InvalidIdError:
        return

    reference = signed_reference(name, "secret")

    assert account_of_reference(reference, "secret") == name
    assert account_of_reference(reference, "another") is None
    assert account_of_reference(forged, "secret") is None


def test_a_reference_fits_what_stripe_takes_or_is_refused() -> None:
    longest = signed_reference("u" * 122, "secret")

    assert len(longest) <= MAX_REFERENCE_LENGTH
    with pytest.raises(InvalidIdError, match="122 bytes"):
        signed_reference("u" * 123, "secret")


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("1970-01-01T00:00:00.001Z", 1),
        ("1970-01-01", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("2026-02-28T23:59:59.999Z", 1_772_323_199_999),
        ("9999-12-31T23:59:59.999Z", MAX_INSTANT_MS),
    ],
)
def test_an_instant_is_read_with_its_offset_and_without_one_as_utc(text: str, at_ms: int) -> None:
    assert from_iso(text) == at_ms


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-02-30", "99999-01-01", "12:00"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_iso(text)


@given(st.integers(0, MAX_INSTANT_MS))
def test_an_instant_that_is_shown_can_be_read_again(at_ms: int) -> None:
    shown = iso(at_ms)

    assert shown is not None
    assert shown.endswith("Z")
    assert from_iso(shown) == at_ms == checked_instant_ms(at_ms, "at")


@pytest.mark.parametrize("value", [-1, MAX_INSTANT_MS + 1, True, 1.0, None, "0"])
def test_an_instant_outside_the_calendar_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^at: must be milliseconds"):
        checked_instant_ms(value, "at")
