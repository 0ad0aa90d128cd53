"""Strict JSON: either an object that every parser reads alike, or one error that says why not."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.errors import MalformedPayloadError
from credits.payload import MAX_DEPTH, parse

SCALARS = st.none() | st.booleans() | st.integers(-(10**38), 10**38) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(st.dictionaries(st.text(), VALUES, max_size=10))
def test_an_object_is_read_as_it_was_written(payload: dict[str, object]) -> None:
    assert parse(json.dumps(payload).encode()) == payload
    assert parse(json.dumps(payload, indent=3, ensure_ascii=True).encode()) == payload


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_an_object_or_refused(body: bytes) -> None:
    assert is_object_or_refused(body)


@given(st.text(alphabet='{}[]",:0123456789.eE+-truefalsn \\u', max_size=60))
def test_what_nearly_is_json_is_an_object_or_refused(text: str) -> None:
    assert is_object_or_refused(text.encode())


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"{} {}", "not JSON"),
        (b'{"a": 01}', "not JSON"),
        (b'{"a": +1}', "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": 1,}', "not JSON"),
        (b"\xff", "not UTF-8"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b"7", "object, got int"),
        (b"[]", "object, got list"),
        (b'{"a": {"b": 1, "b": 1}}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": -1e400}', "no finite number"),
        (b'{"a": 1' + b"0" * 40 + b"}", "40 digits"),
        (b'{"a": -' + b"1" * 40 + b"}", "40 digits"),
    ],
)
def test_a_body_that_is_refused_says_why(body: bytes, why: str) -> None:
    with pytest.raises(MalformedPayloadError, match=why):
        parse(body)


def test_a_body_may_be_nested_to_the_limit_and_no_deeper() -> None:
    deepest = b'{"a":' * (MAX_DEPTH - 1) + b"{}" + b"}" * (MAX_DEPTH - 1)

    assert parse(deepest)
    for depth in (MAX_DEPTH, sys.getrecursionlimit() * 2, 50_000):
        with pytest.raises(MalformedPayloadError, match="deeper than 32"):
            parse(b'{"a":' * depth + b"{}" + b"}" * depth)


def is_object_or_refused(body: bytes) -> bool:
    try:
        return type(parse(body)) is dict
    except MalformedPayloadError:
        return True
