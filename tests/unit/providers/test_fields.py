"""Fields of a provider's JSON: given, absent, or of another kind and then refused with their path."""

from typing import Any

import pytest

from credits.errors import MalformedPayloadError
from credits.units import MAX_AMOUNT, Money
from webhooks.fields import MAX_TEXT_LENGTH, Node

READERS = ["text", "identifier", "integer", "flag", "instant_ms"]
REQUIRED = ["required_text", "required_identifier", "required_integer", "required_instant_ms"]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("values", [{}, {"name": None}])
def test_an_absent_field_and_null_are_none(reader: str, values: dict[str, Any]) -> None:
    assert getattr(Node(values), reader)("name") is None


@pytest.mark.parametrize("reader", REQUIRED)
@pytest.mark.parametrize("values", [{}, {"name": None}])
def test_a_required_field_that_is_absent_is_refused_with_its_path(reader: str, values: dict[str, Any]) -> None:
    with pytest.raises(MalformedPayloadError, match=r"data\.inner\.name is missing"):
        getattr(Node({"inner": values}, "data").child("inner"), reader)("name")


@pytest.mark.parametrize(
    ("reader", "value"),
    [
        ("text", 5),
        ("text", ["a"]),
        ("text", "a" * (MAX_TEXT_LENGTH + 1)),
        ("text", "a\x00b"),
        ("text", "\ud800"),
        ("identifier", True),
        ("identifier", 1.5),
        ("integer", True),
        ("integer", 1.0),
        ("integer", "1"),
        ("integer", MAX_AMOUNT + 1),
        ("flag", 1),
        ("flag", "yes"),
        ("flag", []),
        ("instant_ms", "yesterday"),
        ("instant_ms", 1_700_000_000),
    ],
)
def test_a_value_of_another_kind_is_refused_with_its_path(reader: str, value: object) -> None:
    with pytest.raises(MalformedPayloadError, match=r"^data\.name must be"):
        getattr(Node({"name": value}, "data"), reader)("name")


def test_values_of_the_right_kind_are_read() -> None:
    node = Node({"text": "a", "number": 7, "flag": False, "at": "2023-01-17T12:26:23.000000Z"})

    assert (node.text("text"), node.identifier("text"), node.identifier("number")) == ("a", "a", "7")
    assert (node.integer("number"), node.flag("flag"), node.instant_ms("at")) == (7, False, 1_673_958_383_000)


@pytest.mark.parametrize(("value", "expected"), [(True, True), (False, False), ("true", True), ("false", False)])
def test_a_flag_may_be_quoted(value: object, expected: bool) -> None:
    assert Node({"name": value}).flag("name") is expected


def test_empty_text_says_nothing() -> None:
    assert Node({"name": ""}).text("name") is None


def test_reading_below_an_absent_object_finds_nothing() -> None:
    assert Node({}).child("inner").child("innermost").text("name") is None


def test_money_takes_its_currency_in_either_case() -> None:
    assert Node({"total": 1859}).money("total", "eur") == Money(amount_minor=1859, currency="EUR")


def test_objects_of_a_list_know_their_place() -> None:
    nodes = Node({"lines": [{"id": "a"}, {}]}).children("lines")

    assert nodes[0].text("id") == "a"
    with pytest.raises(MalformedPayloadError, match=r"lines\[1\]\.id is missing"):
        nodes[1].required_text("id")


@pytest.mark.parametrize("value", ["a", 5, {"a": 1}, [1], [None]])
def test_what_is_no_list_of_objects_is_refused(value: object) -> None:
    with pytest.raises(MalformedPayloadError, match="lines must be a list of objects"):
        Node({"lines": value}).children("lines")


@pytest.mark.parametrize("value", ["a", 5, [], [1]])
def test_what_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(MalformedPayloadError, match="inner must be an object"):
        Node({"inner": value}).child("inner")
